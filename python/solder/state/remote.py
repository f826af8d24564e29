"""Opening the state that a node holds: which block, whose rules, what is checked, and where answers are kept.

What is not chosen by the caller is decided here; the work is done below (see docs/remote.md).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypedDict

from solder import _native
from solder._native import Chain
from solder.config import cache_folder
from solder.errors import InputError

__all__ = ["RemoteFields", "open_state"]

CACHE_BYTES = 4 << 30
"""The most bytes of the cache's file."""
CACHE_FILE = "remote.sqlite"
"""The name of the cache in the user's cache folder."""


class RemoteFields(TypedDict, total=False):
    """How a node is asked. All have defaults.

    ``verify``: "auto" checks everything by proofs where the node gives them, "always" wants them, "never" takes what
    it says. ``cache``: a file, False for none; None is the user's cache for public chains and none for others.
    ``batch``: the most requests in one message; ``connections``: the most messages on their way at once;
    ``timeout_s``: for one attempt, in seconds; ``attempts``: for one message; ``headers``: more headers of HTTP.
    """

    verify: Literal["auto", "always", "never"]
    cache: str | Path | bool | None
    cache_bytes: int
    batch: int
    connections: int
    timeout_s: float
    attempts: int
    headers: Mapping[str, str]


def open_state(
    url: str,
    block: int | str | bytes,
    chain: Chain | None,
    fork: str | None,
    fields: RemoteFields,
) -> _native.State:
    """The state after ``block`` as the node at ``url`` has it; ``State.remote`` says what the arguments are."""
    cache = fields.get("cache")
    if cache is True:
        raise InputError("True says nothing: name a file, or None for the user's cache", field="cache")
    if isinstance(block, bool):
        raise InputError("a truth value is no block", field="block")
    default = cache is None
    path = None if cache is False else cache_folder() / CACHE_FILE if cache is None else Path(cache)
    return _native.open_remote(
        url,
        block,
        chain=chain,
        fork=fork,
        verify=fields.get("verify", "auto"),
        cache=path,
        known_chains_only=default,
        cache_bytes=fields.get("cache_bytes", CACHE_BYTES),
        batch=fields.get("batch", 100),
        connections=fields.get("connections", 10),
        timeout_s=fields.get("timeout_s", 30.0),
        attempts=fields.get("attempts", 5),
        headers=list(fields.get("headers", {}).items()),
    )
