import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import solder
from solder import _native

ROOT = Path(__file__).resolve().parent.parent
INTERRUPT_SECONDS = 1.0


def test_engine_sample_blocks_equal_their_headers(sample_blocks: Path, sample_names: list[str]) -> None:
    assert len(sample_names) >= 4
    for name in sample_names:
        block, state = solder.load_block(sample_blocks / name)
        header = block.header
        result = solder.execute_block(block, state)
        assert (result.gas_used, result.logs_bloom) == (header.gas_used, header.logs_bloom)
        if header.number >= 4_370_000:
            assert result.receipts_root == header.receipts_root
        assert len(result.receipts) == len(block.transactions)
        assert sum(receipt.gas_used for receipt in result.receipts) == header.gas_used


def test_engine_state_stays_as_it_was_and_undo_restores_it(sample_blocks: Path, sample_names: list[str]) -> None:
    block, before = solder.load_block(sample_blocks / sample_names[-1])
    root = before.root()
    result = solder.execute_block(block, before)
    assert before.root() == root
    after = before.apply(result.changes)
    assert after.root() != root
    assert after.apply(result.changes.invert()).root() == root


def test_engine_changes_hold_old_and_new(sample_blocks: Path, sample_names: list[str]) -> None:
    block, before = solder.load_block(sample_blocks / sample_names[-1])
    changes = solder.execute_block(block, before).changes
    after = before.apply(changes)
    assert len(changes) == len(list(changes)) > 0
    for change in changes:
        now = after.account(change.address)
        assert (now and (now.nonce, now.balance, now.code_hash)) == (
            change.after and (change.after.nonce, change.after.balance, change.after.code_hash)
        )
        for slot, (old, new) in change.storage.items():
            assert before.storage(change.address, slot) == old
            assert after.storage(change.address, slot) == new


def test_engine_runs_are_equal(sample_blocks: Path, sample_names: list[str]) -> None:
    block, state = solder.load_block(sample_blocks / sample_names[-1])
    digests = {solder.execute_block(block, state).state_digest for _ in range(3)}
    assert len(digests) == 1
    report = solder.replay_block(block, state, repeat=3)
    assert report.ok
    assert report.state_digest == "0x" + digests.pop().hex()


def test_engine_policy_skips_what_it_would_reject(sample_blocks: Path, sample_names: list[str]) -> None:
    block, _ = solder.load_block(sample_blocks / sample_names[-1])
    poor = solder.State({}, dict.fromkeys(range(block.number - 256, block.number), b"\x00" * 32))
    with pytest.raises(solder.RejectedInput) as caught:
        solder.execute_block(block, poor)
    assert caught.value.code in solder.errors.TRANSACTION_CODES
    assert caught.value.index == 0
    result = solder.execute_block(block, poor, policy="skip")
    assert (result.receipts, len(result.skipped)) == ([], len(block.transactions))
    assert result.skipped[0][1] == caught.value.code


def test_engine_unknown_policy_is_an_input_error(sample_blocks: Path, sample_names: list[str]) -> None:
    block, state = solder.load_block(sample_blocks / sample_names[0])
    with pytest.raises(solder.InputError, match="policy"):
        solder.execute_block(block, state, policy="perhaps")  # type: ignore[arg-type]


def test_engine_panic_is_a_fault_and_the_engine_goes_on(sample_blocks: Path, sample_names: list[str]) -> None:
    for _ in range(2):
        with pytest.raises(solder.Fault) as caught:
            _native.provoke_panic("index out of bounds")
        assert (caught.value.code, caught.value.detail) == ("Fault.PANIC", "index out of bounds")
    block, state = solder.load_block(sample_blocks / sample_names[0])
    assert solder.execute_block(block, state).gas_used == block.header.gas_used


def test_engine_works_in_a_forked_child(sample_blocks: Path, sample_names: list[str]) -> None:
    program = (
        "import os, solder\n"
        f"block, state = solder.load_block({str(sample_blocks / sample_names[-1])!r})\n"
        "digest = solder.execute_block(block, state).state_digest\n"
        "child = os.fork()\n"
        "same = solder.execute_block(block, state).state_digest == digest\n"
        "if not child: os._exit(0 if same else 1)\n"
        "assert os.waitpid(child, 0)[1] == 0 and same\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_engine_threads_do_not_disturb_each_other(sample_blocks: Path, sample_names: list[str]) -> None:
    loaded = [solder.load_block(sample_blocks / name) for name in sample_names]
    wanted = [solder.execute_block(block, state).state_digest for block, state in loaded]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda pair: solder.execute_block(*pair).state_digest, loaded * 8))
    assert found == wanted * 8


def test_engine_gil_is_released(sample_blocks: Path, sample_names: list[str]) -> None:
    block, state = solder.load_block(sample_blocks / sample_names[-1])
    seconds = solder.replay_block(block, state, repeat=3).serial_seconds
    assert seconds is not None
    running, ticks = threading.Event(), 0

    def replay() -> None:
        running.set()
        solder.replay_block(block, state, repeat=max(3, int(0.5 / seconds)))

    worker = threading.Thread(target=replay)
    worker.start()
    running.wait()
    while worker.is_alive():
        ticks += 1
        time.sleep(0.001)
    worker.join()
    assert ticks > 20


def test_engine_interrupt_stops_within_a_second(sample_blocks: Path, sample_names: list[str]) -> None:
    program = (
        "import solder, sys\n"
        f"block, state = solder.load_block({str(sample_blocks / sample_names[-1])!r})\n"
        "print('running', flush=True)\n"
        "solder.replay_block(block, state, repeat=1_000_000)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "running\n"
        time.sleep(0.2)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait(timeout=10)
        assert time.monotonic() - start < INTERRUPT_SECONDS
        assert "KeyboardInterrupt" in process.stderr.read()
