"""What a failed test's report says of its calls."""

from pathlib import Path
from typing import Any

from solder.errors import SolderError
from solder.pytest_plugin.sandbox import MAX_CALLS_SHOWN, Call, Evm, NotReverted, Record
from solder.simulate import Reverted

__all__ = ["end_at_the_test", "sections"]

_PACKAGE = Path(__file__).resolve().parent.parent


def sections(sandbox: Evm, error: BaseException) -> list[tuple[str, str]]:
    """The last calls of a test, and the tree of the one that its failure is about."""
    record = sandbox.record
    if not record.calls:
        return []
    left = record.count - len(record.calls)
    lines = [f"{number}. {call.text(sandbox.abis)}" for number, call in enumerate(record.calls, left + 1)]
    if left > 0:
        lines.insert(0, f"(the last {min(record.count, MAX_CALLS_SHOWN)} of {record.count})")
    found = [("calls of evm", "\n".join(lines))]
    failed = _failed(record, error)
    if failed is not None:
        found.append(("the call that failed", _tree(failed, sandbox)))
    return found


def end_at_the_test(error: BaseException | None) -> None:
    """Cut the traceback of an error of ours where it leaves the test for this package; any other's stays whole."""
    while isinstance(error, SolderError | NotReverted):
        last, entry = None, error.__traceback__
        while entry is not None:
            if _PACKAGE not in Path(entry.tb_frame.f_code.co_filename).parents:
                last = entry
            entry = entry.tb_next
        if last is not None:
            last.tb_next = None
        error = error.__cause__


def _failed(record: Record, error: BaseException) -> Call | None:
    """The last call, where the failure is its revert or one that was not expected."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, Reverted):
        seen = seen.__cause__
    last = record.calls[-1]
    return last if seen is not None and not last.result.ok else None


def _tree(call: Call, sandbox: Evm) -> str:
    """The tree of calls, by running it once more; why there is none, where a node does not answer any more."""
    fields: Any = {name: value for name, value in call.fields.items() if name != "abi"}
    try:
        trace = call.before.trace(call.to, call.data, **fields)
        return trace.tree(abis=call.known(sandbox.abis), sources=sandbox.sources)
    except SolderError as error:
        return f"no tree: {error}"
