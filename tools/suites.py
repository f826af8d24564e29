"""Runs the test suites named on the command line and ends with a line per suite.

    python tools/suites.py rust python conformance

Suites: rust (cargo test), python (pytest), conformance (tests/suites.toml), forced (its state and blockchain tests
again by the parallel engine, each transaction misled first). A suite whose data is not there is "absent": that fails
under CI (SOLDER_CI=1) unless SOLDER_NO_DATA=1 says that it is meant. Not a test framework.
"""

import json
import os
import re
import subprocess
import sys
import time
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CARGO_TEST = (
    *("test", "--release", "--locked", "--workspace", "--exclude", "solder-python"),
    *("--features", "solder-fuzz/recorder-switches"),
)
CARGO_RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", re.MULTILINE)
FAILURES_SHOWN = 20
EXECUTING = ("statetest", "blocktest")


@dataclass(frozen=True, slots=True)
class Line:
    """The outcome of one suite. ``problem`` says why it does not count as passed, where that is so."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    absent: int = 0
    seconds: float = 0.0
    problem: str | None = None
    note: str | None = None


def rust() -> Iterator[Line]:
    """Every Rust test outside the bindings, in the release profile: the engine is compiled once."""
    start = time.monotonic()
    command = [os.environ.get("CARGO", "cargo"), *CARGO_TEST]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    sys.stderr.write(done.stdout)
    counts = [tuple(map(int, found)) for found in CARGO_RESULT.findall(done.stdout)]
    passed, failed, ignored = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0, 0)
    problem = f"cargo test ended with {done.returncode}" if done.returncode else None
    yield Line("rust", passed, failed, ignored, seconds=time.monotonic() - start, problem=problem)


def python() -> Iterator[Line]:
    """Every Python test."""
    start = time.monotonic()
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junit-xml={report}"]
        status = subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False).returncode
        suite = ET.parse(report).getroot().find("testsuite") if report.exists() else None  # noqa: S314 - our own file
    if suite is None:
        yield Line("python", seconds=time.monotonic() - start, problem=f"pytest ended with {status}")
        return
    total, failures, errors, skipped = (int(suite.attrib[key]) for key in ("tests", "failures", "errors", "skipped"))
    failed = failures + errors
    problem = f"pytest ended with {status}" if status else None
    yield Line("python", total - failed - skipped, failed, skipped, seconds=time.monotonic() - start, problem=problem)


def conformance() -> Iterator[Line]:
    """The official suites in SOLDER_DATA, by the command line that a user has."""
    for suite in _table()["suite"]:
        yield _official(suite)


def forced() -> Iterator[Line]:
    """The state and blockchain tests by the parallel engine; what must pass serially must pass.

    By 1, 2 and 8 workers; those with blocks of several transactions also under many seeds.
    """
    table = _table()
    for workers in table["forced"]["workers"]:
        for suite in table["suite"]:
            if suite["command"][0] in EXECUTING:
                yield _official(suite, ("--workers", str(workers), "--forced"), f", {workers} workers")
    for suite in table["seeded"]:
        data = Path(os.environ["SOLDER_DATA"])
        seeds = [text for seed in range(suite["seeds"]) for text in ("--seed", str(seed))]
        arguments = ("--workers", str(suite["workers"]), "--forced", "--cases", str(data / suite["list"]), *seeds)
        yield _official(suite, arguments)


def _table() -> dict[str, Any]:
    return tomllib.loads((ROOT / "tests" / "suites.toml").read_text())


@dataclass(slots=True)
class _Counts:
    """What the objects of a command say."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    executions: int = 0
    transactions: int = 0

    def add(self, entry: dict[str, Any]) -> None:
        """Count a case; its failure is shown. The last object holds the executions."""
        if "passed" in entry:
            self.executions, self.transactions = entry.get("executions", 0), entry.get("transactions", 0)
            return
        passed = _replay_passed(entry) if "block" in entry else entry["pass"]
        self.passed += passed is True
        self.failed += passed is False
        self.skipped += passed is None
        if passed is False and self.failed <= FAILURES_SHOWN:
            sys.stderr.write(f"FAILED {entry.get('name', entry.get('block'))}: {entry['error']}\n")


def _official(suite: dict[str, Any], arguments: Sequence[str] = (), suffix: str = "") -> Line:
    name = suite["name"] + suffix
    path = Path(os.environ["SOLDER_DATA"]) / suite["path"]
    if not path.exists():
        return Line(name, absent=1)
    sys.stderr.write(f"--- {name}\n")
    start = time.monotonic()
    command = [sys.executable, "-m", "solder", *suite["command"], str(path), *arguments, "--json"]
    counts = _Counts()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for text in process.stdout or ():
            counts.add(json.loads(text))
    seconds = time.monotonic() - start
    problem = None
    if process.returncode not in (0, 1):
        problem = f"the command ended with {process.returncode}"
    elif counts.passed < suite["cases"]:
        problem = f"at least {suite['cases']} should pass"
    elif counts.failed > suite.get("failed", 0):
        problem = f"at most {suite.get('failed', 0)} may fail"
    elif counts.skipped > suite["skipped"]:
        problem = f"at most {suite['skipped']} may be skipped"
    elif "--forced" in arguments and not 0 < 2 * counts.transactions <= counts.executions:
        problem = f"{counts.executions} executions of {counts.transactions} transactions: not each was misled"
    note = f"known: {suite['why']}" if counts.failed and problem is None else None
    return Line(name, counts.passed, counts.failed, counts.skipped, seconds=seconds, problem=problem, note=note)


def _replay_passed(entry: dict[str, Any]) -> bool:
    checks = ("gas_used_ok", "receipts_root_ok", "logs_bloom_ok")
    return entry["error"] is None and all(entry[check] is not False for check in checks)


SUITES = {"rust": rust, "python": python, "conformance": conformance, "forced": forced}


def main(names: list[str]) -> int:
    """Run the suites, print a line for each, and return the exit status."""
    if not names or set(names) - SUITES.keys():
        sys.stderr.write(f"usage: suites.py SUITE...  ({', '.join(SUITES)})\n")
        return 2
    lines = [line for name in names for line in SUITES[name]()]
    absent = any(line.absent for line in lines)
    if absent:
        print(f"\nabsent: not under {os.environ['SOLDER_DATA']} (SOLDER_DATA names the data folder)")
    width = max(len(line.name) for line in lines)
    print(f"\n{'suite':<{width}}  {'passed':>7} {'failed':>7} {'skipped':>7} {'absent':>7} {'seconds':>8}")
    for line in lines:
        counts = " ".join(f"{count:>7}" for count in (line.passed, line.failed, line.skipped, line.absent))
        remark = line.problem or line.note
        print(f"{line.name:<{width}}  {counts} {line.seconds:>8.1f}" + (f"  {remark}" if remark else ""))
    absence_fails = os.environ.get("SOLDER_CI") == "1" and os.environ.get("SOLDER_NO_DATA") != "1"
    failed = any(line.problem for line in lines) or (absent and absence_fails)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
