"""Runs official fixtures (a file, a folder, an archive), several files at once.

for case in solder.run_statetests(["fixtures/state_tests"], fork="Osaka"):
    if case.passed is False:
        print(case.name, case.error)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from solder import _native
from solder.config import Config
from solder.spec.cases import CaseResult

VectorKind = Literal["rlp", "trie", "transaction"]


@dataclass(frozen=True, slots=True)
class Parallel:
    """That each case is executed by the parallel engine, and how.

    ``workers`` execute a block together. ``forced`` switches off every rule by which a block runs on fewer, and has
    each transaction run first on wrong values, whose result is thrown away. For each of ``seeds`` the case runs once,
    the workers taking turns in an order drawn from it; empty for once, as the threads happen to run.
    """

    workers: int
    forced: bool = False
    seeds: tuple[int, ...] = ()


class Suite(Iterator[CaseResult]):
    """A run in progress: iterate it for the cases, in the order in which they finish."""

    def __init__(self, run: _native.ConformanceRun) -> None:
        self._run = run

    def __next__(self) -> CaseResult:
        case = next(self._run)
        return CaseResult(
            name=case["name"],
            fork=case["fork"],
            passed=case["passed"],
            error=case["error"],
            file=case["file"],
            seconds=case["seconds"],
            trace=case["trace"],
        )

    @property
    def files_done(self) -> int:
        """Files whose cases have all been run."""
        return self._run.files_done

    @property
    def files_total(self) -> int:
        """Files found so far."""
        return self._run.files_total

    @property
    def cases_done(self) -> int:
        """Cases run so far; the iterator may lag behind."""
        return self._run.cases_done

    @property
    def transactions(self) -> int:
        """Transactions of the blocks that were accepted so far."""
        return self._run.transactions

    @property
    def executions(self) -> int:
        """How often they were executed."""
        return self._run.executions


def _strings(paths: Sequence[str | Path]) -> list[str]:
    if isinstance(paths, str | Path):
        raise TypeError("paths is a list of paths, not one path")
    return [str(path) for path in paths]


def _start(  # noqa: PLR0913 - what the two functions below have in common
    kind: Literal["state", "block"],
    paths: Sequence[str | Path],
    *,
    fork: str | None,
    filter: str | None,
    cases: Sequence[str] | None,
    trace: bool,
    parallel: Parallel | None,
    config: Config | None,
) -> Suite:
    run = _native.ConformanceRun(
        kind,
        _strings(paths),
        fork=fork,
        filter=filter,
        threads=(config or Config.from_environment()).workers,
        trace=trace,
        cases=None if cases is None else set(cases),
        workers=None if parallel is None else parallel.workers,
        forced=parallel is not None and parallel.forced,
        seeds=None if parallel is None else list(parallel.seeds),
    )
    return Suite(run)


def run_statetests(
    paths: Sequence[str | Path],
    *,
    fork: str | None = None,
    filter: str | None = None,
    cases: Sequence[str] | None = None,
    trace: bool = False,
    parallel: Parallel | None = None,
    config: Config | None = None,
) -> Suite:
    """Run state tests: each transaction on its pre-state, post-state root and logs hash checked.

    ``fork`` keeps the cases of one fork, ``filter`` those whose name contains it, ``cases`` those of these names;
    ``trace`` adds an EIP-3155 trace to each failed case. ``parallel`` executes them by the parallel engine.
    ``config.workers`` files run at once. Raises ``InputError`` for a file that is not a fixture.
    """
    return _start("state", paths, fork=fork, filter=filter, cases=cases, trace=trace, parallel=parallel, config=config)


def run_blocktests(
    paths: Sequence[str | Path],
    *,
    fork: str | None = None,
    filter: str | None = None,
    cases: Sequence[str] | None = None,
    trace: bool = False,
    parallel: Parallel | None = None,
    config: Config | None = None,
) -> Suite:
    """Run blockchain tests: blocks imported one by one, expected exceptions matched by name. See ``run_statetests``."""
    return _start("block", paths, fork=fork, filter=filter, cases=cases, trace=trace, parallel=parallel, config=config)


def run_vectortests(
    kind: VectorKind,
    paths: Sequence[str | Path],
    *,
    fork: str | None = None,
    filter: str | None = None,
    config: Config | None = None,
) -> Suite:
    """Run official RLP, trie or transaction tests. See ``run_statetests``."""
    threads = (config or Config.from_environment()).workers
    return Suite(_native.ConformanceRun(kind, _strings(paths), fork=fork, filter=filter, threads=threads, trace=False))
