"""What a test expects of a revert, and whether one is that: a text, a custom error, a panic, a halt."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from solder._native import CallResult, function_selector
from solder.contract import Abi
from solder.contract.result import reverted as reverted_by
from solder.errors import InputError
from solder.simulate import Reverted

__all__ = ["Expected", "described", "named"]

PANIC_SELECTOR = function_selector("Panic(uint256)")
_SIGNATURE = re.compile(r"[A-Za-z_$][\w$]*\(.*\)", re.DOTALL)
_SELECTOR_BYTES = 4


@dataclass(frozen=True, slots=True)
class Expected:
    """A revert that is expected.

    ``reason`` is None for any; a str for the text of ``Error(string)``, the meaning of a panic, the reason of a halt,
    the name of a custom error or its signature; an int for the code of a panic; a pattern to search in the reason.
    ``arguments`` and ``named`` are those of a custom error, all by place or some by name.
    """

    reason: str | int | re.Pattern[str] | None = None
    arguments: tuple[object, ...] = ()
    named: tuple[tuple[str, object], ...] = ()

    def problem(self, reverted: Reverted) -> str | None:
        """Why ``reverted`` is not what is expected; None where it is."""
        if not self._is_reason(reverted):
            return f"expected {self}, but it failed with {described(reverted)}"
        wrong = self._wrong_arguments(reverted)
        return wrong and f"expected {self}, but {wrong}"

    def _is_reason(self, reverted: Reverted) -> bool:
        reason = reverted.reason
        match self.reason:
            case None:
                return True
            case int(code):
                return reverted.output == PANIC_SELECTOR + code.to_bytes(32, "big")
            case re.Pattern() as pattern:
                return reason is not None and pattern.search(reason) is not None
            case text if text in _names(reverted):
                return True
            case text:
                return self._by_signature(reverted) is not None

    def _by_signature(self, reverted: Reverted) -> dict[str, object] | None:
        """The arguments of the custom error whose signature ``reason`` is, where it is the one."""
        if not isinstance(self.reason, str) or not _SIGNATURE.fullmatch(self.reason):
            return None
        try:
            abi = Abi([f"error {self.reason}"])
        except InputError:
            return None  # a text that only looks like one
        return arguments_of(reverted.output, abi)

    def _wrong_arguments(self, reverted: Reverted) -> str | None:
        if not self.arguments and not self.named:
            return None
        given = self._by_signature(reverted) or reverted.error_arguments
        if given is None:
            return f"{described(reverted)} has no arguments that an ABI names"
        counted = (
            len(self.arguments) <= len(given) if self.named or not self.arguments else len(self.arguments) == len(given)
        )
        if not counted or not all(map(_same, given.values(), self.arguments)):
            return f"its arguments are {_listed(given)}"
        for name, value in self.named:
            if name not in given:
                return f"it has no argument {name!r}: {_listed(given)}"
            if not _same(given[name], value):
                return f"{name} is {given[name]!r}"
        return None

    def __str__(self) -> str:
        match self.reason:
            case None:
                return "a revert"
            case int(code):
                return f"Panic({code:#04x})"
            case re.Pattern() as pattern:
                return f"a revert that matches {pattern.pattern!r}"
            case text:
                arguments = [repr(value) for value in self.arguments]
                arguments += [f"{name}={value!r}" for name, value in self.named]
                return f"{text!r}" + (f" with {', '.join(arguments)}" if arguments else "")


def _names(reverted: Reverted) -> set[str]:
    """Everything that a revert may be called."""
    names = set() if reverted.reason is None else {reverted.reason}
    if reverted.output[:_SELECTOR_BYTES] == PANIC_SELECTOR and reverted.reason is not None:
        names |= set(reverted.reason.split(": ", 1))
    if reverted.error_name is not None:
        names.add(reverted.error_name)
    return names


def named(result: CallResult, abis: Sequence[Abi]) -> Reverted:
    """The exception of a failed result, with the custom error that one of the interfaces knows."""
    for abi in abis:
        found = reverted_by(result, abi)
        if found.error_name is not None:
            found.result = result
            return found
    return Reverted.of(result)


def arguments_of(output: bytes, abi: Abi) -> dict[str, object] | None:
    """The arguments of a custom error by name, or by place; None where the interface does not have it."""
    try:
        found = abi.decode_error(output)
    except InputError:
        return None  # malformed
    if found is None:
        return None
    entry, values = found
    names = [name or f"[{place}]" for place, (name, _) in enumerate(entry.inputs)]
    return dict(zip(names, values, strict=True))


def _same(given: object, expected: object) -> bool:
    """Whether a decoded value is the expected one; an address may be expected as bytes, or without its checksum."""
    if isinstance(given, str) and given.startswith("0x"):
        if isinstance(expected, bytes):
            return given.lower() == "0x" + expected.hex()
        if isinstance(expected, str):
            return given.lower() == expected.lower()
    return given == expected


def _listed(arguments: dict[str, object]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


def described(reverted: Reverted) -> str:
    """A revert in words: its reason, and its bytes where that says nothing."""
    if reverted.error_name is not None:
        return f"{reverted.error_name}({_listed(reverted.error_arguments or {})})"
    if reverted.reason is not None:
        return repr(reverted.reason) if reverted.status == "revert" else f"{reverted.status}: {reverted.reason}"
    return f"{reverted.status} without a reason" + (f" (0x{reverted.output.hex()})" if reverted.output else "")
