"""Runs the test suites named on the command line and ends with a line per suite.

    python tools/suites.py rust python conformance

Suites: rust (cargo test), python (pytest), conformance (tests/suites.toml). A suite whose data is not there is
"absent": that fails under CI (SOLDER_CI=1) unless SOLDER_NO_DATA=1 says that it is meant. Not a test framework.
"""

import json
import os
import re
import subprocess
import sys
import time
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
CARGO_TEST = ("test", "--release", "--locked", "--workspace", "--exclude", "solder-python")
CARGO_RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", re.MULTILINE)
FAILURES_SHOWN = 20


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
    data = Path(os.environ["SOLDER_DATA"])
    for suite in tomllib.loads((ROOT / "tests" / "suites.toml").read_text())["suite"]:
        path = data / suite["path"]
        if path.exists():
            yield _official(suite, path)
        else:
            yield Line(suite["name"], absent=1)


def _official(suite: dict[str, object], path: Path) -> Line:
    name = str(suite["name"])
    sys.stderr.write(f"--- {name}\n")
    start = time.monotonic()
    command = [sys.executable, "-m", "solder", *suite["command"], str(path), "--json"]  # type: ignore[misc]
    counts = {True: 0, False: 0, None: 0}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for text in process.stdout or ():
            entry = json.loads(text)
            if "passed" in entry:
                continue
            passed = _replay_passed(entry) if "block" in entry else entry["pass"]
            counts[passed] += 1
            if passed is False and counts[False] <= FAILURES_SHOWN:
                sys.stderr.write(f"FAILED {entry.get('name', entry.get('block'))}: {entry['error']}\n")
    seconds = time.monotonic() - start
    problem = None
    if process.returncode not in (0, 1):
        problem = f"the command ended with {process.returncode}"
    elif counts[True] < int(str(suite["cases"])):
        problem = f"at least {suite['cases']} should pass"
    elif counts[False] > int(str(suite.get("failed", 0))):
        problem = f"at most {suite.get('failed', 0)} may fail"
    elif counts[None] > int(str(suite["skipped"])):
        problem = f"at most {suite['skipped']} may be skipped"
    note = f"known: {suite['why']}" if counts[False] and problem is None else None
    return Line(name, counts[True], counts[False], counts[None], seconds=seconds, problem=problem, note=note)


def _replay_passed(entry: dict[str, object]) -> bool:
    checks = ("gas_used_ok", "receipts_root_ok", "logs_bloom_ok")
    return entry["error"] is None and all(entry[check] is not False for check in checks)


SUITES = {"rust": rust, "python": python, "conformance": conformance}


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
