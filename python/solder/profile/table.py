"""A profile as text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from solder.profile.signatures import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from solder.profile.bill import Bill, Estimate, Total

__all__ = ["shares_table", "table"]

BAR_COLUMNS = 60
TOP = 12
"""Contracts and functions that are shown."""


def table(profile: Bill, *, top: int = TOP, names: dict[str, str] | None = None) -> str:
    """The bar, the parts, Amdahl's estimate, and who cost most."""
    lines = [*_head(profile), "", *_parts(profile), "", *_estimates(profile.amdahl)]
    if profile.functions:
        lines += ["", *_totals("function", profile.functions, top, names)]
    if profile.contracts:
        lines += ["", *_totals("contract", profile.contracts, top, names)]
    return "\n".join(lines) + "\n"


def shares_table(profiles: Iterable[Bill]) -> str:
    """A line for each: gas, time, and what share of both is structured."""
    lines = [f"{'':<32}{'fork':<18}{'gas':>14}{'structured':>12}{'time':>12}{'structured':>12}{'senders known':>15}"]
    for profile in profiles:
        share = profile.structured
        lines.append(
            f"{profile.name:<32}{profile.fork:<18}{profile.gas['total']:>14,}{share.gas:>12.1%}"
            f"{_time(profile.nanoseconds):>12}{share.time:>12.1%}{share.time_without_signatures:>15.1%}"
        )
    return "\n".join(lines) + "\n"


def _head(profile: Bill) -> Iterator[str]:
    gas = profile.gas
    many = "" if profile.transactions == 1 else f", {profile.transactions:,} transactions"
    yield f"{profile.name} ({profile.fork}{many}): {gas['total']:,} gas in {_time(profile.nanoseconds)}"
    share = profile.structured
    rows = (("gas", share.gas), ("time", share.time), ("time, senders known", share.time_without_signatures))
    for name, structured in rows:
        full = round(structured * BAR_COLUMNS)
        bar = "#" * full + "." * (BAR_COLUMNS - full)
        yield f"  {name:<20}{bar} {structured:6.1%} structured"


def _parts(profile: Bill) -> Iterator[str]:
    spent = sum(part.gas for part in profile.parts)
    yield f"{'part':<18}{'kind':<12}{'gas':>14}{'':>8}{'time':>13}{'':>8}{'count':>12}"
    for part in profile.parts:
        gas = f"{part.gas:>14,}{_share(part.gas, spent)}" if part.gas else f"{'-':>14}{'':>8}"
        time = f"{_time(part.nanoseconds):>13}{_share(part.nanoseconds, profile.nanoseconds)}"
        yield f"{part.name:<18}{part.kind:<12}{gas}{time}{part.count:>12,}"
    yield f"{'spent':<30}{spent:>14,}{'':>8}{_time(profile.nanoseconds):>13}"
    yield f"{'refund':<30}{-profile.gas['refund']:>14,}"
    yield f"{'floor_top_up':<30}{profile.gas['floor_top_up']:>14,}"
    yield f"{'gas used':<30}{profile.gas['total']:>14,}"


def _estimates(amdahl: tuple[Estimate, ...]) -> Iterator[str]:
    yield f"{'if a coprocessor took':<24}{'of the time':>12}{'10x faster':>12}{'for nothing':>12}"
    for estimate in amdahl:
        name = "all structured" if estimate.part == "structured" else estimate.part
        yield f"{name:<24}{estimate.share:>12.1%}{estimate.speedup_at_10x:>11.2f}x{estimate.speedup_limit:>11.2f}x"


def _totals(title: str, totals: tuple[Total, ...], top: int, names: dict[str, str] | None) -> Iterator[str]:
    yield f"{title:<58}{'calls':>8}{'gas':>14}{'struct.':>8}{'time':>12}{'struct.':>8}"
    for total in totals[:top]:
        name = name_of(total.address, total.selector, total.kind, names)
        if len(name) > 57:  # noqa: PLR2004 - the column
            name = name[:54] + "..."
        gas, time = (
            _share(total.structured_gas, total.gas),
            _share(total.structured_nanoseconds, total.nanoseconds),
        )
        yield f"{name:<58}{total.calls:>8,}{total.gas:>14,}{gas}{_time(total.nanoseconds):>12}{time}"
    if len(totals) > top:
        yield f"and {len(totals) - top:,} more"


def _share(of: int, whole: int) -> str:
    return f"{of / whole:>8.1%}" if whole > 0 else f"{'':>8}"


def _time(nanoseconds: int) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if abs(nanoseconds) >= size:
            return f"{nanoseconds / size:,.2f} {unit}"
    return f"{nanoseconds} ns"
