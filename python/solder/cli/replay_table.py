"""The table of ``solder replay``: a line for each block, and their sum."""

import sys

import click

from solder.engine import ParallelReport, ReplayReport

WIDTH = 120
"""Columns of the table where no terminal says how many it has."""

START = (("block", "right"), ("fork", "left"), ("transactions", "right"), ("gas", "right"), ("time", "right"))
SERIAL = (("Mgas/s", "right"),)
PARALLEL = (("parallel", "right"), ("speed-up", "right"), ("re-executions", "right"))
CHECKS = (("checks", "left"),)
CLAMPED = "*"
"""Beside the speed-up of a block that ran on one worker although more were asked for."""


def print_table(reports: list[ReplayReport]) -> None:
    """Print the table and the sum; the columns of parallel runs only where there were any."""
    from rich.console import Console
    from rich.table import Table

    parallel = any(report.parallel is not None for report in reports)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title, justify in (*START, *(PARALLEL if parallel else SERIAL), *CHECKS):
        table.add_column(title, justify=justify, no_wrap=True)
    for report in reports:
        own = _parallel_cells(report) if parallel else (_rate(report),)
        table.add_row(*_start_cells(report), *own, _checks(report))
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    with console.capture() as captured:
        console.print(table)
    sys.stdout.writelines(line.rstrip() + "\n" for line in captured.get().splitlines())
    click.echo("\n" + _sum(reports))


def _start_cells(report: ReplayReport) -> tuple[str, ...]:
    gas = "-" if report.gas_used is None else f"{report.gas_used:,}"
    return (str(report.block), report.fork, str(report.transactions), gas, _milliseconds(report.serial_seconds))


def _rate(report: ReplayReport) -> str:
    gas, seconds = report.gas_used, report.serial_seconds
    return f"{gas / seconds / 1e6:,.0f}" if gas and seconds else "-"


def _parallel_cells(report: ReplayReport) -> tuple[str, ...]:
    found, serial = report.parallel, report.serial_seconds
    if found is None or serial is None or found.parallel_seconds is None:
        return ("-", "-", "-")
    mark = CLAMPED if _is_clamped(found) else " " * len(CLAMPED)
    repeated = max(0, found.executions - report.transactions)
    return (_milliseconds(found.parallel_seconds), f"{serial / found.parallel_seconds:.2f}x{mark}", str(repeated))


def _is_clamped(found: ParallelReport) -> bool:
    return found.workers_used == 1 < found.workers


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1e3:.3f} ms"


def _checks(report: ReplayReport) -> str:
    if report.gas_used is None:
        return "rejected"
    made = {"gas": report.gas_used_ok, "receipts": report.receipts_root_ok, "bloom": report.logs_bloom_ok}
    if report.parallel is not None:
        made["parallel"] = report.parallel.parallel_equals_serial
    wrong = [f"{name} WRONG" for name, ok in made.items() if ok is False]
    absent = [f"{name} -" for name, ok in made.items() if ok is None]
    if report.error is not None and not wrong:
        wrong = ["header WRONG"]
    return ", ".join((wrong or ["ok"]) + absent)


def _sum(reports: list[ReplayReport]) -> str:
    gas = sum(report.gas_used or 0 for report in reports)
    seconds = sum(report.serial_seconds or 0.0 for report in reports)
    wrong = sum(not report.ok for report in reports)
    rate = f", {gas / seconds / 1e6:,.0f} Mgas/s" if seconds else ""
    verdict = "every check passed" if not wrong else f"{wrong} failed"
    line = f"{len(reports)} blocks, {gas:,} gas in {seconds * 1e3:.1f} ms{rate}"
    found = [report.parallel for report in reports if report.parallel is not None]
    if found:
        parallel = sum(each.parallel_seconds or 0.0 for each in found)
        speed_up = f", {seconds / parallel:.2f}x" if parallel else ""
        workers = found[0].workers
        line += f"; with {workers} worker{'s' * (workers > 1)} {parallel * 1e3:.1f} ms{speed_up}"
    line += f": {verdict}"
    if any(map(_is_clamped, found)):
        line += f"\n{CLAMPED} ran on one worker: too short to share, or a single transaction"
    return line
