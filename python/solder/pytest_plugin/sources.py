"""The state that a test begins with: from its marker, or from the options of the project."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from solder.cli.call_files import state_of
from solder.errors import InputError
from solder.state import State

__all__ = ["Source", "source_of"]

FIELDS = frozenset({"state", "fork", "block", "after", "rpc"})
"""What ``@pytest.mark.evm`` takes."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a state comes from. ``key`` tells equal ones apart; None where it is not worth keeping."""

    state: State | Mapping[Any, Any] | Path | None = None
    fork: str | None = None
    block: Any = None
    after: int | None = None
    rpc: str | None = None

    @property
    def key(self) -> tuple[object, ...] | None:
        """What tells one file, node or empty state from another."""
        if isinstance(self.state, State | Mapping) or isinstance(self.block, Mapping):
            return None
        return (self.state, self.fork, self.block, self.after, self.rpc)

    def load(self) -> State:
        """The state itself."""
        if self.rpc is not None:
            return self._remote()
        fields = dict(self.block) if isinstance(self.block, Mapping) else None
        if self.block is not None and fields is None:
            raise InputError("a dict of fields; a number goes with rpc", field="evm.block")
        if self.state is None or (isinstance(self.state, Mapping) and not isinstance(self.state, State)):
            return State(dict(self.state or {}), fork=self.fork, block=fields)
        if self.fork is not None:
            raise InputError("a state has its fork already", field="evm.fork")
        state = self.state if isinstance(self.state, State) else self._opened(self.state)
        return state if fields is None else state.with_block(fields)

    def _opened(self, path: Path) -> State:
        if self.after is None:
            return state_of(path)
        return State.at(path, after=self.after)

    def _remote(self) -> State:
        if self.state is not None or self.after is not None:
            raise InputError("goes with block and fork only", field="evm.rpc")
        return State.remote(str(self.rpc), "latest" if self.block is None else self.block, fork=self.fork)


def source_of(item: pytest.Item) -> Source:
    """What the closest marker ``evm`` of a test says; the options of the project for what none says."""
    fields: dict[str, Any] = {}
    for marker in item.iter_markers("evm"):
        if marker.args:
            raise InputError("takes fields by name: state, fork, block, after, rpc", item.nodeid, "evm")
        fields = {**marker.kwargs, **fields}
    unknown = set(fields) - FIELDS
    if unknown:
        raise InputError("no such field", item.nodeid, f"evm.{min(unknown)}")
    config = item.config
    state = fields.get("state")
    if isinstance(state, str | Path):
        fields["state"] = _path(state, item.path.parent)
    elif state is not None and not isinstance(state, State | Mapping):
        raise InputError(f"{type(state).__name__} is no state, dict or path", item.nodeid, "evm.state")
    if not {"state", "rpc", "fork"} & fields.keys():
        if url := config.getini("evm_rpc"):
            fields.setdefault("rpc", url)
            fields.setdefault("block", _block(config.getini("evm_block")))
            fields["fork"] = config.getini("evm_fork") or None
        elif name := config.getini("evm_state"):
            fields["state"] = _path(name, config.inipath.parent if config.inipath else config.rootpath)
        elif fork := config.getini("evm_fork"):
            fields["fork"] = fork
    return Source(**fields)


def _block(text: str) -> int | str | None:
    """A block of a node, as an option has it."""
    return int(text) if text.isdecimal() else text or None


def _path(name: str | Path, folder: Path) -> Path:
    """A path of a marker is meant from the test's folder, one of the options from that of the file with the options."""
    path = Path(name)
    return path if path.is_absolute() else folder / path
