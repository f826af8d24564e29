"""A failed call as an exception, for those who would rather not look at ``status``."""

from typing import Any

from solder._native import CallResult
from solder.errors import SolderError

__all__ = ["Reverted"]


class Reverted(SolderError):
    """A call reverted or halted where it was to succeed.

    ``output`` is what it reverted with, ``reason`` what that says, ``gas_used`` what it took. Where an ABI knows the
    custom error, ``error_name`` and ``error_arguments`` (by name) are set. ``result`` is the whole result, where
    there is one (a copy by pickle has none).
    """

    def __init__(
        self,
        status: str,
        reason: str | None = None,
        output: bytes = b"",
        gas_used: int = 0,
        error_name: str | None = None,
        error_arguments: dict[str, object] | None = None,
    ) -> None:
        super().__init__(status, reason, output, gas_used, error_name, error_arguments)
        self.status = status
        self.reason = reason
        self.output = output
        self.gas_used = gas_used
        self.error_name = error_name
        self.error_arguments = error_arguments
        self.result: CallResult | None = None

    def __reduce__(self) -> tuple[type["Reverted"], tuple[Any, ...]]:
        fields = (self.status, self.reason, self.output, self.gas_used, self.error_name, self.error_arguments)
        return type(self), fields

    def __str__(self) -> str:
        return f"{self.status}: {self.reason}" if self.reason else self.status

    @classmethod
    def of(cls, result: CallResult | None) -> "Reverted":
        """The exception of a failed result."""
        if result is None:
            return cls("revert")
        reverted = cls(result.status, result.error, result.output, result.gas_used)
        reverted.result = result
        return reverted
