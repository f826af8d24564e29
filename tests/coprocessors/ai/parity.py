"""The executor against the reference on random graphs: the same bits for every kernel, split of the batch and team.

    python -m tests.coprocessors.ai.parity --graphs 100000 --seed 0 --mutants 2

Each seed is one graph; a difference ends the run with its seed and the first node that differs, and
``--graphs 1 --seed S`` repeats it. Mutants of each file must be taken or refused alike.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from solder import _native
from solder.coprocessors.ai.artefact import Artefact, container, quote, read_artefact, write_artefact
from solder.coprocessors.ai.graph import BATCH, Output
from solder.coprocessors.ai.graph_canonical import canonical_text
from solder.coprocessors.ai.reference import run, run_values
from solder.errors import InputError, SolderError

from .generator import Case, random_case
from .mutations import mutant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy.typing as npt

MAX_THREADS = 8


@dataclass
class Parity:
    """Compares case by case, and counts what has been compared."""

    kernels: tuple[str, ...]
    operators: Counter[str] = field(default_factory=Counter)
    graphs: int = 0
    runs: int = 0
    taken: int = 0
    refused: int = 0

    def check(self, case: Case) -> None:
        """AssertionError, with the first node that differs, unless everything is equal."""
        raw = container(canonical_text(case.graph.as_json()), case.tensors)
        plain, native = read_artefact(raw), _native.Artefact.load(raw)
        assert native.identity.hex() == plain.identity
        self._same_admission("", plain, native)
        wanted = run(plain, case.inputs)
        dice = random.Random(case.seed ^ 0x5EED)
        for kernel in self.kernels:
            threads = dice.choice((1, 1, 2, dice.randint(1, MAX_THREADS)))
            # However little there is to do, it is divided.
            found = native.run(case.inputs, kernel=kernel, threads=threads, thread_macs=dice.choice((1, None)))
            self._equal(case, kernel, threads, wanted, found)
        batch = len(next(iter(case.inputs.values())))
        if batch > 1:
            kernel, threads = dice.choice(self.kernels), dice.randint(1, MAX_THREADS)
            cuts = [0, *sorted(dice.sample(range(1, batch), dice.randint(1, min(batch - 1, 4)))), batch]
            pieces = [{name: array[a:b] for name, array in case.inputs.items()} for a, b in pairwise(cuts)]
            parts = [native.run(piece, kernel=kernel, threads=threads, thread_macs=1) for piece in pieces]
            joined = {name: np.concatenate([part[name] for part in parts]) for name in wanted}
            self._equal(case, kernel, threads, wanted, joined)
        self.graphs += 1
        self.operators.update(node.operator for node in case.graph.nodes)

    def check_mutants(self, case: Case, count: int) -> None:
        """Each mutant is taken by both, with the same values and cost, or refused by both."""
        dice = random.Random(case.seed ^ 0xBAD)
        for number in range(count):
            raw = mutant(case, dice)
            plain, why = _read(raw)
            native, reason = _load(raw)
            where = f"mutant {number}"
            verdicts = f"reference {why or 'takes it'}; executor {reason or 'takes it'}"
            assert (plain is None) == (native is None), f"{where}: {verdicts}"
            if plain is None:
                self.refused += 1
            else:
                self.taken += 1
                self._same_admission(where, plain, native)

    def _same_admission(self, where: str, plain: Artefact, native: Any) -> None:
        values = {
            item["name"]: (item["bits"], tuple(item["shape"]), item["minimum"], item["maximum"])
            for item in native.values()
        }
        for name, value in plain.values.items():
            want = (value.bits, value.shape, value.low, value.high)
            assert values[name] == want, f"{where} {name} is {values[name]}, not {want}"
        assert values.keys() == plain.values.keys(), f"{where} other values"
        cost, found = quote(plain, 1), native.cost(1, plain.graph.sequence_limit)
        nodes = [(node.name, node.operator, node.multiply_accumulates, node.bytes) for node in cost.nodes]
        others = [(node["name"], node["operator"], node["macs"], node["bytes"]) for node in found["nodes"]]
        differing = [pair for pair in zip(nodes, others, strict=False) if pair[0] != pair[1]]
        assert nodes == others, f"{where} cost {differing[:1]}"
        assert (found["macs"], found["bytes"]) == (cost.multiply_accumulates, cost.bytes), f"{where} cost"

    def _equal(
        self,
        case: Case,
        kernel: str,
        threads: int,
        wanted: Mapping[str, npt.NDArray[Any]],
        found: Mapping[str, npt.NDArray[Any]],
    ) -> None:
        self.runs += 1
        where = f"kernel {kernel}, {threads} threads"
        for name, array in wanted.items():
            same = array.dtype == found[name].dtype and np.array_equal(array, found[name])
            assert same, f"{where}: {name} differs; {first_difference(case, kernel)}"
        assert wanted.keys() == found.keys(), f"{where}: other outputs"


def first_difference(case: Case, kernel: str) -> str:
    """The first node whose output differs where every value is an output, so that nothing is fused."""
    plain = read_artefact(write_artefact(case.graph, case.tensors))
    names = [name for name, value in plain.values.items() if value.shape[0] == BATCH]
    graph = replace(case.graph, outputs=tuple(Output(name) for name in names[:64]))
    native = _native.Artefact.load(write_artefact(graph, case.tensors))
    found, wanted = native.run(case.inputs, kernel=kernel), run_values(plain, case.inputs)
    for node in case.graph.nodes:
        for name in node.outputs:
            if name in found and not np.array_equal(found[name], wanted[name]):
                at = tuple(int(index) for index in np.argwhere(found[name] != wanted[name])[0])
                place = f"{node.name} ({node.operator} {dict(node.attributes)}) {at}"
                return f"first at {place}: {found[name][at]}, not {wanted[name][at]}"
    return "every node alone is equal: it is in what is fused, split or shared"


def _read(raw: bytes) -> tuple[Artefact | None, str]:
    try:
        return read_artefact(raw), ""
    except InputError as error:
        return None, f"refuses: {error}"


def _load(raw: bytes) -> tuple[Any, str]:
    try:
        return _native.Artefact.load(raw), ""
    except InputError as error:
        return None, f"refuses: {error}"


def sweep(seeds: Iterable[int], mutants: int, kernels: tuple[str, ...] | None = None) -> Parity:
    """Compares every seed's graph and its mutants; raises AssertionError at the first difference."""
    parity = Parity(kernels or tuple(_native.ai_kernels()))
    for seed in seeds:
        try:
            case = random_case(seed)
            parity.check(case)
            parity.check_mutants(case, mutants)
        except (AssertionError, SolderError) as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    return parity


def main() -> int:
    """The command; 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", type=int, help="so many (1000 if --seconds is not given)")
    parser.add_argument("--seconds", type=float, help="for so long")
    parser.add_argument("--seed", type=int, default=0, help="the first seed; each graph takes the next")
    parser.add_argument("--mutants", type=int, default=2, help="for each graph")
    parser.add_argument("--kernel", action="append", help="only this; by default every one that the machine has")
    parser.add_argument("--keep-going", action="store_true", help="count differences instead of stopping at the first")
    given = parser.parse_args()
    parity = Parity(tuple(given.kernel or _native.ai_kernels()))
    start, different = time.monotonic(), 0
    with suppress(KeyboardInterrupt):
        for seed in _seeds(given):
            try:
                case = random_case(seed)
                parity.check(case)
                parity.check_mutants(case, given.mutants)
            except (AssertionError, SolderError) as error:
                different += 1
                print(f"{type(error).__name__}, seed {seed}: {error}", flush=True)
                if not given.keep_going:
                    break
            if sys.stderr.isatty() and seed % 100 == 0:
                print(f"\rseed {seed}", end="", file=sys.stderr, flush=True)
    print(
        f"{parity.graphs} graphs from seed {given.seed}, {parity.runs} runs on {', '.join(parity.kernels)}, "
        f"mutants {parity.taken} taken and {parity.refused} refused by both, {different} differences, "
        f"{time.monotonic() - start:.0f} s"
    )
    print(", ".join(f"{name} {count}" for name, count in parity.operators.most_common()))
    return 1 if different else 0


def _seeds(given: argparse.Namespace) -> Iterator[int]:
    """So many, or for so long; 1000 if neither is asked."""
    end = time.monotonic() + given.seconds if given.seconds else math.inf
    graphs = given.graphs or (None if given.seconds else 1000)
    for seed in count(given.seed) if graphs is None else range(given.seed, given.seed + graphs):
        if time.monotonic() > end:
            return
        yield seed


if __name__ == "__main__":
    sys.exit(main())
