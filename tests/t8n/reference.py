"""The specification's transition tool (`ethereum-spec-evm t8n` of the package ethereum-execution), in this process.

The oracle. It is slow and cannot do everything: `Unavailable` says what it could not, so that a comparison counts it
instead of passing over it.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ethereum_spec_tools.evm_tools import create_parser
from ethereum_spec_tools.evm_tools.t8n import T8N, ForkCache

if TYPE_CHECKING:
    from .inputs import TransitionInput


class Unavailable(Exception):
    """The reference cannot run this input."""


class Reference:
    """Runs the reference; its forks are loaded once."""

    def __init__(self) -> None:
        self._parser = create_parser()
        self._cache = ForkCache()
        self._folder = tempfile.TemporaryDirectory()

    def close(self) -> None:
        """Remove what the reference wrote and unload the forks that it made."""
        self._cache.__exit__(None, None, None)
        self._folder.cleanup()

    def run(self, given: TransitionInput, reward: int | None = None) -> dict[str, Any]:
        """The object `{"result", "alloc", "body"}`."""
        flags = [] if reward is None else [f"--state.reward={reward}"]
        return self._run(given, flags)

    def traces(self, given: TransitionInput) -> list[list[dict[str, Any]]]:
        """The lines of each transaction's EIP-3155 trace."""
        self._run(given, ["--trace"])
        found = sorted(Path(self._folder.name).glob("trace-*.jsonl"))
        return [[json.loads(line) for line in file.read_text().splitlines()] for file in found]

    def _run(self, given: TransitionInput, flags: list[str]) -> dict[str, Any]:
        if given.has_ommers and given.header["difficulty"] != "0x0":
            raise Unavailable("the reference fails on every block with ommers")
        args = ["t8n", "--input.alloc=stdin", "--input.env=stdin", "--input.txs=stdin"]
        args += ["--output.result=stdout", "--output.alloc=stdout", "--output.body=stdout"]
        args += [f"--output.basedir={self._folder.name}"]
        args += [f"--state.fork={given.fork}", f"--state.chainid={given.chain_id}"]
        stdin = given.stdin
        if given.blob_params is not None:
            args.append("--input.blobParams=stdin")
            stdin["blobParams"] = given.blob_params
        options = self._parser.parse_args(args + flags)
        out = io.StringIO()
        with _quiet():
            try:
                status = T8N(options, out, io.StringIO(json.dumps(stdin)), self._cache).run()
            except SystemExit as error:
                raise Unavailable(str(error)) from error
            except Exception as error:
                raise Unavailable(f"{type(error).__name__}: {error}") from error
        if status != 0:
            raise Unavailable(f"exit status {status}")
        answer: dict[str, Any] = json.loads(out.getvalue())
        return answer


@contextlib.contextmanager
def _quiet() -> Any:
    """The reference logs each rejected transaction with a traceback."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
