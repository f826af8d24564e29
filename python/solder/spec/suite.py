"""Runs official fixtures (a file, a folder, an archive) in parallel over files.

for case in solder.run_statetests(["fixtures/state_tests"], fork="Osaka"):
    if case.passed is False:
        print(case.name, case.error)
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from solder import _native
from solder.config import Config
from solder.spec.cases import CaseResult

VectorKind = Literal["rlp", "trie", "transaction"]


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


def _strings(paths: Sequence[str | Path]) -> list[str]:
    if isinstance(paths, str | Path):
        raise TypeError("paths is a list of paths, not one path")
    return [str(path) for path in paths]


def run_statetests(
    paths: Sequence[str | Path],
    *,
    fork: str | None = None,
    filter: str | None = None,
    trace: bool = False,
    config: Config | None = None,
) -> Suite:
    """Run state tests: each transaction on its pre-state, post-state root and logs hash checked.

    ``fork`` keeps the cases of one fork, ``filter`` those whose name contains it; ``trace`` adds an EIP-3155
    trace to each failed case. Raises ``InputError`` for a file that is not a fixture.
    """
    workers = (config or Config.from_environment()).workers
    return Suite(
        _native.ConformanceRun("state", _strings(paths), fork=fork, filter=filter, workers=workers, trace=trace)
    )


def run_blocktests(
    paths: Sequence[str | Path],
    *,
    fork: str | None = None,
    filter: str | None = None,
    trace: bool = False,
    config: Config | None = None,
) -> Suite:
    """Run blockchain tests: blocks imported one by one, expected exceptions matched by name. See ``run_statetests``."""
    workers = (config or Config.from_environment()).workers
    return Suite(
        _native.ConformanceRun("block", _strings(paths), fork=fork, filter=filter, workers=workers, trace=trace)
    )


def run_vectortests(
    kind: VectorKind,
    paths: Sequence[str | Path],
    *,
    fork: str | None = None,
    filter: str | None = None,
    config: Config | None = None,
) -> Suite:
    """Run RLP, trie or transaction tests. See ``run_statetests``."""
    workers = (config or Config.from_environment()).workers
    return Suite(_native.ConformanceRun(kind, _strings(paths), fork=fork, filter=filter, workers=workers, trace=False))
