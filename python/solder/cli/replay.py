"""``solder replay``: real blocks executed and held against their headers."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from solder._native import BlockLoader
from solder.cli.progress import Progress
from solder.cli.status import CHECK_FAILED, OK
from solder.engine import ReplayReport, replay_block

WIDTH = 120
"""Columns of the table where no terminal says how many it has."""

EPILOG = """\b
Examples:
  solder replay examples/blocks
  solder replay examples/blocks/19933122 --repeat 10
  solder replay blocks.tar.xz --json | jq .serial_seconds
"""


@click.command(epilog=EPILOG)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@click.option(
    "--repeat",
    type=click.IntRange(1, 1_000_000),
    default=1,
    show_default=True,
    help="Runs per block; times are minima.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per block on standard output.")
def replay(paths: tuple[Path, ...], repeat: int, as_json: bool) -> int:  # noqa: FBT001 - click passes by name
    """Execute blocks and check gas used, receipts root and logs bloom against their headers.

    PATH is a block folder (block.json, pre_state.json), a folder of such, or an archive of that.
    """
    reports: list[ReplayReport] = []
    for report in _replayed(paths, repeat):
        reports.append(report)
        if as_json:
            sys.stdout.write(json.dumps(report.to_dict()) + "\n")
            sys.stdout.flush()
    if not as_json:
        _print_table(reports)
        for report in reports:
            for line in _complaints(report):
                click.echo(line, err=True)
    return OK if all(report.ok for report in reports) else CHECK_FAILED


def _replayed(paths: tuple[Path, ...], repeat: int) -> Iterator[ReplayReport]:
    loader = BlockLoader()
    names = [name for path in paths for name in loader.find(str(path))]
    with Progress("replay", "blocks") as progress:
        for done, name in enumerate(names):
            progress.update(done, len(names), name.rpartition("/")[2])
            block, state = loader.load(name)
            yield replay_block(block, state, repeat=repeat)


def _complaints(report: ReplayReport) -> Iterator[str]:
    if report.error is not None:
        yield f"block {report.block}: {report.error}"
    for field, ok in (
        ("gas_used", report.gas_used_ok),
        ("receipts_root", report.receipts_root_ok),
        ("logs_bloom", report.logs_bloom_ok),
    ):
        if ok is False:
            yield f"block {report.block}: {field} differs from the header"


def _checks(report: ReplayReport) -> str:
    marks = {True: "ok", False: "WRONG", None: "-"}
    if report.gas_used is None:
        return "rejected"
    named = (("gas", report.gas_used_ok), ("receipts", report.receipts_root_ok), ("bloom", report.logs_bloom_ok))
    told = "  ".join(f"{name} {marks[ok]}" for name, ok in named)
    return told if report.error is None else f"{told}  header WRONG"


def _print_table(reports: list[ReplayReport]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title, justify in (
        ("block", "right"),
        ("fork", "left"),
        ("transactions", "right"),
        ("gas", "right"),
        ("time", "right"),
        ("Mgas/s", "right"),
        ("checks", "left"),
    ):
        table.add_column(title, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for report in reports:
        gas, seconds = report.gas_used, report.serial_seconds
        table.add_row(
            str(report.block),
            report.fork,
            str(report.transactions),
            "-" if gas is None else f"{gas:,}",
            "-" if seconds is None else f"{seconds * 1e3:.3f} ms",
            f"{gas / seconds / 1e6:,.0f}" if gas and seconds else "-",
            _checks(report),
        )
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    with console.capture() as captured:
        console.print(table)
    sys.stdout.writelines(line.rstrip() + "\n" for line in captured.get().splitlines())
    gas_sum = sum(report.gas_used or 0 for report in reports)
    seconds_sum = sum(report.serial_seconds or 0.0 for report in reports)
    wrong = sum(not report.ok for report in reports)
    rate = f", {gas_sum / seconds_sum / 1e6:,.0f} Mgas/s" if seconds_sum else ""
    click.echo(
        f"\n{len(reports)} blocks, {gas_sum:,} gas in {seconds_sum * 1e3:.1f} ms{rate}: "
        + ("every check passed" if not wrong else f"{wrong} failed")
    )
