"""The result of one conformance case, and the count over many. Not how a case is run: that is native."""

import heapq
from dataclasses import dataclass, field
from itertools import count

SLOWEST = 20
"""How many of the slowest cases a tally remembers."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case of an official test.

    ``passed`` is None where the case was skipped; ``error`` then is the reason, else the field that differs with
    what was expected and what came. ``trace`` holds EIP-3155 lines of a failed case where they were asked for.
    """

    name: str
    fork: str
    passed: bool | None
    error: str | None
    file: str
    seconds: float
    trace: str | None = None

    def to_dict(self) -> dict[str, object]:
        """The case as one JSON object."""
        return {"name": self.name, "fork": self.fork, "pass": self.passed, "error": self.error}


@dataclass(slots=True)
class Tally:
    """Counts over cases, with the reasons of the skipped ones, and the slowest of all.

    ``transactions`` are those of accepted blocks, ``executions`` how often they ran; None where nobody counted.
    """

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    transactions: int | None = None
    executions: int | None = None
    reasons: dict[str, int] = field(default_factory=dict)
    _slowest: list[tuple[float, int, CaseResult]] = field(default_factory=list)
    _order: "count[int]" = field(default_factory=count)

    def add(self, case: CaseResult) -> None:
        """Count ``case``."""
        if case.passed is None:
            self.skipped += 1
            reason = case.error or "no reason given"
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
        elif case.passed:
            self.passed += 1
        else:
            self.failed += 1
        entry = (case.seconds, -next(self._order), case)
        if len(self._slowest) < SLOWEST:
            heapq.heappush(self._slowest, entry)
        else:
            heapq.heappushpop(self._slowest, entry)

    @property
    def slowest(self) -> list[CaseResult]:
        """The slowest cases, slowest first, at most ``SLOWEST``."""
        return [case for _, _, case in sorted(self._slowest, reverse=True)]

    @property
    def total(self) -> int:
        """All cases, skipped ones included."""
        return self.passed + self.failed + self.skipped

    def to_dict(self) -> dict[str, int]:
        """The counts as one JSON object; with those of transactions and executions where they were taken."""
        counts = {"passed": self.passed, "failed": self.failed, "skipped": self.skipped}
        if self.transactions is not None and self.executions is not None:
            counts |= {"executions": self.executions, "transactions": self.transactions}
        return counts
