"""The arguments of a contract's function as they are typed on the command line, and its results as they are shown."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from solder._native import AbiFunction, CallResult
from solder.contract import Abi
from solder.contract.result import events_in
from solder.errors import InputError

__all__ = ["Asked", "asked_of"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is called, by which interface. ``function`` is None where plain data is sent."""

    abi: Abi | None
    function: AbiFunction | None
    data: str | bytes | None

    def shown(self, result: CallResult) -> dict[str, Any]:
        """What the interface adds to a result: the values returned and the events, as text."""
        if self.abi is None or not result.ok:
            return {}
        found: dict[str, Any] = {}
        if self.function is not None and self.function.selector:
            found["value"] = self.function.output_text(result.output)
        found["events"] = [f"{event!r} of {event.address}" for event in events_in(result.logs, self.abi, None)]
        return found


def asked_of(
    interface: Path | None, signature: str | None, arguments: tuple[str, ...], data: str | None, *, creates: bool
) -> Asked:
    """The call data of a function and its arguments, or plain data.

    ``interface`` is a file, ``signature`` names a function in it, or is one by itself. Where a contract is created,
    the arguments are the constructor's, behind the init code (``data``, or the artefact's).
    """
    if interface is None and signature is None:
        if arguments:
            raise InputError("need --signature, or --abi with one", field="ARGUMENTS")
        return Asked(None, None, data)
    abi = Abi.load(interface) if interface is not None else Abi([signature or ""])
    if creates:
        return Asked(abi, abi.constructor, _creation(abi, arguments, data))
    if signature is None:
        if arguments:
            raise InputError("which function are they for?", field="--signature")
        return Asked(abi, None, data)
    if data is not None:
        raise InputError("is made from --signature and its arguments", field="--data")
    function = abi.functions[0] if interface is None and abi.functions else _chosen(abi, signature, len(arguments))
    return Asked(abi, function, function.encode_text(arguments))


def _chosen(abi: Abi, signature: str, count: int) -> AbiFunction:
    """The function of a name; of overloads the one with as many arguments."""
    fitting = [function for function in abi.overloads(signature) if len(function.inputs) == count]
    return fitting[0] if len(fitting) == 1 else abi.function(signature)


def _creation(abi: Abi, arguments: tuple[str, ...], data: str | None) -> bytes:
    if data is None:
        code = abi.bytecode
        if code is None:
            raise InputError("without --to there must be init code, in --data or in the artefact", field="--data")
    else:
        try:
            code = bytes.fromhex(data.removeprefix("0x"))
        except ValueError as error:
            raise InputError(f"not hex: {error}", field="--data") from None
    return code + abi.constructor.encode_text(arguments)
