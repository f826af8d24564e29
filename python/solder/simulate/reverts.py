"""A failed call as an exception, for those who would rather not look at ``status``."""

from solder._native import CallResult
from solder.errors import SolderError

__all__ = ["Reverted"]


class Reverted(SolderError):
    """A call reverted or halted where it was to succeed.

    ``output`` is what it reverted with, ``reason`` what that says, ``gas_used`` what it took.
    """

    def __init__(self, status: str, reason: str | None = None, output: bytes = b"", gas_used: int = 0) -> None:
        super().__init__(status, reason, output, gas_used)
        self.status = status
        self.reason = reason
        self.output = output
        self.gas_used = gas_used

    def __str__(self) -> str:
        return f"{self.status}: {self.reason}" if self.reason else self.status

    @classmethod
    def of(cls, result: CallResult | None) -> "Reverted":
        """The exception of a failed result."""
        if result is None:
            return cls("revert")
        return cls(result.status, result.error, result.output, result.gas_used)
