"""The bill of a transaction or a block as data, and the sum of several."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from solder.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Bill", "Estimate", "Part", "Shares", "Total", "sum_of"]

Kind = Literal["structured", "glue"]

ORDER = (
    *("signature", "sload", "sstore", "transient_storage", "account_access", "access_list", "authorization", "keccak"),
    *("log", "precompile", "code_deposit", "base", "calldata", "call", "create", "arithmetic", "memory", "stack"),
    *("control", "environment", "halted", "block", "residual"),
)
"""Every part, in the order of reports."""

MAX_NAMED_FORKS = 3


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the bill: gas before the refund, nanoseconds (only the residual's may be negative), how often."""

    name: str
    kind: Kind
    gas: int
    nanoseconds: int
    count: int


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of structured work, 0 to 1: of gas before the refund, of time, of time without recovering signatures."""

    gas: float
    time: float
    time_without_signatures: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """Amdahl's estimate: how much faster everything is if ``part`` takes no time, or becomes ten times faster."""

    part: str
    share: float
    speedup_limit: float
    speedup_at_10x: float
    saved_nanoseconds: int


@dataclass(frozen=True, slots=True)
class Total:
    """What a contract, or a function of it, cost itself, without those that it called."""

    address: str
    selector: str | None
    kind: Literal["call", "create", "precompile"]
    calls: int
    gas: int
    structured_gas: int
    nanoseconds: int
    structured_nanoseconds: int


@dataclass(frozen=True)
class Bill:
    """The bill of a block, or of one transaction.

    ``gas`` names it as the documents do: ``total`` is what the receipts say, and all parts, minus ``refund``, plus
    ``floor_top_up``. ``nanoseconds`` is the time of all parts; ``meter_nanoseconds`` is what metering added.
    """

    name: str
    fork: str
    transactions: int
    gas: Mapping[str, int]
    nanoseconds: int
    meter_nanoseconds: int
    parts: tuple[Part, ...]
    structured: Shares
    amdahl: tuple[Estimate, ...]
    contracts: tuple[Total, ...]
    functions: tuple[Total, ...]
    tree: list[list[dict[str, Any]]] | None = None
    block: int | None = None
    index: int | None = None
    gas_used_ok: bool | None = None
    by_transaction: tuple[Bill, ...] = ()

    @property
    def residual(self) -> float:
        """The residual's part of the time, without the recovery of signatures."""
        recovery = sum(part.nanoseconds for part in self.parts if part.name == "signature")
        found = sum(part.nanoseconds for part in self.parts if part.name == "residual")
        return found / (self.nanoseconds - recovery) if self.nanoseconds > recovery else 0.0

    def part(self, name: str) -> Part | None:
        """A part by its name, None where it does not occur."""
        return next((part for part in self.parts if part.name == name), None)

    def to_dict(self) -> dict[str, object]:
        """The profile as one JSON object; without the trees."""
        plain: dict[str, object] = {"name": self.name, "block": self.block, "index": self.index, "fork": self.fork}
        plain |= {"transactions": self.transactions, "gas": dict(self.gas), "gas_used_ok": self.gas_used_ok}
        plain |= {"nanoseconds": self.nanoseconds, "meter_nanoseconds": self.meter_nanoseconds}
        plain |= {"parts": [asdict(part) for part in self.parts], "structured": asdict(self.structured)}
        plain |= {"amdahl": [asdict(estimate) for estimate in self.amdahl]}
        plain |= {"contracts": [asdict(total) for total in self.contracts]}
        plain |= {"functions": [asdict(total) for total in self.functions]}
        if self.by_transaction:
            plain["by_transaction"] = [profile.to_dict() for profile in self.by_transaction]
        return plain


def sum_of(profiles: Iterable[Bill], name: str) -> Bill:
    """The bill of several blocks or transactions together; the trees stay with their own."""
    all_of = list(profiles)
    if not all_of:
        raise InputError("nothing to add up", field="profiles")
    gas: dict[str, int] = {}
    parts: dict[str, Part] = {}
    for profile in all_of:
        for key, amount in profile.gas.items():
            gas[key] = gas.get(key, 0) + amount
        for part in profile.parts:
            known = parts.get(part.name, Part(part.name, part.kind, 0, 0, 0))
            gas_of, time, count = known.gas + part.gas, known.nanoseconds + part.nanoseconds, known.count + part.count
            parts[part.name] = Part(part.name, part.kind, gas_of, time, count)
    ordered = sorted(parts.values(), key=lambda part: ORDER.index(part.name))
    nanoseconds = sum(part.nanoseconds for part in ordered)
    return Bill(
        name=name,
        fork=_forks(all_of),
        transactions=sum(profile.transactions for profile in all_of),
        gas=gas,
        nanoseconds=nanoseconds,
        meter_nanoseconds=sum(profile.meter_nanoseconds for profile in all_of),
        parts=tuple(ordered),
        structured=_shares(ordered),
        amdahl=tuple(_amdahl(ordered, nanoseconds)),
        contracts=_added(total for profile in all_of for total in profile.contracts),
        functions=_added(total for profile in all_of for total in profile.functions),
    )


def _forks(bills: Sequence[Bill]) -> str:
    names = list(dict.fromkeys(bill.fork for bill in bills))
    return ", ".join(names) if len(names) <= MAX_NAMED_FORKS else f"{names[0]} to {names[-1]}"


def _shares(parts: list[Part]) -> Shares:
    structured = [part for part in parts if part.kind == "structured"]
    gas, time = sum(part.gas for part in parts), sum(part.nanoseconds for part in parts)
    own = sum(part.nanoseconds for part in structured)
    recovery = sum(part.nanoseconds for part in structured if part.name == "signature")
    return Shares(
        gas=_ratio(sum(part.gas for part in structured), gas),
        time=_ratio(own, time),
        time_without_signatures=_ratio(own - recovery, time - recovery),
    )


def _ratio(of: float, whole: float) -> float:
    return of / whole if whole > 0 else 0.0


def _amdahl(parts: list[Part], nanoseconds: int) -> Iterable[Estimate]:
    structured = [part for part in parts if part.kind == "structured" and part.nanoseconds > 0]
    saved = {part.name: part.nanoseconds for part in sorted(structured, key=lambda part: -part.nanoseconds)}
    for name, time in [*saved.items(), ("structured", sum(saved.values()))]:
        share = min(_ratio(time, nanoseconds), 1 - 1e-12)
        yield Estimate(name, share, 1 / (1 - share), 1 / (1 - share + share / 10), time)


def _added(totals: Iterable[Total]) -> tuple[Total, ...]:
    found: dict[tuple[str, str | None, str], Total] = {}
    for total in totals:
        key = (total.address, total.selector, total.kind)
        known = found.get(key)
        if known is None:
            found[key] = total
            continue
        found[key] = Total(
            *key,
            known.calls + total.calls,
            known.gas + total.gas,
            known.structured_gas + total.structured_gas,
            known.nanoseconds + total.nanoseconds,
            known.structured_nanoseconds + total.structured_nanoseconds,
        )
    return tuple(sorted(found.values(), key=lambda total: (-total.gas, total.address)))
