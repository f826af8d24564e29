"""``solder trace``: each tracer, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
ENS = ROOT / "examples" / "ens" / "contenthash.json"
THERE = "0x" + "cc" * 20


@pytest.fixture
def block(sample_blocks: Path) -> Path:
    return sample_blocks / "19933122"


def test_trace_prints_a_tree(block: Path, solder_command: Callable[..., Any]) -> None:
    ran = solder_command("trace", block, "--transaction", 18)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("transaction 18: success, 63,662 gas\n└ CALL 0x3a5cc8689d1b0cef2c317bc5c0ad6ce88b27d597 ")
    assert "balanceOf(owner: 0x" in ran.out
    assert "emit" not in ran.out
    assert "emit Transfer(" in solder_command("trace", block, "--transaction", 18, "--logs").out


def test_trace_of_all_transactions_is_a_line_each(block: Path, solder_command: Callable[..., Any]) -> None:
    found = solder_command("trace", block, "--json").objects
    assert [line["transaction"] for line in found] == list(range(45))
    (alone,) = solder_command("trace", block, "--json", "--transaction", 18).objects
    assert found[18]["result"] == alone
    assert "logs" not in json.dumps(alone)


@pytest.mark.parametrize(
    ("tracer", "keys"),
    [
        ("call", {"from", "gas", "gasUsed", "to", "input", "calls", "value", "type"}),
        ("diff", {"pre", "post"}),
        ("4byte", {"0x2da03409-64", "0x3ef13367-32", "0x70a08231-32", "0xa9059cbb-64"}),
    ],
)
def test_trace_tracers_give_one_object(
    tracer: str, keys: set[str], block: Path, solder_command: Callable[..., Any]
) -> None:
    (found,) = solder_command("trace", block, "--transaction", 18, "--tracer", tracer).objects
    assert found.keys() == keys


def test_trace_steps_are_lines(solder_command: Callable[..., Any]) -> None:
    steps = solder_command("trace", ENS, "--tracer", "struct", "--no-stack").objects
    assert len(steps) == 866
    assert "stack" not in steps[5]
    lines = solder_command("trace", ENS, "--tracer", "eip3155", "--memory").objects
    assert len(lines) == 867
    assert "gasUsed" in lines[-1]


def test_trace_steps_of_a_block_say_whose(sample_blocks: Path, solder_command: Callable[..., Any]) -> None:
    steps = solder_command("trace", sample_blocks / "1150000", "--tracer", "struct").objects
    assert {step["transaction"] for step in steps} <= set(range(9))
    assert steps[0]["step"].keys() >= {"pc", "op"}


def test_trace_a_call_on_a_state(tmp_path: Path, solder_command: Callable[..., Any]) -> None:
    path = tmp_path / "alloc.json"
    path.write_text(json.dumps({THERE: {"code": "0x5f5ffd", "balance": "0x1"}}))
    ran = solder_command("trace", path, "--to", THERE, "--value", "0", "--json")
    assert (ran.status, ran.objects[0]["error"]) == (1, "execution reverted")
    ran = solder_command("trace", path)
    assert (ran.status, ran.out) == (2, "")
    assert "alloc.json: a state needs --to or --data" in ran.err


def test_trace_names_by_abi(tmp_path: Path, solder_command: Callable[..., Any]) -> None:
    abi = tmp_path / "abi.json"
    abi.write_text('["function setContenthash(bytes32 thenode, bytes what)"]')
    assert "setContenthash(thenode: 0xee6c4522" in solder_command("trace", ENS, "--abi", abi).out
    assert "setContenthash(node: 0xee6c4522" in solder_command("trace", ENS).out
    abi.write_text("{")
    ran = solder_command("trace", ENS, "--abi", abi)
    assert (ran.status, "abi.json" in ran.err) == (2, True)
    ran = solder_command("trace", ENS, "--sources", tmp_path / "none.json")
    assert (ran.status, "none.json: No such file" in ran.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--transaction", "45"], "45 is not one of 45"),
        (["--transaction", "-1"], "-1 is not in the range"),
        (["--tracer", "parity"], "is not one of"),
        (["--tracer", "tree", "--json"], "leave out --json"),
        (["--to", THERE, "--transaction", "1"], "only a block has several"),
    ],
)
def test_trace_refuses(arguments: list[str], text: str, block: Path, solder_command: Callable[..., Any]) -> None:
    ran = solder_command("trace", block, *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert text in ran.err


def test_trace_needs_one_block(sample_blocks: Path, tmp_path: Path, solder_command: Callable[..., Any]) -> None:
    ran = solder_command("trace", sample_blocks)
    assert (ran.status, "6 blocks, and one is traced" in ran.err) == (2, True)
    assert solder_command("trace", tmp_path / "nothing").status == 2
