"""``Trace``: one transaction that ran, traced. It ran once; what is shown of it is made when it is asked for.

Steps are not kept: ``struct_logs`` and ``steps`` run the transaction again while they are read, on the state before it.
"""

from __future__ import annotations

import json
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from solder import _native
from solder.errors import InputError
from solder.trace.naming import Signatures
from solder.trace.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from solder._native import Block, CallResult, State, Transaction
    from solder.trace.naming import Naming
    from solder.trace.tree import Sources

__all__ = ["MAX_STEPS", "Trace", "trace_block", "trace_call", "trace_case", "trace_transaction"]

MAX_STEPS = 1_000_000
"""The most steps that ``struct_logger`` gives as one object. The iterators have no such limit."""
MAX_CASE_BYTES = 64 << 20
"""The most bytes of a state-and-transaction file that are read."""


class Trace:
    """A transaction's calls, what it looked at, what it changed, its steps.

    ``calls``, ``prestate``, ``diff`` and ``four_byte`` are what geth's tracers give with default settings, as dicts;
    ``geth`` takes a tracer's name and its settings. ``str(trace)`` is the tree of calls.
    """

    def __init__(self, native: _native.Trace) -> None:
        self._native = native

    @property
    def index(self) -> int | None:
        """Its place in its block; None for a call on a state."""
        return self._native.index

    @property
    def result(self) -> CallResult:
        """How it ended: status, gas, output, logs, and what it changed (without the state after it)."""
        return self._native.result

    @cached_property
    def calls(self) -> dict[str, Any]:
        """The nested calls (``callTracer``)."""
        return self._native.call_tree()

    @cached_property
    def prestate(self) -> dict[str, Any]:
        """What it looked at, as it was before (``prestateTracer``)."""
        return self._prestate()

    @cached_property
    def diff(self) -> dict[str, Any]:
        """What it changed: ``pre`` and ``post`` (``prestateTracer`` with ``diffMode``)."""
        return self._prestate(diff=True)

    @cached_property
    def four_byte(self) -> dict[str, int]:
        """How often each selector was called, by ``selector-bytes of arguments`` (``4byteTracer``)."""
        return self._native.four_bytes()

    def _prestate(self, **settings: bool) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self._native.prestate_json(**settings))
        return value

    def geth(self, tracer: str | None = None, config: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        """What ``debug_traceTransaction`` gives: by the name of a tracer and its settings, all in geth's spelling.

        Without a name the struct logger, whose settings are ``enableMemory``, ``disableStack``, ``disableStorage``,
        ``enableReturnData``; ``callTracer`` knows ``onlyTopCall`` and ``withLog``, ``prestateTracer`` ``diffMode``,
        ``disableCode``, ``disableStorage`` and ``includeEmpty``. Raises ``InputError`` for other names.
        """
        known = _SETTINGS.get(tracer)
        if known is None:
            raise InputError(f"{tracer!r} is none of {', '.join(filter(None, _SETTINGS))}", field="tracer")
        settings = {}
        for name, value in (config or {}).items():
            if name not in known or not isinstance(value, bool):
                raise InputError(
                    f"{name!r}: {value!r} is no setting of {tracer or 'the struct logger'}", field="config"
                )
            settings[known[name]] = value
        if tracer == "callTracer":
            return self._native.call_tree(**settings)
        if tracer == "prestateTracer":
            return self._prestate(**settings)
        if tracer == "4byteTracer":
            return self.four_byte
        for disabled in ("stack", "storage"):
            if disabled in settings:
                settings[disabled] = not settings[disabled]
        return self.struct_logger(**settings)

    def json(self, tracer: str, config: Mapping[str, Any] | None = None) -> str:
        """The same as compact JSON text, which Python's own writer cannot make of the deepest trees."""
        if tracer == "callTracer" and set(config or {}) <= set(_SETTINGS["callTracer"]):
            settings = {_SETTINGS["callTracer"][name]: value for name, value in (config or {}).items()}
            return self._native.calls_json(**settings).decode()
        return json.dumps(self.geth(tracer, config), separators=(",", ":"))

    def struct_logs(
        self, *, memory: bool = False, stack: bool = True, storage: bool = True, return_data: bool = False
    ) -> Iterator[dict[str, Any]]:
        """The steps as geth's struct logger gives them, one dict a step.

        The transaction runs again while they are read, never more than a few megabytes ahead: a transaction of
        millions of steps can be read to its end, or left at any step.
        """
        chunks = self._native.steps("struct", memory=memory, stack=stack, storage=storage, return_data=return_data)
        return _decoded(chunks)

    def struct_logger(self, *, max_steps: int = MAX_STEPS, **settings: bool) -> dict[str, Any]:
        """What ``debug_traceTransaction`` gives without a tracer: gas, outcome, and all steps in one list.

        The settings are those of ``struct_logs``. Raises ``InputError`` where there are more than ``max_steps``.
        """
        steps = list(islice(self.struct_logs(**settings), max_steps + 1))
        if len(steps) > max_steps:
            raise InputError(f"more than {max_steps:,} steps: iterate over struct_logs()", field="max_steps")
        result = self.result
        # On Frontier a creation that cannot pay for its code stands, but geth's logger calls it failed.
        top = self._native.call_tree(only_top_call=True)
        unpaid = top["type"] == "CREATE" and "output" in top and not result.output
        return {
            "gas": result.gas_used,
            "failed": not result.ok or unpaid,
            "returnValue": "0x" + result.output.hex(),
            "structLogs": steps,
        }

    def steps(self, *, memory: bool = False, stack: bool = True, return_data: bool = False) -> Iterator[dict[str, Any]]:
        """The lines of an EIP-3155 trace as dicts, the summary last; like ``struct_logs`` they are made while read."""
        return _decoded(self._native.steps("eip3155", memory=memory, stack=stack, return_data=return_data))

    def step_lines(self, tracer: str = "eip3155", **settings: bool) -> Iterator[str]:
        """The steps as lines of JSON: ``tracer`` is ``"eip3155"`` or ``"struct"``."""
        for chunk in self._native.steps(tracer, **settings):
            yield from chunk.decode().splitlines()

    def tree(
        self,
        *,
        abis: Sequence[object] = (),
        names: Naming | None = None,
        sources: Sources = (),
        logs: bool = False,
        limit: int = 1000,
    ) -> str:
        """The calls as text: who called what with which arguments, gas and ether, results, and why frames failed.

        ``abis`` are interfaces (files as ``Path``, JSON, ``solder.Abi``), ``names`` any ``Naming`` instead of them;
        ``sources`` are source maps, by address or to be found by the code: then a revert says its line. ``logs``
        shows events. Of more than ``limit`` calls the rest is counted.
        """
        return Tree(self._native, names or Signatures(*abis), sources, logs=logs, limit=limit).text()

    def __str__(self) -> str:
        return self.tree()

    def __repr__(self) -> str:
        result = self.result
        where = "" if self.index is None else f" transaction {self.index},"
        why = f": {result.error}" if result.error else ""
        return f"<Trace{where} {len(self._native)} calls, {result.gas_used:,} gas, {result.status}{why}>"

    def _repr_html_(self) -> str:
        return Tree(self._native, Signatures(), (), logs=False, limit=200).html()


_SETTINGS: dict[str | None, dict[str, str]] = {
    None: {
        "enableMemory": "memory",
        "disableStack": "stack",
        "disableStorage": "storage",
        "enableReturnData": "return_data",
    },
    "callTracer": {"onlyTopCall": "only_top_call", "withLog": "with_log"},
    "prestateTracer": {
        "diffMode": "diff",
        "disableCode": "disable_code",
        "disableStorage": "disable_storage",
        "includeEmpty": "include_empty",
    },
    "4byteTracer": {},
}


def _decoded(chunks: _native.Steps) -> Iterator[dict[str, Any]]:
    for chunk in chunks:
        for line in chunk.splitlines():
            yield json.loads(line)


def trace_transaction(block: Block, state: State, index: int) -> Trace:
    """Trace transaction ``index`` of ``block``; ``state`` is the one before the block, and stays as it is.

    What comes before it is executed first, one after the other. Raises ``InputError`` where there is no such
    transaction, ``RejectedInput`` where it or one before it is invalid, and ``Fault`` where it makes more calls than
    a trace keeps.
    """
    if index < 0:
        raise InputError(f"{index} is not one of {len(block.transactions)} transactions", field="index")
    return Trace(_native.trace_transaction(block, state, index))


def trace_block(block: Block, state: State) -> Iterator[Trace]:
    """Trace every transaction of ``block`` in order, each when it is asked for. Raises as ``trace_transaction``."""
    return map(Trace, _native.BlockTracer(block, state))


def trace_call(
    state: State,
    call: Mapping[str, Any] | Transaction,
    *,
    block: dict[str, Any] | None = None,
    overrides: dict[Any, Any] | None = None,
) -> Trace:
    """Trace a call on ``state`` given by the fields of ``State.call``, or a decoded transaction by all rules."""
    fields = call if isinstance(call, _native.Transaction) else dict(call)
    return Trace(_native.trace_call(state, fields, block=block, overrides=overrides))


def trace_case(path: str | Path) -> Trace:
    """Trace the transaction of a state-and-transaction file (JSON with ``env``, ``pre`` and ``tx``)."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_CASE_BYTES + 1)
    except OSError as error:
        raise InputError(error.strerror or str(error), str(path)) from None
    if len(content) > MAX_CASE_BYTES:
        raise InputError(f"larger than {MAX_CASE_BYTES} bytes", str(path))
    return Trace(_native.trace_case(str(path), content))
