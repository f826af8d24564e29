"""Several workers give what one gives: outcomes, errors, counters; from threads, after a fork, after an interrupt."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import solder

WORKERS = (1, 2, 8)
SEEDS = (0, 1, 7, 2**64 - 1)
INTERRUPT_SECONDS = 1.0
MAX_EXECUTIONS = 3


def _seen(result: solder.BlockResult) -> dict[str, object]:
    """All that a result says of the block."""
    changes = [
        (
            change.address,
            change.before and (change.before.nonce, change.before.balance, change.before.code_hash),
            change.after and (change.after.nonce, change.after.balance, change.after.code_hash, change.after.code),
            change.reset,
            sorted(change.storage.items()),
        )
        for change in result.changes
    ]
    return {
        "receipts": [(each.encode(), each.gas_used, each.output, each.contract_address) for each in result.receipts],
        "changes": sorted(changes, key=lambda change: change[0]),
        "digest": result.state_digest,
        "gas": (result.gas_used, result.blob_gas_used),
        "skipped": result.skipped,
        "requests": result.requests,
    }


@pytest.fixture(scope="module")
def blocks(sample_blocks: Path, sample_names: list[str]) -> list[tuple[solder.Block, solder.State]]:
    return [solder.load_block(sample_blocks / name) for name in sample_names]


@pytest.mark.parametrize("workers", WORKERS)
def test_parallel_equals_serial(workers: int, blocks: list[tuple[solder.Block, solder.State]]) -> None:
    for block, state in blocks:
        wanted = _seen(solder.execute_block(block, state))
        result = solder.execute_block(block, state, workers=workers, forced=True)
        assert _seen(result) == wanted
        counters = result.counters
        assert counters is not None
        count = len(block.transactions)
        assert counters["transactions"] == count
        assert count <= counters["executions"] <= MAX_EXECUTIONS * count
        assert counters["executions"] == count + counters["conflicts"]
        assert (counters["workers"], counters["clamp"]) == (workers, None)


@pytest.mark.parametrize("workers", WORKERS)
def test_parallel_misled_equals_serial(workers: int, blocks: list[tuple[solder.Block, solder.State]]) -> None:
    for block, state in blocks:
        wanted = _seen(solder.execute_block(block, state))
        result = solder.execute_block(block, state, workers=workers, mislead=True)
        assert _seen(result) == wanted
        assert result.counters is not None
        assert result.counters["executions"] >= 2 * len(block.transactions)


@pytest.mark.parametrize("seed", SEEDS)
def test_parallel_seeds_equal_serial_and_repeat(seed: int, blocks: list[tuple[solder.Block, solder.State]]) -> None:
    for block, state in blocks:
        wanted = _seen(solder.execute_block(block, state))
        for mislead in (False, True):
            runs = [
                solder.execute_block(block, state, workers=3, forced=True, mislead=mislead, seed=seed) for _ in range(2)
            ]
            assert [_seen(run) for run in runs] == [wanted, wanted]
            assert runs[0].counters == runs[1].counters


def test_parallel_one_worker_is_the_serial_engine(blocks: list[tuple[solder.Block, solder.State]]) -> None:
    for result in (solder.execute_block(*blocks[-1]), solder.execute_block(*blocks[-1], workers=1)):
        assert (result.counters, result.schedule) == (None, None)


def test_parallel_zero_is_every_cpu(blocks: list[tuple[solder.Block, solder.State]]) -> None:
    block, state = blocks[-1]
    result = solder.execute_block(block, state, workers=0, forced=True)
    assert result.counters is not None
    assert result.counters["workers"] == min(solder.config.usable_cpus(), solder.config.MAX_WORKERS)
    assert _seen(result) == _seen(solder.execute_block(block, state))


def test_parallel_schedule_is_there_when_asked_for(
    blocks: list[tuple[solder.Block, solder.State]], tmp_path: Path
) -> None:
    block, state = blocks[-1]
    assert solder.execute_block(block, state, workers=2, forced=True).schedule is None
    schedule = solder.execute_block(block, state, workers=2, forced=True, schedule=True).schedule
    assert isinstance(schedule, solder.Schedule)
    schedule.save(str(tmp_path / "schedule.json"))
    assert (tmp_path / "schedule.json").stat().st_size > 1000
    assert schedule.summary()["workers"] == 2


def test_parallel_bad_arguments_are_named(blocks: list[tuple[solder.Block, solder.State]]) -> None:
    wrong: list[tuple[str, object]] = [("workers", -1), ("workers", 129), ("workers", 10**30), ("seed", -1)]
    for field, value in [*wrong, ("seed", 2**64)]:
        for call in (solder.execute_block, solder.replay_block):
            arguments: dict[str, Any] = {"workers": 2, field: value}
            with pytest.raises(solder.InputError) as caught:
                call(*blocks[0], **arguments)
            assert caught.value.field == field
    with pytest.raises(solder.InputError, match="workers"):
        solder.replay_block(*blocks[0], forced=True)
    mistyped: tuple[dict[str, Any], ...] = ({"workers": "two"}, {"workers": 2, "seed": "x"}, {"workers": 1.5})
    for arguments in mistyped:
        with pytest.raises(TypeError):
            solder.execute_block(*blocks[0], **arguments)


def _changed(state: solder.State, block: solder.Block, owner: bytes, **fields: int) -> solder.State:
    """The state with some fields of one account changed."""
    accounts = {}
    for address in state.accounts():
        account = state.account(address)
        assert account is not None
        entry: dict[str, Any] = {"nonce": account.nonce, "balance": account.balance, "storage": state.slots(address)}
        entry["code"] = account.code or b""
        accounts[address] = entry | (fields if address == owner else {})
    hashes = {number: number.to_bytes(32, "big") for number in range(max(0, block.number - 256), block.number)}
    return solder.State(accounts, hashes)


def _spoiled(block: solder.Block, state: solder.State) -> Iterator[tuple[int, solder.State]]:
    """States in which a transaction in the middle is invalid, and its index."""
    senders = [transaction.sender for transaction in block.transactions]
    count = len(senders)
    firsts = [index for index in range(count) if senders.index(senders[index]) == index]
    for index in (firsts[len(firsts) // 4], firsts[len(firsts) // 2], firsts[-1]):
        nonce = block.transactions[index].nonce
        yield index, _changed(state, block, senders[index], nonce=nonce + 1)
        yield index, _changed(state, block, senders[index], balance=0)


def _ending(call: Callable[[], solder.BlockResult]) -> object:
    try:
        return _seen(call())
    except solder.RejectedInput as rejected:
        return (rejected.code, rejected.index, rejected.detail)


def test_parallel_invalid_transaction_is_the_same_error(blocks: list[tuple[solder.Block, solder.State]]) -> None:
    refused = 0
    for block, good in blocks:
        if len(block.transactions) < 4:
            continue
        for index, state in _spoiled(block, good):
            wanted = _ending(lambda: solder.execute_block(block, state))  # noqa: B023 - called at once
            refused += isinstance(wanted, tuple) and wanted[1] == index
            for workers in WORKERS:
                for mislead in (False, True):
                    found = _ending(
                        lambda: solder.execute_block(block, state, workers=workers, forced=True, mislead=mislead)  # noqa: B023
                    )
                    assert found == wanted, (block.number, index, workers, mislead)
    assert refused >= 12


def test_parallel_skipping_gives_the_same_receipts(blocks: list[tuple[solder.Block, solder.State]]) -> None:
    for block, good in blocks:
        if len(block.transactions) < 4:
            continue
        for index, state in _spoiled(block, good):
            wanted = _seen(solder.execute_block(block, state, policy="skip"))
            for workers in WORKERS:
                found = solder.execute_block(block, state, policy="skip", workers=workers, forced=True)
                assert _seen(found) == wanted, (block.number, index, workers)


def test_parallel_callers_do_not_disturb_each_other(blocks: list[tuple[solder.Block, solder.State]]) -> None:
    wanted = [solder.execute_block(*pair).state_digest for pair in blocks]

    def run(pair: tuple[solder.Block, solder.State]) -> bytes:
        return solder.execute_block(*pair, workers=3, forced=True).state_digest

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, blocks * 6)) == wanted * 6


def test_parallel_works_in_a_forked_child(sample_blocks: Path, sample_names: list[str]) -> None:
    program = (
        "import os, solder\n"
        f"block, state = solder.load_block({str(sample_blocks / sample_names[-1])!r})\n"
        "run = lambda: solder.execute_block(block, state, workers=3, forced=True).state_digest\n"
        "digest = run()\n"
        "child = os.fork()\n"
        "same = all(run() == digest for _ in range(3))\n"
        "if not child: os._exit(0 if same else 1)\n"
        "assert os.waitpid(child, 0)[1] == 0 and same\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_parallel_interrupt_leaves_the_workers_usable(sample_blocks: Path, sample_names: list[str]) -> None:
    program = (
        "import solder, time\n"
        f"block, state = solder.load_block({str(sample_blocks / sample_names[-1])!r})\n"
        "digest = solder.execute_block(block, state).state_digest\n"
        "for _ in range(2):\n"
        "    print('running', flush=True)\n"
        "    try:\n"
        "        solder.replay_block(block, state, repeat=1_000_000, workers=4, forced=True)\n"
        "    except KeyboardInterrupt:\n"
        "        pass\n"
        "    for _ in range(20):\n"
        "        result = solder.execute_block(block, state, workers=4, forced=True)\n"
        "        assert result.state_digest == digest\n"
        "print('done', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        start = time.monotonic()
        for _ in range(2):
            assert process.stdout.readline() == "running\n"
            time.sleep(0.3)
            start = time.monotonic()
            process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "done\n"
        assert time.monotonic() - start < INTERRUPT_SECONDS
        assert process.wait(timeout=10) == 0


def test_parallel_replay_compares_with_serial(blocks: list[tuple[solder.Block, solder.State]]) -> None:
    for block, state in blocks:
        report = solder.replay_block(block, state, repeat=2, workers=2, mislead=True, schedule=True)
        assert report.ok
        found = report.parallel
        assert isinstance(found, solder.ParallelReport)
        assert (found.workers, found.workers_used, found.clamp_reason) == (2, 2, None)
        assert found.parallel_equals_serial
        assert found.executions >= 2 * len(block.transactions)
        assert found.serial_fallbacks == 0
        assert report.schedule is not None


def test_parallel_replay_of_a_rejected_block_agrees(blocks: list[tuple[solder.Block, solder.State]]) -> None:
    block, state = blocks[-1]
    poor = solder.State({}, {number: bytes(32) for number in range(block.number - 256, block.number)})
    report = solder.replay_block(block, poor, workers=2, forced=True)
    assert not report.ok
    assert report.parallel is not None
    assert report.parallel.parallel_equals_serial
    assert report.error == str(solder.replay_block(block, poor).error)
    assert solder.replay_block(block, state).parallel is None
