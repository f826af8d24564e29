"""``solder schedule``: what a saved schedule says, as figures or as a picture."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from solder._native import Schedule
from solder.cli.status import BAD_INPUT, OK
from solder.errors import InputError

if TYPE_CHECKING:
    from solder._native import HotDict, ScheduledBlockDict, SharingDict, SummaryDict

WIDTH = 120
"""Columns of the tables where no terminal says how many it has."""

LARGEST = 2**64 - 1
SHORT_SLOT = 20

EPILOG = """\b
Examples:
  solder replay examples/blocks --workers 2 --schedule schedule.json
  solder schedule schedule.json
  solder schedule schedule.json --min-gas 4000000 --min-transactions 8 --json
  solder schedule schedule.json --block 17034870 --svg schedule.svg

A trace viewer such as ui.perfetto.dev opens the same file.
"""

EXPLANATION = """\
sharing    what executions and commits took on workers that share the block, over what they took on one worker alone
limit      serial time over the larger of the critical path (transactions one after the other where one reads what
           the other wrote) and the work shared equally
predicted  serial time over what the same scheduler would take, from the recorded times, reads and writes"""


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--min-gas", type=click.IntRange(min=0), default=0, metavar="G", help="Only blocks of G gas.")
@click.option(
    "--min-transactions",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Only blocks of N transactions.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option(
    "--svg",
    is_flag=False,
    flag_value="-",
    default=None,
    metavar="[PATH]",
    help="A picture of one block; without PATH on standard output.",
)
@click.option("--block", type=click.IntRange(min=0), metavar="B", help="Draw this one, not the longest.")
def schedule(
    *, file: Path, min_gas: int, min_transactions: int, as_json: bool, svg: str | None, block: int | None
) -> int:
    """Say how well a recorded run used its workers, and what more workers would give.

    FILE was saved by `solder replay --schedule` or by `result.schedule.save(path)`.
    """
    if as_json and svg is not None:
        raise click.UsageError("--json and --svg exclude each other")
    if block is not None and svg is None:
        raise click.UsageError("--block needs --svg")
    saved = Schedule.load(str(file))
    if svg is not None:
        if block is not None and block not in {entry["number"] for entry in saved.blocks}:
            raise InputError(f"no block {block} in it", str(file), "--block")
        _write_picture(saved.svg(block), svg)
        return OK
    # Any number may be asked for; a file holds numbers of 64 bits.
    min_gas, min_transactions = min(min_gas, LARGEST), min(min_transactions, LARGEST)
    counted = [
        entry for entry in saved.blocks if entry["gas_used"] >= min_gas and entry["transactions"] >= min_transactions
    ]
    if not counted:
        click.echo("schedule: no block passes the filters", err=True)
        return BAD_INPUT
    summary = saved.summary(min_gas=min_gas, min_transactions=min_transactions)
    if as_json:
        sys.stdout.write(json.dumps(summary) + "\n")
    else:
        _print_summary(summary, counted)
    return OK


def _write_picture(text: str, path: str) -> None:
    if path == "-":
        sys.stdout.write(text)
        return
    beside = Path(f"{path}.{os.getpid()}.part")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    click.echo(f"{path}: {len(text):,} bytes", err=True)


def _print_summary(summary: "SummaryDict", blocks: "list[ScheduledBlockDict]") -> None:
    transactions = sum(entry["transactions"] for entry in blocks)
    executions = sum(entry["executions"] for entry in blocks)
    conflicts = sum(entry["conflicts"] for entry in blocks)
    measured = summary["measured_speedup"]
    told = [
        ("blocks", f"{len(blocks):,}"),
        ("transactions", f"{transactions:,}"),
        ("executions", f"{executions:,}, of which {conflicts:,} thrown away"),
        ("workers", str(summary["workers"])),
        ("utilisation", "-" if summary["utilisation"] is None else f"{summary['utilisation']:.1%}"),
        ("critical path", f"{summary['critical_path_seconds'] * 1e3:.3f} ms"),
        ("measured", "- (the file has no serial times)" if measured is None else f"{measured:.2f}x serial"),
        ("sharing", _sharing(summary["sharing"])),
    ]
    click.echo("".join(f"{name:<14}{value}\n" for name, value in told))
    _print_table(
        ["workers", *summary["limit"]],
        [
            ["limit", *map(_times, summary["limit"].values())],
            ["predicted", *map(_times, summary["predicted_speedup"].values())],
        ],
    )
    click.echo("\n" + EXPLANATION)
    if summary["hottest"]:
        click.echo()
        _print_table(
            ["aborts", "dependencies", "hottest locations"],
            [[str(hot["aborts"]), str(hot["dependencies"]), _location(hot)] for hot in summary["hottest"]],
        )


def _sharing(sharing: "SharingDict") -> str:
    executions, commits = sharing["executions"], sharing["commits"]
    if executions is None:
        return "- (needs a record of several workers and one of one)"
    return f"executions {_times(executions)}, commits {_times(commits)} of what they take alone"


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}x"


def _location(hot: "HotDict") -> str:
    owner = hot["address"] if hot["contract"] is None else f"{hot['contract']} ({hot['address']})"
    slot = hot["slot"]
    if slot is None:
        return f"{owner} {hot['field']}"
    # A hashed slot is as long as the line: its ends tell it apart.
    short = slot if len(slot) <= SHORT_SLOT else f"{slot[:10]}…{slot[-8:]}"
    return f"{owner} slot {short if hot['meaning'] is None else hot['meaning']}"


def _print_table(titles: list[str], rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        is_text = title.endswith("locations") or title == "workers"
        table.add_column(title, justify="left" if is_text else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    with console.capture() as captured:
        console.print(table)
    sys.stdout.writelines(line.rstrip() + "\n" for line in captured.get().splitlines())
