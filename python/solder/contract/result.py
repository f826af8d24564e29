"""What a call of a contract gave, decoded by its interface."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from solder._native import AbiFunction, CallResult, Log
from solder.contract.abi import Abi
from solder.contract.addresses import checksummed
from solder.errors import InputError
from solder.simulate import Reverted

__all__ = ["ContractResult", "Emitted", "events_in", "failing_too", "reverted"]


class Emitted(NamedTuple):
    """A decoded log: the event's name, its arguments (by name, where they have one), who emitted it, and which log."""

    name: str
    args: Any
    address: str
    log_index: int

    def __repr__(self) -> str:
        fields = getattr(self.args, "_fields", None)
        values = [repr(value) for value in self.args]
        shown = values if fields is None else [f"{field}={value}" for field, value in zip(fields, values, strict=True)]
        return f"{self.name}({', '.join(shown)})"


@dataclass(frozen=True, slots=True, repr=False)
class ContractResult:
    """What a function of a contract gave. ``result`` has what it gave as bytes, and everything else."""

    result: CallResult
    abi: Abi
    function: AbiFunction
    address: bytes

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.result.ok

    @property
    def status(self) -> Literal["success", "revert", "halt", "rejected"]:
        """How it ended."""
        return self.result.status

    @property
    def gas_used(self) -> int:
        """Gas paid for, after the refund."""
        return self.result.gas_used

    @property
    def output(self) -> bytes:
        """What was returned or reverted with."""
        return self.result.output

    @property
    def logs(self) -> list[Log]:
        """The logs as they are."""
        return self.result.logs

    @property
    def state(self) -> Any:
        """The state after a transaction; None after a call."""
        return self.result.state

    @property
    def value(self) -> Any:
        """What the function returned: None, one value, or a tuple. Raises ``Reverted`` where it failed."""
        self.check()
        return self.function.decode_output(self.result.output)

    @property
    def error(self) -> str | None:
        """Why it failed, in words, custom errors of the interface too. None where it did not, or did not say why."""
        return error_of(self.result, self.abi)

    @property
    def events(self) -> list[Emitted]:
        """The events of the interface among the logs, whoever emitted them.

        Logs that the interface does not know are left out. Raises ``InputError`` where a log of this contract names an
        event and does not fit it.
        """
        return events_in(self.result.logs, self.abi, self.address)

    def check(self) -> None:
        """Raise ``Reverted`` where it failed."""
        if not self.result.ok:
            raise reverted(self.result, self.abi)

    def __repr__(self) -> str:
        head = f"<ContractResult {self.function.signature} {self.status}, {self.gas_used} gas"
        if not self.ok:
            return f"{head}: {self.error}>" if self.error else f"{head}>"
        try:
            return f"{head}: {self.value!r}>"
        except InputError as error:
            return f"{head}: {error}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from solder.contract.pages import rows_page

        rows: list[tuple[str, ...]] = [("status", self.status), ("gas used", f"{self.gas_used:,}")]
        try:
            if not self.ok:
                rows.append(("reason", self.error or ""))
            elif self.function.outputs:
                rows.append(("value", repr(self.value)))
            rows += [("event", f"{event!r} of {event.address}") for event in self.events]
        except InputError as error:
            rows.append(("malformed", str(error)))
        return rows_page(self.function.signature, rows)


def error_of(result: CallResult, abi: Abi) -> str | None:
    """Why a call failed, in words, custom errors of ``abi`` too."""
    return abi.reason(result.output) if result.status == "revert" else result.error


def reverted(result: CallResult, abi: Abi) -> Reverted:
    """The exception of a failed result, with the custom error that ``abi`` knows."""
    name, values = None, None
    if result.status == "revert":
        try:
            found = abi.decode_error(result.output)
        except InputError:
            # The reason says that it is malformed.
            found = None
        if found is not None:
            error, arguments = found
            name = error.name
            values = {
                label or f"[{place}]": value
                for place, ((label, _), value) in enumerate(zip(error.inputs, arguments, strict=True))
            }
    failure = Reverted(result.status, error_of(result, abi), result.output, result.gas_used, name, values)
    failure.result = result
    return failure


def failing_too(run: Callable[..., CallResult], *arguments: Any, **fields: Any) -> CallResult:
    """What ``run`` gives, also where it raises for a failed call, as the sandbox of a test does."""
    try:
        return run(*arguments, **fields)
    except Reverted as failed:
        if failed.result is None:
            raise
        return failed.result


def events_in(logs: list[Log], abi: Abi, address: bytes | None) -> list[Emitted]:
    """The events of ``abi`` among logs. A log of ``address`` must fit the event that it names."""
    found = []
    for index, log in enumerate(logs):
        try:
            read = abi.read_log(log)
        except InputError:
            if log.address == address:
                raise
            continue
        if read is not None:
            event, values = read
            found.append(Emitted(event.name, values, checksummed(log.address), index))
    return found
