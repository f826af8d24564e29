"""How long a whole process takes, ours against the reference's: `python -m tests.t8n.speed ARCHIVE... [--repeat 5]`.

Inputs are drawn from the fixtures, written to files, and given to both commands in turn; the least of the repeats
counts. Start-up is in it, since that is most of what a test author waits for. Prints a row per fork and, last, a JSON
object whose `ratios` are reference seconds / ours.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from .fixtures import cases, files
from .inputs import FixtureChain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .inputs import TransitionInput

TIMEOUT_SECONDS = 300


def drawn(paths: list[Path], count: int, seed: int) -> Iterator[TransitionInput]:
    """First blocks of cases: `count` from each archive."""
    for path in paths:
        rng = random.Random(seed)
        contents = dict(files(path))
        for name in rng.sample(sorted(contents), min(count, len(contents))):
            found = cases(contents[name])
            case = rng.choice(sorted(found))
            given = FixtureChain(case, found[case], seed).input(0)
            if given is not None and not given.has_ommers:
                yield given


def seconds(command: list[str], folder: Path) -> float | None:
    """Wall-clock of one run; None where the command fails."""
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=TIMEOUT_SECONDS)
    elapsed = time.perf_counter() - started
    return elapsed if done.returncode == 0 else None


def measure(given: TransitionInput, commands: list[list[str]], repeat: int) -> list[float] | None:
    """The least time of each command on one input; None where one of them fails."""
    flags = ["t8n", f"--state.fork={given.fork}", f"--state.chainid={given.chain_id}"]
    flags += [f"--input.{part}={part}.json" for part in ("alloc", "env", "txs")]
    flags += ["--output.basedir=out", "--output.body=body.rlp"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "out").mkdir()
        for part, value in given.stdin.items():
            (folder / f"{part}.json").write_text(json.dumps(value))
        least = [float("inf")] * len(commands)
        for _ in range(repeat):
            for index, command in enumerate(commands):
                elapsed = seconds(command + flags, folder)
                if elapsed is None:
                    return None
                least[index] = min(least[index], elapsed)
    return least


def main() -> int:
    """Run the measurement from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--count", type=int, default=10, help="inputs from each archive")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--solder", default=str(Path(sys.executable).with_name("solder")))
    parser.add_argument("--reference", default=str(Path(sys.executable).with_name("ethereum-spec-evm")))
    args = parser.parse_args()
    times: dict[str, list[list[float]]] = defaultdict(list)
    for given in drawn(args.paths, args.count, args.seed):
        least = measure(given, [[args.reference], [args.solder]], args.repeat)
        if least is not None:
            times[given.fork].append(least)
    print(f"{'fork':<20} {'inputs':>6} {'reference s':>12} {'ours s':>10} {'ratio':>7}")
    ratios = {}
    every = [least for rows in times.values() for least in rows]
    for fork, rows in [*sorted(times.items()), ("all", every)]:
        reference, ours = (sum(column) for column in zip(*rows, strict=True))
        ratios[fork] = round(reference / ours, 1)
        print(f"{fork:<20} {len(rows):>6} {reference:>12.3f} {ours:>10.3f} {ratios[fork]:>7}")
    print(json.dumps({"ratios": ratios, "repeat": args.repeat, "inputs": len(every)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
