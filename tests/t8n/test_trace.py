"""Step traces (EIP-3155): the lines of geth's logger, held against those of the reference."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from .inputs import TransitionInput
from .test_interface import ALLOC, ENV, RECIPIENT, SENDER, signed, transition

if TYPE_CHECKING:
    from pathlib import Path

    from .reference import Reference

CALLEE = "0x" + "22" * 20
# What is between the keys of a line and the reference's: its names for errors, and KECCAK for KECCAK256.
OWN_WORDS = ("error", "opName")
REVERT = 0xFD

PROGRAMS = {
    "stop_at_the_end_of_code": "6001600201",
    # sstore(0, 1); sstore(0, 0): the second line shows the refund that it makes.
    "refund": "6001600055600060005500",
    # Calls CALLEE and returns its word.
    "call": "6020600060006000600073" + CALLEE[2:] + "5af15060206000f3",
    # Creates from one zero byte, then from nothing.
    "create": "600160006000f0600060006000f000",
    "revert": "60aa60005260206000fd",
    "out_of_gas": "600163ffffffff52",
    "stack_underflow": "01",
    "undefined_instruction": "0c",
    "keccak": "6020600020",
}
# sstore(1, 0) clears a slot; mstore(0, 7); return(0, 32)
CALLEE_CODE = "0x6000600155600760005260206000f3"


def accounts(code: str) -> dict[str, Any]:
    callee = {"code": CALLEE_CODE, "balance": "0x0", "storage": {"0x01": "0x01"}}
    return {**ALLOC, RECIPIENT: {"code": "0x" + code, "balance": "0x1"}, CALLEE: callee}


def traced(folder: Path, code: str, **options: Any) -> list[dict[str, Any]]:
    """The lines of the one trace of a call to `code`."""
    call = signed(gas="0xf4240", value="0x0")
    transition(accounts(code), ENV, [call], trace_folder=str(folder), **options)
    (file,) = folder.iterdir()
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_trace_lines_are_geths(tmp_path: Path) -> None:
    lines = traced(tmp_path, PROGRAMS["stop_at_the_end_of_code"])
    assert lines[2:] == [
        {"pc": 4, "op": 1, "gas": hex(979_000 - 6), "gasCost": "0x3", "memSize": 0, "stack": ["0x1", "0x2"],
         "depth": 1, "refund": 0, "opName": "ADD"},
        {"pc": 5, "op": 0, "gas": hex(979_000 - 9), "gasCost": "0x0", "memSize": 0, "stack": ["0x3"],
         "depth": 1, "refund": 0, "opName": "STOP"},
        {"output": "", "gasUsed": "0x9"},
    ]  # fmt: skip


def test_trace_file_names(tmp_path: Path) -> None:
    txs = [signed(nonce="0x7"), signed(), signed(nonce="0x1")]
    done = transition(txs=txs, trace_folder=str(tmp_path))
    hashes = [receipt["transactionHash"] for receipt in done["result"]["receipts"]]
    # A rejected transaction leaves no file, and the others keep their place in the list.
    names = {f"trace-{index}-{value}.jsonl" for index, value in enumerate(hashes, start=1)}
    assert {file.name for file in tmp_path.iterdir()} == names


def test_trace_fields_are_chosen(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("with", "without")]
    for folder in folders:
        folder.mkdir()
    code = PROGRAMS["call"]
    with_all = traced(folders[0], code, trace_memory=True, trace_return_data=True)
    without = traced(folders[1], code, trace_stack=False)
    assert [line["pc"] for line in with_all[:-1]] == [line["pc"] for line in without[:-1]]
    last = with_all[-2]
    assert last["memory"] == last["returnData"] == "0x" + "00" * 31 + "07"
    assert not any({"memory", "returnData", "stack"} & line.keys() for line in without)


@pytest.mark.parametrize("program", PROGRAMS)
def test_trace_equals_reference(tmp_path: Path, reference: Reference, program: str) -> None:
    code = PROGRAMS[program]
    txs = [signed(gas="0xf4240", value="0x0")]
    given = TransitionInput(
        name=program, network="Cancun", fork="Cancun", chain_id=1, alloc=accounts(code), env=ENV, txs=txs, body="",
        header={}, expect_exception=None, has_ommers=False,
    )  # fmt: skip
    theirs = reference.traces(given)
    mine = traced(tmp_path, code)
    assert len(theirs) == 1
    assert [without_words(line) for line in mine] == [without_words(line) for line in theirs[0]]
    assert [failed(line) for line in mine] == [failed(line) for line in theirs[0]]
    assert SENDER not in mine[0].get("stack", [])


def failed(line: dict[str, Any]) -> bool:
    """Did the step fail? The reference calls a REVERT an error too."""
    return "error" in line and line.get("op") != REVERT


def without_words(line: dict[str, Any]) -> dict[str, Any]:
    """A line without what the two name differently; a failed step's cost is as far as each one got."""
    left_out = {*OWN_WORDS, "gasCost"} if failed(line) else set(OWN_WORDS)
    return {key: value for key, value in line.items() if key not in left_out}
