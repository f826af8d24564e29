"""Executes blocks (``execute_block``) and holds them against their headers (``replay_block``).

The work is native and runs without the GIL; Ctrl-C stops it within a second. Whatever the number of workers, the
outcome is the one of executing the transactions one after the other.
"""

from dataclasses import asdict, dataclass, fields
from typing import Literal

from solder import _native
from solder._native import Block, BlockResult, Schedule, State
from solder.chain import Chain
from solder.errors import InputError, RejectedInput
from solder.simulate.workers import checked_workers

__all__ = ["BlockResult", "ParallelReport", "Policy", "ReplayReport", "Schedule", "execute_block", "replay_block"]

Policy = Literal["reject", "skip"]
"""What an invalid transaction meets: the whole block is rejected (import), or it is skipped (building)."""

MAX_SEED = 2**64 - 1


def execute_block(  # noqa: PLR0913 - each keyword is a setting of its own
    block: Block,
    state: State,
    *,
    policy: Policy = "reject",
    chain: Chain | None = None,
    workers: int = 1,
    schedule: bool = False,
    forced: bool = False,
    mislead: bool = False,
    seed: int | None = None,
) -> BlockResult:
    """Execute ``block`` on ``state``, which stays as it was, by the rules of ``chain`` (the block's own if None).

    With ``policy="skip"`` an invalid transaction is left out and listed in ``result.skipped`` with its reason.
    ``workers`` execute it together, 0 for one on each usable CPU; one is the serial engine, which is the default
    because a caller may have threads of its own. ``schedule=True`` records who did what, when
    (``result.schedule``); ``result.counters`` has the numbers.

    For tests: ``forced`` takes the parallel path even where a block is too small to share, ``mislead`` (which
    implies it) runs each transaction first on wrong values and throws that away, ``seed`` lets the workers take
    turns in an order that it repeats.

    Raises ``RejectedInput`` for an invalid block, ``InputError`` for a bad argument and ``Fault`` where this machine
    failed.
    """
    if chain is not None:
        block = block.with_chain(chain)
    return _native.execute_block(
        block,
        state,
        policy,
        workers=checked_workers(workers),
        schedule=schedule,
        forced=forced,
        mislead=mislead,
        seed=_checked_seed(seed),
    )


def _checked_seed(seed: int | None) -> int | None:
    if seed is not None and not 0 <= seed <= MAX_SEED:
        raise InputError(f"{seed} is not 0 to 2**64 - 1", field="seed")
    return seed


@dataclass(frozen=True, slots=True)
class ParallelReport:
    """The parallel runs of a replayed block, each compared with the serial one.

    ``parallel_seconds`` and ``parallel_cpu_seconds`` (of the whole process) are minima over the repeats;
    ``workers_used``, ``executions`` and ``conflicts`` (executions thrown away) are those of the fastest.
    ``clamp_reason`` says why fewer workers took part than were asked for; ``serial_fallbacks`` is 1 where that
    left one although the block takes 50 microseconds or more.
    """

    workers: int
    workers_used: int
    clamp_reason: str | None
    parallel_equals_serial: bool
    parallel_seconds: float | None
    parallel_cpu_seconds: float | None
    executions: int
    conflicts: int
    serial_fallbacks: int


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """A replayed block held against its header. A check that could not be made is None.

    ``serial_seconds`` and ``serial_cpu_seconds`` are minima over the repeats, from the decoded block with senders
    and the analysed code to receipts with logs and the changes. ``parallel`` and ``schedule`` are None where they
    were not asked for.
    """

    block: int
    fork: str
    transactions: int
    gas_used: int | None
    gas_used_ok: bool | None
    receipts_root_ok: bool | None
    logs_bloom_ok: bool | None
    state_digest: str | None
    serial_seconds: float | None
    serial_cpu_seconds: float | None
    error: str | None = None
    parallel: ParallelReport | None = None
    schedule: Schedule | None = None

    @property
    def ok(self) -> bool:
        """Whether the block was accepted and no check failed."""
        checks = (self.gas_used_ok, self.receipts_root_ok, self.logs_bloom_ok)
        return self.error is None and False not in checks

    def to_dict(self) -> dict[str, object]:
        """The report as one JSON object; what the parallel runs add stands beside the rest."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        del plain["parallel"], plain["schedule"]
        return plain if self.parallel is None else plain | asdict(self.parallel)


def replay_block(  # noqa: PLR0913 - as execute_block
    block: Block,
    state: State,
    *,
    repeat: int = 1,
    workers: int | None = None,
    schedule: bool = False,
    forced: bool = False,
    mislead: bool = False,
    seed: int | None = None,
) -> ReplayReport:
    """Execute ``block`` ``repeat`` times and compare gas, receipts root and logs bloom with its header.

    With ``workers`` (0: one on each usable CPU) each repeat is a serial run and then a parallel one, whose complete
    outcomes are compared; ``schedule`` has further runs in each repeat record, on ``workers`` and, where several
    took part, on one, and keeps the fastest of each: what sharing costs is their difference. The other options are
    those of ``execute_block``. A block that is rejected is reported with ``error``, not raised.
    """
    if repeat < 1:
        raise ValueError(f"repeat must be at least 1, not {repeat}")
    if workers is None and (schedule or forced or mislead or seed is not None):
        raise InputError("without workers there is no parallel run", field="workers")
    count = None if workers is None else checked_workers(workers)
    try:
        report, parallel, recorded = _native.replay_block(
            block,
            state,
            repeat,
            workers=count,
            schedule=schedule,
            forced=forced,
            mislead=mislead,
            seed=_checked_seed(seed),
        )
    except RejectedInput as rejected:
        return _rejected(block, count, rejected)
    compared = None if parallel is None else ParallelReport(**parallel)
    return ReplayReport(**report, parallel=compared, schedule=recorded)


def _rejected(block: Block, workers: int | None, rejected: RejectedInput) -> ReplayReport:
    """What is left to say of a block that both the serial and the parallel engine refuse, for the same reason."""
    refused = workers and ParallelReport(
        workers=workers,
        workers_used=workers,
        clamp_reason=None,
        parallel_equals_serial=True,
        parallel_seconds=None,
        parallel_cpu_seconds=None,
        executions=0,
        conflicts=0,
        serial_fallbacks=0,
    )
    return ReplayReport(
        block=block.number,
        fork=block.fork,
        transactions=len(block.transactions),
        gas_used=None,
        gas_used_ok=None,
        receipts_root_ok=None,
        logs_bloom_ok=None,
        state_digest=None,
        serial_seconds=None,
        serial_cpu_seconds=None,
        error=str(rejected),
        parallel=refused or None,
    )
