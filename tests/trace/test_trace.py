"""What a trace gives, and what it refuses; calls on a state; steps as they are read."""

import gc
import json
import time
from itertools import islice
from pathlib import Path

import pytest

import solder
from solder.errors import Fault, InputError, RejectedInput
from solder.trace import MAX_STEPS, Trace, trace_block, trace_case, trace_transaction

from .scenarios import assemble, call

ALICE, HERE, THERE = b"\xaa" * 20, b"\x11" * 20, b"\x22" * 20
ROOT = Path(__file__).resolve().parent.parent.parent
# For ever, as far as gas goes.
LOOP = assemble("JUMPDEST", 0, "JUMP")
SETTER = assemble(7, 0, "SSTORE")


@pytest.fixture
def state() -> solder.State:
    return solder.State(
        {
            ALICE: {"balance": 10**18},
            HERE: {"code": bytes.fromhex(assemble(call("0x" + THERE.hex(), value=0), "SELFBALANCE"))},
            THERE: {"code": bytes.fromhex(SETTER)},
        }
    )


def test_trace_of_a_call_leaves_nothing(state: solder.State) -> None:
    trace = state.trace(HERE, sender=ALICE, value=3)
    (inner,) = trace.calls["calls"]
    assert (inner["from"], inner["to"], inner["type"]) == ("0x" + HERE.hex(), "0x" + THERE.hex(), "CALL")
    assert trace.diff["post"]["0x" + THERE.hex()]["storage"] == {f"0x{0:064x}": f"0x{7:064x}"}
    assert trace.result.ok
    assert trace.result.changes is not None
    assert trace.index is None
    assert state.storage(THERE, 0) == 0
    assert len(trace._native) == 2


def test_trace_of_a_call_sees_block_and_overrides(state: solder.State) -> None:
    trace = state.trace(HERE, sender=ALICE, overrides={THERE: {"code": "0x42"}}, block={"timestamp": 9})
    assert [step["op"] for step in trace.struct_logs()][-5:-2] == ["TIMESTAMP", "STOP", "POP"]
    assert "storage" not in trace.diff["post"].get("0x" + THERE.hex(), {})


def test_trace_of_a_transaction_keeps_all_rules(sample_blocks: Path) -> None:
    block, before = solder.load_block(sample_blocks / "19933122")
    there = solder.State(before.at_block(block))
    assert there.trace(block.transactions[0]).result.ok
    with pytest.raises(RejectedInput, match="NONCE"):
        solder.State.at(block, after=0, state=before).trace(block.transactions[0])
    with pytest.raises(InputError, match="45 is not one of 45"):
        trace_transaction(block, before, 45)
    with pytest.raises(InputError, match="-1 is not one of 45"):
        trace_transaction(block, before, -1)


def test_trace_of_one_is_trace_of_the_block(sample_blocks: Path) -> None:
    block, before = solder.load_block(sample_blocks / "19933122")
    for trace in islice(trace_block(block, before), 3, 45, 7):
        assert trace.index is not None
        alone = trace_transaction(block, before, trace.index)
        settings = {"withLog": True}
        assert alone.geth("callTracer", settings) == trace.geth("callTracer", settings)
        assert (alone.prestate, alone.diff) == (trace.prestate, trace.diff)


def test_trace_of_a_case_is_the_essays() -> None:
    trace = trace_case(ROOT / "examples" / "ens" / "contenthash.json")
    assert trace.result.gas_used == 46_924
    steps = list(trace.struct_logs())
    assert len(steps) == 866
    assert sum(step["gasCost"] for step in steps if step["op"] == "SSTORE") == 10_100


def test_trace_deep_calls_are_no_recursion() -> None:
    again = "0x" + HERE.hex()
    state = solder.State({HERE: {"code": bytes.fromhex(assemble(call(again)))}})
    trace = state.trace(HERE, gas_limit=2**60, block={"gas_limit": 2**62})
    depth, one = 0, trace.calls
    while "calls" in one:
        depth, one = depth + 1, one["calls"][0]
    assert depth == 1025
    assert one["error"] == "max call depth exceeded"
    assert trace.json("callTracer").count('"type"') == len(trace._native) == depth + 1
    assert trace.tree(limit=2000).count("CALL 0x") == depth + 1


def test_trace_steps_are_made_while_they_are_read(state: solder.State) -> None:
    looped = state.set_code(THERE, bytes.fromhex(LOOP))
    trace = looped.trace(THERE, gas_limit=8_000_000)
    assert trace.result.status == "halt"
    start = time.perf_counter()
    first = list(islice(trace.struct_logs(), 5))
    early = time.perf_counter() - start
    assert [step["op"] for step in first] == ["JUMPDEST", "PUSH1", "JUMP", "JUMPDEST", "PUSH1"]
    with pytest.raises(InputError, match=r"more than 1,000,000 steps"):
        trace.struct_logger()
    assert MAX_STEPS == 1_000_000
    start = time.perf_counter()
    assert sum(1 for _ in trace.step_lines("struct")) > 1_900_000
    whole = time.perf_counter() - start
    print(f"the first steps after {early:.3f} s, all after {whole:.1f} s")
    assert early < whole / 2


def test_trace_steps_that_nobody_reads_end(state: solder.State) -> None:
    trace = state.set_code(THERE, bytes.fromhex(LOOP)).trace(THERE, gas_limit=29_000_000)
    tasks = Path("/proc/self/task")
    for _ in range(8):
        steps = trace.steps()
        next(steps)
        del steps
    gc.collect()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        names = [(task / "comm").read_text().strip() for task in tasks.iterdir()]
        if "solder-steps" not in names:
            return
        time.sleep(0.05)
    pytest.fail("threads that run for nobody")


def test_trace_eip3155_ends_with_a_summary(state: solder.State) -> None:
    lines = list(state.trace(HERE, sender=ALICE).steps(memory=True, return_data=True))
    assert lines[0].keys() >= {"pc", "op", "gas", "gasCost", "memSize", "stack", "depth", "refund", "opName"}
    assert lines[-1].keys() == {"output", "gasUsed"}
    assert [
        json.loads(line) for line in state.trace(HERE, sender=ALICE).step_lines(memory=True, return_data=True)
    ] == lines


def test_trace_of_an_invalid_transaction_says_which(sample_blocks: Path) -> None:
    block, before = solder.load_block(sample_blocks / "19933122")
    poor = before.set_balance(block.transactions[3].sender, 0)
    with pytest.raises(RejectedInput) as raised:
        trace_transaction(block, poor, 3)
    assert raised.value.index == 3
    traces = trace_block(block, poor)
    assert [trace.index for trace in islice(traces, 3)] == [0, 1, 2]
    for _ in range(2):
        with pytest.raises(RejectedInput, match="INSUFFICIENT_ACCOUNT_FUNDS"):
            next(traces)


def test_trace_settings_are_strict(state: solder.State) -> None:
    trace = state.trace(HERE, sender=ALICE)
    for tracer, config, text in (
        ("noTracer", None, "none of callTracer, prestateTracer, 4byteTracer"),
        ("callTracer", {"onlyTop": True}, "no setting of callTracer"),
        ("callTracer", {"withLog": 1}, "no setting of callTracer"),
        (None, {"withLog": True}, "no setting of the struct logger"),
        ("prestateTracer", {"diffMode": True, "includeEmpty": True}, "not together with diff"),
    ):
        with pytest.raises(InputError, match=text):
            trace.geth(tracer, config)
    with pytest.raises(InputError, match="neither struct nor eip3155"):
        next(trace.step_lines("parity"))
    with pytest.raises(InputError, match=r"moon"):
        state.trace(HERE, block={"moon": 1})


def test_trace_has_a_bound() -> None:
    """A loop of calls with a megabyte each, every one different, is more than a trace keeps."""
    # mem[0] = gas; call THERE with 1 MiB of memory; again
    body = assemble(
        "JUMPDEST", "GAS", 0, "MSTORE", 0, 0, 1 << 20, 0, 0, "0x" + THERE.hex(), 100, "CALL", "POP", 0, "JUMP"
    )
    state = solder.State({HERE: {"code": bytes.fromhex(body)}})
    with pytest.raises(Fault, match="more than 1048576 calls"):
        state.trace(HERE, gas_limit=20_000_000)
    assert state.call(HERE, gas_limit=20_000_000).status == "halt"


def test_trace_the_same_input_is_kept_once() -> None:
    body = assemble("JUMPDEST", 0, 0, 1 << 20, 0, 0, "0x" + THERE.hex(), 100, "CALL", "POP", 0, "JUMP")
    state = solder.State({HERE: {"code": bytes.fromhex(body)}})
    trace = state.trace(HERE, gas_limit=4_000_000)
    assert len(trace._native) > 500
    assert trace.four_byte == {f"0x00000000-{(1 << 20) - 4}": len(trace._native) - 1}


def test_trace_shows_itself(state: solder.State) -> None:
    trace = state.trace(HERE, sender=ALICE, value=3)
    assert repr(trace) == f"<Trace 2 calls, {trace.result.gas_used:,} gas, success>"
    assert isinstance(trace, Trace)
    failed = state.set_code(HERE, "0xfe").trace(HERE)
    assert "halt" in repr(failed)
