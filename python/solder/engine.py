"""Execution of blocks: once (``execute_block``), or repeated and held against the header (``replay_block``).

The work is native and runs without the GIL; Ctrl-C stops it within a second.
"""

from dataclasses import asdict, dataclass
from typing import Literal

from solder import _native
from solder._native import Block, BlockResult
from solder.chain import Chain
from solder.errors import RejectedInput
from solder.state import State

__all__ = ["BlockResult", "Policy", "ReplayReport", "execute_block", "replay_block"]

Policy = Literal["reject", "skip"]
"""What an invalid transaction meets: the whole block is rejected (import), or it is skipped (building)."""


def execute_block(block: Block, state: State, *, policy: Policy = "reject", chain: Chain | None = None) -> BlockResult:
    """Execute ``block`` on ``state``, which stays as it was, by the rules of ``chain`` (the block's own if None).

    With ``policy="skip"`` an invalid transaction is left out and listed in ``result.skipped`` with its reason.
    Raises ``RejectedInput`` for an invalid block and ``Fault`` where this machine failed.
    """
    if chain is not None:
        block = block.with_chain(chain)
    return _native.execute_block(block, state, policy)


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """A replayed block held against its header. A check that could not be made is None.

    ``serial_seconds`` and ``serial_cpu_seconds`` are minima over the repeats, from the decoded block with senders
    and the analysed code to receipts with logs and the changes.
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

    @property
    def ok(self) -> bool:
        """Whether the block was accepted and no check failed."""
        checks = (self.gas_used_ok, self.receipts_root_ok, self.logs_bloom_ok)
        return self.error is None and False not in checks

    def to_dict(self) -> dict[str, object]:
        """The report as one JSON object."""
        return asdict(self)


def replay_block(block: Block, state: State, *, repeat: int = 1) -> ReplayReport:
    """Execute ``block`` ``repeat`` times and compare gas, receipts root and logs bloom with its header.

    A block that is rejected is reported with ``error``, not raised.
    """
    if repeat < 1:
        raise ValueError(f"repeat must be at least 1, not {repeat}")
    try:
        return ReplayReport(**_native.replay_block(block, state, repeat))
    except RejectedInput as rejected:
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
        )
