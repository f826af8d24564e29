import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import solder

ADDER = "60003560010160005260206000f3"
THERE, ALICE = "0x" + "cc" * 20, "0x" + "aa" * 20
ALLOC = {THERE: {"code": "0x" + ADDER}, ALICE: {"balance": "0xde0b6b3a7640000"}}


@pytest.fixture
def alloc(tmp_path: Path) -> Path:
    path = tmp_path / "alloc.json"
    path.write_text(json.dumps(ALLOC))
    return path


@pytest.fixture(params=["json", "toml", "saved", "test", "genesis"])
def state_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The same accounts in each of the forms."""
    path = tmp_path / f"state.{request.param}"
    match request.param:
        case "json":
            path.write_text(json.dumps({"alloc": ALLOC, "fork": "Cancun", "block": {"timestamp": "0x7"}}))
        case "toml":
            lines = [f'[alloc.{THERE}]\ncode = "0x{ADDER}"', f"[alloc.{ALICE}]\nbalance = 1000000000000000000"]
            path.write_text("\n".join(lines))
        case "saved":
            solder.State.from_alloc(ALLOC).save(path)
        case "test":
            path.write_text(json.dumps({"pre": ALLOC}))
        case _:
            path.write_text(json.dumps({"config": {"chainId": 5, "londonBlock": 0}, "alloc": ALLOC}))
    return path


def test_simulate_call_reads_every_form_of_a_state(state_file: Path, solder_command: Callable[..., Any]) -> None:
    ran = solder_command("call", state_file, "--to", THERE, "--data", "0x" + "00" * 31 + "07", "--json")
    assert (ran.status, ran.err) == (0, "")
    (result,) = ran.objects
    assert result["status"] == "success"
    assert int(str(result["output"]), 16) == 8
    assert result["logs"] == []


def test_simulate_call_keeps_estimates_and_lists(
    alloc: Path, tmp_path: Path, solder_command: Callable[..., Any]
) -> None:
    kept = tmp_path / "after.solder"
    ran = solder_command("call", alloc, "--to", "0x" + "11" * 20, "--sender", ALICE, "--value", "0x5", "--keep", kept)
    assert ran.status == 0
    assert "success" in ran.out
    account = solder.State.load(kept).account("0x" + "11" * 20)
    assert account is not None
    assert account.balance == 5
    ran = solder_command("call", alloc, "--to", "0x" + "11" * 20, "--estimate", "--json")
    assert ran.objects == [{"gas": 21000}]
    ran = solder_command("call", alloc, "--to", THERE, "--access-list", "--json")
    assert ran.objects[0]["accessList"] == []


def test_simulate_call_inside_a_block(
    sample_blocks: Path, sample_names: list[str], solder_command: Callable[..., Any]
) -> None:
    where = sample_blocks / sample_names[-1]
    first = solder_command("call", where, "--after", 2, "--to", THERE, "--block", "timestamp=9", "--json")
    assert first.status == 0
    assert solder_command("call", where, "--after", 10**6, "--to", THERE).status == 2


def test_simulate_a_failed_call_is_status_1(alloc: Path, solder_command: Callable[..., Any]) -> None:
    ran = solder_command("call", alloc, "--data", "0xfe", "--json")
    assert (ran.status, ran.objects[0]["error"]) == (1, "invalid 0xFE opcode")
    ran = solder_command("call", alloc, "--to", THERE, "--gas-limit", "100")
    assert (ran.status, ran.out) == (1, "")
    assert "INTRINSIC_GAS_TOO_LOW" in ran.err
    ran = solder_command("call", alloc, "--data", "0xfe", "--estimate")
    assert (ran.status, ran.out, ran.err) == (1, "", "solder: halt: invalid 0xFE opcode\n")


@pytest.mark.parametrize("form", ["json", "jsonl", "toml"])
def test_simulate_batch_reads_every_form_of_calls(
    form: str, alloc: Path, tmp_path: Path, solder_command: Callable[..., Any]
) -> None:
    data = ["0x" + number.to_bytes(32, "big").hex() for number in range(5)]
    path = tmp_path / f"calls.{form}"
    calls = [{"to": THERE, "data": word, "gas_limit": "0x30d40"} for word in data]
    match form:
        case "json":
            path.write_text(json.dumps(calls))
        case "jsonl":
            path.write_text("\n".join(map(json.dumps, calls)))
        case _:
            path.write_text(
                "".join(f'[[calls]]\nto = "{THERE}"\ndata = "{word}"\ngas_limit = 200_000\n' for word in data)
            )
    ran = solder_command("simulate", alloc, path, "--workers", 2, "--logs", "--diffs", "--json")
    assert ran.status == 0
    assert [int(str(row["output"]), 16) for row in ran.objects] == [1, 2, 3, 4, 5]
    assert all(row["logs"] == [] for row in ran.objects)
    assert [diff["field"] for diff in ran.objects[0]["diffs"]] == ["nonce"]
    assert "success" in solder_command("simulate", alloc, path).out


@pytest.mark.parametrize(
    ("calls", "complaint"),
    [
        ("{", "not JSON"),
        ("7", "not an object"),
        ('[{"to": "0x12"}]', "[0].to"),
        ('[{"to": "0xzz"}]', "not hex"),
        ('[{"value": "many"}]', "[0].value"),
        ('[{"colour": 1}]', "[0].colour"),
    ],
)
def test_simulate_bad_calls_are_status_2(
    calls: str, complaint: str, alloc: Path, tmp_path: Path, solder_command: Callable[..., Any]
) -> None:
    path = tmp_path / "calls.json"
    path.write_text(calls)
    ran = solder_command("simulate", alloc, path, "--json")
    assert (ran.status, ran.out) == (2, "")
    assert complaint in ran.err


def test_simulate_bad_states_are_status_2(tmp_path: Path, solder_command: Callable[..., Any]) -> None:
    bad = tmp_path / "state.toml"
    for content in ("[", "alloc = 7", '[alloc."0x11"]\nbalance = 1', 'fork = "Moon"\n[alloc]'):
        bad.write_text(content)
        assert solder_command("call", bad, "--to", THERE).status == 2
    assert solder_command("call", tmp_path / "absent.json", "--to", THERE).status == 2
