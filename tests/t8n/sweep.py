"""The large comparison, run by hand: `python -m tests.t8n.sweep PATH... [--share 0.1] [--seed 1]`.

Prints one line per difference and a JSON object of counts at the end; exit status 1 if anything differs.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from solder.errors import InputError

from .compare import differences, expected_agrees
from .fixtures import cases, files
from .inputs import FixtureChain, TransitionInput
from .reference import Reference, Unavailable
from .tool import transition

if TYPE_CHECKING:
    from collections.abc import Callable

# The longest that one chain may take: some blocks cost the reference minutes.
CHAIN_SECONDS = 30

# The most differences of one block that are printed.
LINES_SHOWN = 4

# Field of the result -> field of a block's header that must equal it.
HEADER_OF = {
    "stateRoot": "stateRoot",
    "txRoot": "transactionsTrie",
    "receiptsRoot": "receiptTrie",
    "logsBloom": "bloom",
    "gasUsed": "gasUsed",
    "withdrawalsRoot": "withdrawalsRoot",
    "currentExcessBlobGas": "excessBlobGas",
    "requestsHash": "requestsHash",
    "blobGasUsed": "blobGasUsed",
    "blockAccessListHash": "blockAccessListHash",
}


def ours(given: TransitionInput) -> dict[str, Any]:
    """Solder's answer in the same shape as the reference's."""
    return transition(given.alloc, given.env, given.txs, fork=given.network, chain_id=given.chain_id)


def against_header(given: TransitionInput, result: dict[str, Any]) -> list[str]:
    """Differences between a result and the header of a valid block."""
    return [
        f"header.{theirs}: {given.header[theirs]}, {result[mine]}"
        for mine, theirs in HEADER_OF.items()
        if mine in result and theirs in given.header and result[mine] != given.header[theirs]
    ]


# Cases of EIP-7610 (creation collides with storage alone), which was withdrawn upstream.
WITHDRAWN = (
    "eip7610",
    "InitCollision",
    "create2collisionStorage",
    "dynamicAccountOverwriteEmpty",
    "RevertInCreateInInit",
)


def is_withdrawn(name: str) -> bool:
    """Does the case need EIP-7610?"""
    return any(part in name for part in WITHDRAWN)


@dataclass
class Sweep:
    """Runs both tools over chains and keeps count."""

    reference: Reference
    tool: Callable[[TransitionInput], dict[str, Any]] | None = ours
    counts: Counter[str] = field(default_factory=Counter)
    forks: Counter[str] = field(default_factory=Counter)
    why: Counter[str] = field(default_factory=Counter)
    found: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("reference", "ours"), 0.0))

    def chain(self, chain: FixtureChain) -> None:
        """Compare each block of a chain, for as long as one chain may take."""
        started = time.monotonic()
        for index in range(len(chain)):
            if time.monotonic() - started > CHAIN_SECONDS:
                self.counts["blocks left out for time"] += len(chain) - index
                return
            given = chain.input(index)
            if given is None:
                self.counts["not an input"] += 1
                continue
            alloc = self.block(given)
            if alloc is not None and given.expect_exception is None:
                chain.record(index, alloc)

    def block(self, given: TransitionInput) -> dict[str, Any] | None:
        """Compare one block; its post-state where it is the one that the header names."""
        started = time.perf_counter()
        answer: dict[str, Any] | None = None
        try:
            answer = self.reference.run(given)
        except Unavailable as error:
            self.counts["reference unavailable"] += 1
            self.why[f"{given.fork}: {str(error)[:80]}"] += 1
        self.seconds["reference"] += time.perf_counter() - started
        if self.tool is None:
            mine = answer
        else:
            started = time.perf_counter()
            mine = self.attempt(given, refused=answer is None)
            self.seconds["ours"] += time.perf_counter() - started
        if mine is None:
            return None
        if answer is not None:
            self.compare(given, answer, mine)
        if given.expect_exception is not None:
            self.exception(given, mine)
            return None
        wrong = against_header(given, mine["result"])
        self.counts["header equal" if not wrong else "header different"] += 1
        self.found += [f"{given.name} [{given.fork}] {line}" for line in wrong]
        return mine["alloc"] if not wrong else None

    def attempt(self, given: TransitionInput, *, refused: bool) -> dict[str, Any] | None:
        """Our answer; None where we refuse the input, which we may where the reference does too."""
        try:
            return self.tool(given) if self.tool is not None else None
        except InputError as error:
            self.counts["refused by both" if refused else "refused by us alone"] += 1
            if not refused:
                self.found.append(f"{given.name} [{given.fork}] refused: {error}")
            return None

    def compare(self, given: TransitionInput, answer: dict[str, Any], mine: dict[str, Any]) -> None:
        """Count one comparison of the two tools."""
        self.forks[given.fork] += 1
        self.counts["rejected transactions"] += len(answer["result"]["rejected"])
        lines = differences(given, answer, mine) if self.tool is not None else []
        if lines and given.expect_exception is None and against_header(given, answer["result"]):
            self.counts["reference departs from the header"] += 1
            self.why[f"{given.name}: departs from the header"] += 1
            return
        if lines and given.fork == "DaoFork":
            # Wrong on the valid blocks of this fork (it drains the DAO at each), so no oracle for invalid ones.
            self.counts["reference departs from the header"] += 1
            return
        self.counts["equal" if not lines else "different"] += 1
        self.found += [f"{given.name} [{given.fork}] {line}" for line in lines[:LINES_SHOWN]]

    def exception(self, given: TransitionInput, mine: dict[str, Any]) -> None:
        """Hold our rejection reasons against the fixture's exception, where that is a transaction's."""
        expected = given.expect_exception or ""
        texts = [item["error"] for item in mine["result"]["rejected"]]
        if self.tool is None or not expected.startswith("TransactionException") or not texts:
            return
        agrees = expected_agrees(expected, texts)
        self.counts["exception names equal" if agrees else "exception names different"] += 1
        if not agrees:
            self.found.append(f"{given.name} [{given.fork}] expected {expected}, rejected {texts}")


def main() -> int:
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--share", type=float, default=1.0, help="part of the cases to take, drawn by --seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--filter", default="", help="only cases whose name contains this")
    parser.add_argument("--reference-only", action="store_true", help="check the inputs against the headers")
    parser.add_argument("--limit-seconds", type=float, default=float("inf"))
    args = parser.parse_args()
    rng = random.Random(args.seed)
    sweep = Sweep(Reference(), None if args.reference_only else ours)
    started = time.monotonic()
    for path in args.paths:
        for _, content in files(path):
            for name, case in cases(content).items():
                if rng.random() >= args.share or args.filter not in name:
                    continue
                if is_withdrawn(name):
                    sweep.counts["left out: EIP-7610"] += 1
                    continue
                if time.monotonic() - started > args.limit_seconds:
                    sweep.counts["cases left out for time"] += 1
                    continue
                seen = len(sweep.found)
                sweep.counts["cases"] += 1
                sweep.chain(FixtureChain(name, case, args.seed))
                for line in sweep.found[seen:]:
                    print(line)
    sweep.reference.close()
    summary: dict[str, object] = {"counts": sweep.counts, "forks": sweep.forks, "unavailable": sweep.why}
    summary |= {"seconds": {key: round(value, 1) for key, value in sweep.seconds.items()}}
    print(json.dumps(summary, indent=1))
    return 1 if sweep.found else 0


if __name__ == "__main__":
    sys.exit(main())
