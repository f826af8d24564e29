"""``solder replay``: real blocks executed and held against their headers, and in parallel against serial."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict, Unpack

import click

from solder._native import BlockLoader, save_schedules
from solder.cli.progress import Progress
from solder.cli.replay_table import print_table
from solder.cli.status import CHECK_FAILED, OK
from solder.config import MAX_WORKERS
from solder.engine import MAX_SEED, ReplayReport, replay_block
from solder.errors import InputError

EPILOG = """\b
Examples:
  solder replay examples/blocks
  solder replay examples/blocks/19933122 --repeat 10
  solder replay blocks.tar.xz --json | jq .serial_seconds
  solder replay examples/blocks --workers 0 --repeat 5 --schedule schedule.json
  solder replay examples/blocks --workers 8 --mislead --seed 7
"""


class _Runs(TypedDict):
    """How each block is run, as ``replay_block`` takes it."""

    repeat: int
    workers: int | None
    forced: bool
    mislead: bool
    seed: int | None


@click.command(epilog=EPILOG)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@click.option(
    "--repeat",
    type=click.IntRange(1, 1_000_000),
    default=1,
    show_default=True,
    help="Runs per block; times are minima.",
)
@click.option(
    "--workers",
    type=click.IntRange(0, MAX_WORKERS),
    metavar="N",
    help="Replay in parallel too, on N workers (0: one on each CPU, the default of the options below).",
)
@click.option("--schedule", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Save who did what.")
@click.option("--forced", is_flag=True, help="Take the parallel path whatever the size of a block.")
@click.option("--mislead", is_flag=True, help="Run each transaction first on wrong values; implies --forced.")
@click.option("--seed", type=click.IntRange(0, MAX_SEED), metavar="S", help="Workers take turns, by this seed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per block on standard output.")
def replay(*, paths: tuple[Path, ...], schedule: Path | None, as_json: bool, **runs: Unpack[_Runs]) -> int:
    """Execute blocks and check gas used, receipts root and logs bloom against their headers.

    PATH is a block folder (block.json, pre_state.json), a folder of such, or an archive of that. With --workers each
    repeat is a serial run and a parallel one, and receipts and changes of both are compared.
    """
    if runs["workers"] is None and (schedule or runs["forced"] or runs["mislead"] or runs["seed"] is not None):
        runs["workers"] = 0
    if schedule is not None and not schedule.absolute().parent.is_dir():
        raise InputError("no such folder", path=str(schedule.absolute().parent), field="--schedule")
    reports: list[ReplayReport] = []
    for report in _replayed(paths, runs, schedule=schedule is not None):
        reports.append(report)
        if as_json:
            sys.stdout.write(json.dumps(report.to_dict()) + "\n")
            sys.stdout.flush()
    if not as_json:
        print_table(reports)
        for report in reports:
            for line in _complaints(report):
                click.echo(line, err=True)
    if schedule is not None:
        _save(schedule, reports, quiet=as_json)
    return OK if all(report.ok for report in reports) else CHECK_FAILED


def _replayed(paths: tuple[Path, ...], runs: _Runs, *, schedule: bool) -> Iterator[ReplayReport]:
    loader = BlockLoader()
    names = [name for path in paths for name in loader.find(str(path))]
    with Progress("replay", "blocks") as progress:
        for done, name in enumerate(names):
            progress.update(done, len(names), name.rpartition("/")[2])
            block, state = loader.load(name)
            yield replay_block(block, state, schedule=schedule, **runs)


def _save(path: Path, reports: list[ReplayReport], *, quiet: bool) -> None:
    schedules = [report.schedule for report in reports if report.schedule is not None]
    if not schedules:
        click.echo("no block ran in parallel: no schedule is written", err=True)
        return
    save_schedules(str(path), schedules)
    blocks = f"{len(schedules)} block{'s' * (len(schedules) > 1)}"
    click.echo(
        f"\nThe schedule of {blocks} is in {path}: open it at https://ui.perfetto.dev, or see `solder schedule {path}`",
        err=quiet,
    )


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
