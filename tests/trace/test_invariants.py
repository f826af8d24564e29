"""What must hold for every transaction, whatever another engine says: over the sample blocks, and all 54 if there."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

import solder
from solder import _native
from solder.trace import Trace, trace_block

from .record import BLOCKS, block_hashes

MOVES = {"CALL", "CREATE", "CREATE2"}
EMPTY_COUNTS = {"Frontier", "Homestead", "DAO", "TangerineWhistle"}
Before = dict[str, Any]


@lru_cache(maxsize=1)
def _hashes() -> dict[int, bytes]:
    return {number: bytes.fromhex(text[2:]) for number, text in block_hashes(BLOCKS / "block_hashes.bincode").items()}


def _frames(call: dict[str, Any], *, failed: bool = False) -> Iterator[tuple[dict[str, Any], bool]]:
    """Every frame, callers first, and whether it was taken back."""
    waiting = [(call, failed)]
    while waiting:
        one, failed = waiting.pop()
        failed = failed or "error" in one
        yield one, failed
        waiting += [(inner, failed) for inner in reversed(one.get("calls", []))]


def _state(accounts: Before, block: solder.Block) -> _native.State:
    """These accounts and nothing else, inside ``block``."""
    found = {
        owner: {
            "balance": int(fields.get("balance", "0x0"), 16),
            "nonce": fields.get("nonce", 0),
            "code": bytes.fromhex(fields.get("code", "0x")[2:]),
            "storage": {
                int(slot, 16): int(word, 16) for slot, word in fields.get("storage", {}).items() if int(word, 16)
            },
        }
        for owner, fields in accounts.items()
    }
    return solder.State(found, _hashes()).at_block(block)


def _after(before: Before, diff: dict[str, Before]) -> Before:
    """The accounts before with a diff applied."""
    after: Before = json.loads(json.dumps(before))
    for owner, was in diff["pre"].items():
        if owner not in diff["post"]:
            after.pop(owner, None)  # destroyed
            continue
        for slot in was.get("storage", {}):
            after[owner]["storage"][slot] = "0x0"
    for owner, now in diff["post"].items():
        fields = after.setdefault(owner, {})
        storage = fields.setdefault("storage", {})
        storage.update(now.get("storage", {}))
        fields.update({name: value for name, value in now.items() if name != "storage"})
    return {owner: fields for owner, fields in after.items() if not _is_gone(fields)}


def _is_gone(fields: dict[str, Any]) -> bool:
    return fields.get("codeHash") == "0x" + "00" * 32


def _plain(state: _native.State) -> dict[bytes, Any]:
    """The accounts that are not empty."""
    found = {}
    for owner in state.accounts():
        account = state.account(owner)
        assert account is not None
        if account.nonce or account.balance or account.code:
            found[owner] = (account.nonce, account.balance, account.code, state.slots(owner))
    return found


def _price(tx: solder.Transaction, base_fee: int) -> int:
    if tx.max_priority_fee_per_gas is None:
        return tx.gas_price
    return min(tx.gas_price, base_fee + tx.max_priority_fee_per_gas)


def _flows(trace: Trace, tx: solder.Transaction, block: solder.Block) -> Counter[str]:
    """What each balance must have gained by the frames that stood, and by fees."""
    gained: Counter[str] = Counter()
    for call, failed in _frames(trace.calls):
        if failed or (call["type"] not in MOVES and call["type"] != "SELFDESTRUCT"):
            continue
        amount = int(call.get("value", "0x0"), 16)
        gained[call["from"]] -= amount
        gained[call["to"]] += amount
    header = block.header
    price = _price(tx, header.base_fee_per_gas or 0)
    gained["0x" + tx.sender.hex()] -= price * trace.result.gas_used
    gained["0x" + header.beneficiary.hex()] += (price - (header.base_fee_per_gas or 0)) * trace.result.gas_used
    return gained


def _check_gas_and_logs(trace: Trace, tx: solder.Transaction, receipt: solder.Receipt, first_log: int) -> None:
    top = trace.geth("callTracer", {"withLog": True})
    assert (int(top["gas"], 16), int(top["gasUsed"], 16)) == (tx.gas_limit, receipt.gas_used)
    assert ("error" not in top) == receipt.success == trace.result.ok
    assert (top["from"], top["input"]) == ("0x" + tx.sender.hex(), "0x" + tx.data.hex())
    assert top["type"] == ("CREATE" if tx.to is None else "CALL")
    logs = []
    for call, failed in _frames(top):
        inner = call.get("calls", [])
        assert sum(int(one["gasUsed"], 16) for one in inner) <= int(call["gasUsed"], 16) + receipt.gas_used * (
            call is top
        )
        assert int(call["gasUsed"], 16) <= int(call["gas"], 16) or call["type"] == "SELFDESTRUCT"
        assert not (failed and "logs" in call)
        logs += call.get("logs", [])
    logs.sort(key=lambda log: int(log["index"], 16))
    assert [int(log["index"], 16) for log in logs] == list(range(first_log, first_log + len(receipt.logs)))
    assert [(log["address"], log["data"]) for log in logs] == [
        ("0x" + log.address.hex(), "0x" + log.data.hex()) for log in receipt.logs
    ]


def _check_prestate(trace: Trace, tx: solder.Transaction, block: solder.Block, state: _native.State) -> None:
    """The prestate alone is enough to run the transaction again, and the diff leads to what it left.

    Before Spurious Dragon an empty account is not the same as none, which geth's format does not tell: from ``state``.
    """
    before = trace.prestate
    if block.fork in EMPTY_COUNTS:
        whole = trace.geth("prestateTracer", {"includeEmpty": True})
        before = {owner: fields for owner, fields in whole.items() if owner in before or owner in state}
    alone = _state(before, block)
    again = Trace(_native.trace_call(alone, tx))
    one, two = trace.result, again.result
    assert two.changes is not None
    assert (two.status, two.gas_used, two.output) == (one.status, one.gas_used, one.output)
    assert (again.calls, again.diff, again.four_byte) == (trace.calls, trace.diff, trace.four_byte)
    assert _plain(alone.apply(two.changes)) == _plain(_state(_after(before, trace.diff), block))


def _check_balances(trace: Trace, tx: solder.Transaction, block: solder.Block) -> None:
    if any(call["type"] == "SELFDESTRUCT" for call, _ in _frames(trace.calls)) or tx.blob_versioned_hashes:
        return  # ether may vanish
    before, post = trace.prestate, trace.diff["post"]
    gained = _flows(trace, tx, block)
    for owner, fields in before.items():
        was = int(fields["balance"], 16)
        now = int(post.get(owner, {}).get("balance", fields["balance"]), 16)
        assert now - was == gained.pop(owner, 0), owner
    for owner, amount in gained.items():
        assert int(post.get(owner, {}).get("balance", "0x0"), 16) == amount, owner


def _check(block: solder.Block, state: _native.State) -> int:
    receipts = solder.execute_block(block, state).receipts
    first_log, state_before = 0, state
    state = state.after_transactions(block, 0)
    for trace, tx, receipt in zip(trace_block(block, state_before), block.transactions, receipts, strict=True):
        _check_gas_and_logs(trace, tx, receipt, first_log)
        _check_prestate(trace, tx, block, state)
        changes = trace.result.changes
        assert changes is not None
        state = state.apply(changes)
        _check_balances(trace, tx, block)
        first_log += len(receipt.logs)
    return len(receipts)


def test_invariants_of_the_sample_blocks(sample_blocks: Path, sample_names: list[str]) -> None:
    checked = sum(_check(*solder.load_block(sample_blocks / name)) for name in sample_names)
    assert checked == 233


@pytest.mark.parametrize("part", range(6))
def test_invariants_of_mainnet_blocks(part: int, data_file: Callable[[str], Path]) -> None:
    loader = _native.BlockLoader()
    names = loader.find(str(data_file("mainnet/blocks.tar.xz")))
    assert len(names) == 54
    checked = sum(_check(*loader.load(name)) for name in names[part::6])
    assert checked > 0
