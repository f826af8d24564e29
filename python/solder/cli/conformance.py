"""``solder statetest``, ``blocktest`` and ``vectortest``: the official fixtures, with reasons for what fails."""

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from solder.cli.progress import Progress
from solder.cli.status import BAD_INPUT, CHECK_FAILED, OK
from solder.config import MAX_WORKERS, Config
from solder.spec import CaseResult, Suite, Tally, run_blocktests, run_statetests, run_vectortests

if TYPE_CHECKING:
    from solder.spec.suite import VectorKind

EPILOG = """\b
Examples:
  solder {0} fixtures/ --fork Osaka
  solder {0} fixtures.tar.xz --json > cases.jsonl
  solder {0} fixtures/one.json --filter push0 --trace
"""

Result = TypeVar("Result")


def _options(command: Callable[..., Result]) -> Callable[..., Result]:
    for option in (
        click.option("--filter", metavar="TEXT", help="Only cases whose name contains TEXT."),
        click.option(
            "--workers", type=click.IntRange(1, MAX_WORKERS), metavar="N", help="Threads; default: one per CPU."
        ),
        click.option("--json", "as_json", is_flag=True, help="One JSON object per case, last one of counts."),
        click.option("--fork", metavar="F", help="Only cases of this fork; an unknown name is an error."),
        click.argument("paths", nargs=-1, required=True, metavar="PATH..."),
    ):
        command = option(command)
    return command


_trace = click.option("--trace", is_flag=True, help="An EIP-3155 trace of each failed case, on standard error.")


@click.command(epilog=EPILOG.format("statetest"))
@_trace
@_options
def statetest(
    *, paths: tuple[str, ...], filter: str | None, fork: str | None, workers: int | None, trace: bool, as_json: bool
) -> int:
    """Run official state tests (PATH: file, folder or archive); post-state root and logs checked."""
    suite = run_statetests(paths, fork=fork, filter=filter, trace=trace, config=_config(workers))
    return _report("statetest", suite, as_json=as_json)


@click.command(epilog=EPILOG.format("blocktest"))
@_trace
@_options
def blocktest(
    *, paths: tuple[str, ...], filter: str | None, fork: str | None, workers: int | None, trace: bool, as_json: bool
) -> int:
    """Run official blockchain tests (PATH: file, folder or archive); exceptions matched by name."""
    suite = run_blocktests(paths, fork=fork, filter=filter, trace=trace, config=_config(workers))
    return _report("blocktest", suite, as_json=as_json)


@click.command(epilog=EPILOG.format("vectortest --kind rlp"))
@click.option("--kind", type=click.Choice(["rlp", "trie", "transaction"]), required=True, help="What the vectors test.")
@_options
def vectortest(
    *,
    kind: "VectorKind",
    paths: tuple[str, ...],
    filter: str | None,
    fork: str | None,
    workers: int | None,
    as_json: bool,
) -> int:
    """Run official RLP, trie or transaction vectors (PATH: file, folder or archive)."""
    suite = run_vectortests(kind, paths, fork=fork, filter=filter, config=_config(workers))
    return _report(f"{kind} vectors", suite, as_json=as_json)


def _config(workers: int | None) -> Config:
    return Config.from_environment() if workers is None else Config(workers=workers)


def _report(label: str, suite: Suite, *, as_json: bool) -> int:
    tally = Tally()
    show = _show_json if as_json else _show_failure
    with Progress(label, "files") as progress:
        for case in suite:
            tally.add(case)
            show(case)
            progress.update(suite.files_done, suite.files_total, f"{tally.total} cases, {tally.failed} failed")
    if as_json:
        sys.stdout.write(json.dumps(tally.to_dict()) + "\n")
    else:
        _show_slowest(tally)
        for reason, count in tally.reasons.items():
            click.echo(f"skipped {count}: {reason}")
        click.echo(f"{label}: {tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    if not tally.total:
        click.echo(f"{label}: no case matches", err=True)
        return BAD_INPUT
    return CHECK_FAILED if tally.failed else OK


def _show_json(case: CaseResult) -> None:
    sys.stdout.write(json.dumps(case.to_dict()) + "\n")
    _show_trace(case)


def _show_failure(case: CaseResult) -> None:
    if case.passed is False:
        click.echo(f"FAILED {case.name} [{case.fork}] in {case.file}\n    {case.error}")
    _show_trace(case)


def _show_trace(case: CaseResult) -> None:
    if case.trace is not None:
        sys.stderr.write(case.trace if case.trace.endswith("\n") else case.trace + "\n")


def _show_slowest(tally: Tally) -> None:
    if tally.total > 1:
        click.echo("slowest cases:")
        for case in tally.slowest:
            click.echo(f"  {case.seconds * 1e3:10.2f} ms  {case.name} [{case.fork}]")
