"""``solder statetest``, ``blocktest`` and ``vectortest``: the official fixtures, with reasons for what fails."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar, Unpack

import click

from solder.cli.case_list import read_case_list
from solder.cli.progress import Progress
from solder.cli.status import BAD_INPUT, CHECK_FAILED, OK
from solder.config import MAX_WORKERS, Config, usable_cpus
from solder.engine import MAX_SEED
from solder.spec import CaseResult, Parallel, Suite, Tally, run_blocktests, run_statetests, run_vectortests

if TYPE_CHECKING:
    from solder.spec.suite import VectorKind

EPILOG = """\b
Examples:
  solder {0} fixtures/ --fork Osaka
  solder {0} fixtures.tar.xz --json > cases.jsonl
  solder {0} fixtures/one.json --filter push0 --trace
  solder {0} fixtures.tar.xz --workers 2 --forced
  solder {0} fixtures.tar.xz --workers 8 --forced --seed 1 --seed 2
"""
VECTOR_EPILOG = """\b
Examples:
  solder vectortest --kind rlp fixtures/
  solder vectortest --kind trie fixtures.tar.xz --json > cases.jsonl
"""

Result = TypeVar("Result")


class _Options(TypedDict):
    """What click gives to the commands that execute."""

    filter: str | None
    fork: str | None
    cases: Path | None
    trace: bool
    workers: int | None
    forced: bool
    seeds: tuple[int, ...]
    threads: int | None


def _options(command: Callable[..., Result]) -> Callable[..., Result]:
    for option in (
        click.option("--filter", metavar="TEXT", help="Only cases whose name contains TEXT."),
        click.option("--json", "as_json", is_flag=True, help="One JSON object per case, last one of counts."),
        click.option("--fork", metavar="F", help="Only cases of this fork; an unknown name is an error."),
        click.argument("paths", nargs=-1, required=True, metavar="PATH..."),
    ):
        command = option(command)
    return command


def _engine_options(command: Callable[..., Result]) -> Callable[..., Result]:
    for option in (
        click.option("--trace", is_flag=True, help="An EIP-3155 trace of each failed case, on standard error."),
        click.option(
            "--seed",
            "seeds",
            type=click.IntRange(0, MAX_SEED),
            multiple=True,
            metavar="S",
            help="Workers take turns, by this seed; given again: each case once more, by that one.",
        ),
        click.option(
            "--forced", is_flag=True, help="No block is too small, and each transaction runs first on wrong values."
        ),
        click.option(
            "--workers",
            type=click.IntRange(0, MAX_WORKERS),
            metavar="N",
            help="Execute each block on N workers (0: one on each CPU, the default of --forced and --seed).",
        ),
        click.option(
            "--cases",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Only the cases named in FILE: a name a line, or JSON lines with `test`; .xz is unpacked.",
        ),
        click.option(
            "--threads",
            type=click.IntRange(1, MAX_WORKERS),
            metavar="N",
            help="Files at once; default: as many as there are CPUs for, given the workers.",
        ),
    ):
        command = option(command)
    return _options(command)


@click.command(epilog=EPILOG.format("statetest"))
@_engine_options
def statetest(*, paths: tuple[str, ...], as_json: bool, **options: Unpack[_Options]) -> int:
    """Run official state tests (PATH: file, folder or archive); post-state root and logs checked."""
    return _run("statetest", run_statetests, paths, options, as_json=as_json)


@click.command(epilog=EPILOG.format("blocktest"))
@_engine_options
def blocktest(*, paths: tuple[str, ...], as_json: bool, **options: Unpack[_Options]) -> int:
    """Run official blockchain tests (PATH: file, folder or archive); exceptions matched by name."""
    return _run("blocktest", run_blocktests, paths, options, as_json=as_json)


@click.command(epilog=VECTOR_EPILOG)
@click.option("--kind", type=click.Choice(["rlp", "trie", "transaction"]), required=True, help="What the vectors test.")
@click.option(
    "--threads", type=click.IntRange(1, MAX_WORKERS), metavar="N", help="Files at once; default: one per CPU."
)
@_options
def vectortest(
    *,
    kind: "VectorKind",
    paths: tuple[str, ...],
    filter: str | None,
    fork: str | None,
    threads: int | None,
    as_json: bool,
) -> int:
    """Run official RLP, trie or transaction vectors (PATH: file, folder or archive)."""
    suite = run_vectortests(kind, paths, fork=fork, filter=filter, config=_config(threads, 1))
    return _report(f"{kind} vectors", suite, as_json=as_json)


def _run(label: str, start: Callable[..., Suite], paths: tuple[str, ...], options: _Options, *, as_json: bool) -> int:
    workers = options["workers"]
    if workers == 0 or (workers is None and (options["forced"] or options["seeds"])):
        workers = min(usable_cpus(), MAX_WORKERS)
    parallel = None if workers is None else Parallel(workers, options["forced"], options["seeds"])
    suite = start(
        paths,
        fork=options["fork"],
        filter=options["filter"],
        cases=None if options["cases"] is None else read_case_list(options["cases"]),
        trace=options["trace"],
        parallel=parallel,
        # Workers that take turns are one at work.
        config=_config(options["threads"], 1 if options["seeds"] else workers or 1),
    )
    return _report(label, suite, as_json=as_json, counted=parallel is not None)


def _config(threads: int | None, workers: int) -> Config:
    """Runner threads: each of them has its block's workers, and all share the CPUs."""
    return Config(workers=threads or max(1, Config.from_environment().workers // workers))


def _report(label: str, suite: Suite, *, as_json: bool, counted: bool = False) -> int:
    tally = Tally()
    show = _show_json if as_json else _show_failure
    with Progress(label, "files") as progress:
        for case in suite:
            tally.add(case)
            show(case)
            progress.update(suite.files_done, suite.files_total, f"{tally.total} cases, {tally.failed} failed")
    if counted:
        tally.executions, tally.transactions = suite.executions, suite.transactions
    if as_json:
        sys.stdout.write(json.dumps(tally.to_dict()) + "\n")
    else:
        _show_slowest(tally)
        for reason, count in tally.reasons.items():
            click.echo(f"skipped {count}: {reason}")
        click.echo(f"{label}: {tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
        if counted:
            click.echo(f"{tally.executions} executions of {tally.transactions} transactions")
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
