"""``solder profile``."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENS = ROOT / "examples" / "ens" / "contenthash.json"
GAS = {"total", "base", "calldata", "execution", "sload", "sstore", "log", "keccak", "other", "refund", "floor_top_up"}


def test_profile_json_of_a_transaction_file(solder_command: Callable[..., Any]) -> None:
    ran = solder_command("profile", ENS, "--json", "--repeat", 1)
    assert (ran.status, ran.err) == (0, "")
    [found] = ran.objects
    assert found["gas"].keys() >= GAS
    assert (found["gas"]["total"], found["gas"]["other"]) == (46_924, 5_719)
    for part in found["parts"]:
        assert part.keys() == {"name", "kind", "gas", "nanoseconds", "count"}
        assert part["kind"] in {"glue", "structured"}


def test_profile_json_is_an_object_per_block(
    solder_command: Callable[..., Any], sample_blocks: Path, sample_names: list[str]
) -> None:
    ran = solder_command("profile", sample_blocks, "--json", "--repeat", 1)
    assert (ran.status, ran.err) == (0, "")
    assert [found["block"] for found in ran.objects] == [int(name) for name in sample_names]
    assert all(found["gas_used_ok"] is True for found in ran.objects)


def test_profile_json_by_transaction(solder_command: Callable[..., Any], sample_blocks: Path) -> None:
    ran = solder_command("profile", sample_blocks / "19933122", "--transactions", "--json", "--repeat", 1)
    [found] = ran.objects
    assert [one["index"] for one in found["by_transaction"]] == list(range(45))


def test_profile_table_of_several(solder_command: Callable[..., Any], sample_blocks: Path) -> None:
    ran = solder_command("profile", sample_blocks, ENS, "--repeat", 1)
    assert ran.status == 0
    assert "7 in all" in ran.out
    assert "if a coprocessor took" in ran.out
    assert "ens-setContenthash" in ran.out


def test_profile_files(solder_command: Callable[..., Any], tmp_path: Path) -> None:
    html, flames = tmp_path / "page.html", tmp_path / "flames.json"
    ran = solder_command("profile", ENS, "--html", html, "--speedscope", flames, "--repeat", 1)
    assert ran.status == 0
    assert html.read_text().startswith("<!doctype html>")
    assert json.loads(flames.read_text())["profiles"][0]["endValue"] == 46_924


def test_profile_abi_names_functions(solder_command: Callable[..., Any], tmp_path: Path, sample_blocks: Path) -> None:
    abi = tmp_path / "abi.json"
    abi.write_text(json.dumps([{"type": "function", "name": "transfer", "inputs": [{"type": "uint256"}]}]))
    assert solder_command("profile", ENS, "--abi", abi, "--repeat", 1).status == 0
    abi.write_text("[1")
    refused = solder_command("profile", sample_blocks / "46147", "--abi", abi)
    assert refused.status == 2
    assert "abi.json: --abi" in refused.err


@pytest.mark.parametrize(
    "arguments",
    [(), ("no-such-path",), ("--model", "no-such-model.onnx"), ("--model", "m.onnx", "p"), ("--repeat", "0", "x")],
)
def test_profile_bad_usage(arguments: tuple[str, ...], solder_command: Callable[..., Any]) -> None:
    ran = solder_command("profile", *arguments)
    assert ran.status == 2
    assert ran.out == ""
    assert ran.err


def test_profile_refuses_a_missing_folder(solder_command: Callable[..., Any], tmp_path: Path) -> None:
    ran = solder_command("profile", ENS, "--html", tmp_path / "none" / "page.html")
    assert ran.status == 2
    assert "--html" in ran.err


def test_profile_help_has_examples(solder_command: Callable[..., Any]) -> None:
    ran = solder_command("profile", "--help")
    assert ran.status == 0
    assert "Examples:" in ran.out
