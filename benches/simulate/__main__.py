"""``make bench-simulate``: independent calls against pyrevm and plain revm, in one run, alternating, minima.

pyrevm's best use is a loop over ``message_call``; ours is ``State.simulate`` on columns, from the columns to the
results, and the time to make the columns from lists is reported beside it. Plain revm and our own Rust run in
``bench-simulate``, which answers line by line. A table goes to standard error; the last line on standard output is
one JSON object.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import peer
import served
import workload

import solder

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent.parent


class Minima:
    """The least seconds of each name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def run(self, name: str, work: Callable[[], T]) -> T:
        """Time ``work`` once."""
        start = time.perf_counter()
        result = work()
        self.add(name, time.perf_counter() - start)
        return result

    def add(self, name: str, seconds: float) -> None:
        """Count a measurement."""
        self.seconds[name] = min(seconds, self.seconds.get(name, seconds))

    def ratio(self, slower: str, faster: str) -> float | None:
        """How many times faster."""
        both = self.seconds.get(slower), self.seconds.get(faster)
        return None if both[0] is None or both[1] is None else both[0] / both[1]


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="bench-simulate")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--binary", type=Path, default=ROOT / "target" / "release" / "bench-simulate")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    minima = Minima()
    sets = workload.all_of(Path(os.environ.get("SOLDER_DATA", ROOT.parent / "shared" / "data")))
    remotes = {work.name: served.remote(work) for work in sets}
    with subprocess.Popen(  # noqa: S603 - our own binary
        [options.binary],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as native:

        def ask(line: str) -> dict[str, Any]:
            assert native.stdin is not None  # noqa: S101
            assert native.stdout is not None  # noqa: S101
            native.stdin.write(line + "\n")
            native.stdin.flush()
            answer: dict[str, Any] = json.loads(native.stdout.readline())
            return answer

        for repeat in range(options.repeats):
            for work in sets:
                measure(work, remotes[work.name], minima, ask)
            sys.stderr.write(f"\rrun {repeat + 1} of {options.repeats}")
        overlays = ask("overlays")
        assert native.stdin is not None  # noqa: S101
        native.stdin.close()
    report(sets, minima, overlays, options)
    return 0


def measure(
    work: workload.Workload, remote: solder.State, minima: Minima, ask: Callable[[str], dict[str, Any]]
) -> None:
    """Each engine once, one after the other."""
    name = work.name
    calls = minima.run(f"{name}_columns", work.calls)
    ours = minima.run(f"{name}_1", lambda: work.state.simulate(calls, workers=1))
    rival = peer.prepare(work)
    output = minima.run(f"{name}_pyrevm", lambda: peer.run(rival))
    if not ours.ok or bytes(output) != ours.output[len(ours) - 1]:
        raise SystemExit(f"{name}: the engines disagree: {output.hex()}, {ours.output[len(ours) - 1].hex()}")
    # All of it is known after the first time, so that the minimum is of warm ones.
    minima.run(f"{name}_remote", lambda: remote.simulate(calls, workers=1))
    minima.run(f"{name}_2", lambda: work.state.simulate(calls, workers=2))
    answer = ask(f"{name} 1")
    if not answer.get("absent"):
        scale = len(calls) / answer["calls"]
        minima.add(f"{name}_rust", answer["solder"] * scale)
        minima.add(f"{name}_revm", answer["revm"] * scale)


def report(
    sets: list[workload.Workload], minima: Minima, overlays: dict[str, Any], options: argparse.Namespace
) -> None:
    """The table, and the line of JSON."""
    ratios: dict[str, float | None] = {}
    sys.stderr.write("\n")
    for work in sets:
        name, count = work.name, len(work.data)
        ratios[f"{name}_1_vs_pyrevm"] = minima.ratio(f"{name}_pyrevm", f"{name}_1")
        ratios[f"{name}_2_vs_pyrevm"] = minima.ratio(f"{name}_pyrevm", f"{name}_2")
        ratios[f"{name}_1_vs_revm"] = minima.ratio(f"{name}_revm", f"{name}_rust")
        ratios[f"{name}_2_vs_1"] = minima.ratio(f"{name}_1", f"{name}_2")
        ratios[f"{name}_remote_vs_local"] = minima.ratio(f"{name}_remote", f"{name}_1")
        for part in ("1", "2", "remote", "pyrevm", "rust", "revm", "columns"):
            seconds = minima.seconds.get(f"{name}_{part}")
            if seconds is not None:
                sys.stderr.write(f"{name + ' ' + part:<24} {seconds / count * 1e6:8.3f} us a call\n")
    for name, ratio in ratios.items():
        sys.stderr.write(f"{name:<32} {'absent' if ratio is None else f'{ratio:.2f}'}\n")
    sys.stderr.write(
        f"an overlay beside its call {overlays['overlay_us']:.2f} us; {overlays['alive']:,} alive in "
        f"{(overlays['alive_bytes'] or 0) / 2**20:.0f} MiB\n"
    )
    line = json.dumps(
        {
            "benchmark": "simulate",
            "baseline": {"pyrevm": peer.VERSION, "revm": "plain revm on CacheDB, transact"},
            "repeats": options.repeats,
            "statistic": "minimum",
            "load_average": os.getloadavg()[0],
            "python": platform.python_version(),
            "solder": solder.versions()["solder"],
            "microseconds_a_call": {
                name: seconds / len(work.data) * 1e6
                for work in sets
                for name, seconds in minima.seconds.items()
                if name.rpartition("_")[0] == work.name
            },
            "overlays": overlays,
            "ratios": ratios,
        }
    )
    if options.json is not None:
        options.json.write_text(line + "\n")
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
