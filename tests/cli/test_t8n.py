"""The command-line side of t8n: flags, files, standard streams, bad input. Its results are compared in tests/t8n."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SENDER = "0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b"
TO = "0x" + "11" * 20
ZERO_HASH = "0x" + "00" * 32
ALLOC = {SENDER: {"balance": hex(10**18), "nonce": "0x0"}}
ENV = {
    "currentCoinbase": "0x2adc25665018aa1fe0e6bc666dac8fc2697ff9ba",
    "currentGasLimit": hex(30_000_000),
    "currentNumber": "0x1",
    "currentTimestamp": "0x3e8",
    "currentRandom": ZERO_HASH,
    "currentDifficulty": "0x0",
    "currentBaseFee": "0x7",
    "currentExcessBlobGas": "0x0",
    "parentBeaconBlockRoot": ZERO_HASH,
    "blockHashes": {"0": ZERO_HASH},
    "withdrawals": [],
}
# The key of ethereum/tests' usual sender, published there.
KEY = "0x45a915e4d060149eb4365960e6a7a45f334393093061116b197e3240065ff2d8"


def _transaction(nonce: int) -> dict[str, str]:
    numbers = {"type": 0, "nonce": nonce, "gasPrice": 10, "gas": 21_000, "value": 1, "v": 0, "r": 0, "s": 0}
    return {**{name: hex(value) for name, value in numbers.items()}, "to": TO, "input": "0x", "secretKey": KEY}


INPUTS: dict[str, Any] = {"alloc": ALLOC, "env": ENV, "txs": [_transaction(0), _transaction(7)]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with the three inputs under their default names."""
    for name, value in INPUTS.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_t8n_files_by_default_names(folder: Path, solder_command: Callable[..., Any]) -> None:
    ran = solder_command("t8n", "--state.fork", "Cancun", "--output.basedir", "out", "--output.body", "body.rlp")
    assert (ran.status, ran.out, ran.err) == (0, "", "")
    assert {path.name for path in (folder / "out").iterdir()} == {"alloc.json", "result.json", "body.rlp"}
    result = json.loads((folder / "out" / "result.json").read_text())
    assert result["gasUsed"] == "0x5208"
    assert len(result["receipts"]) == 1
    assert result["rejected"][0]["index"] == 1
    assert "TransactionException.NONCE_MISMATCH_TOO_HIGH" in result["rejected"][0]["error"]
    alloc = json.loads((folder / "out" / "alloc.json").read_text())
    assert alloc[TO]["balance"] == "0x1"
    assert alloc[SENDER]["nonce"] == "0x1"


def test_t8n_streams_equal_files(
    folder: Path, solder_command: Callable[..., Any], solder_process: Callable[..., Any]
) -> None:
    assert solder_command("t8n", "--state.fork=Cancun", "-output.body=body.json").status == 0
    streams = [f"--input.{name}=stdin" for name in INPUTS]
    streams += [f"--output.{name}=stdout" for name in ("alloc", "result", "body")]
    ran = solder_process("t8n", "--state.fork", "Cancun", *streams, stdin=json.dumps(INPUTS), cwd=folder)
    assert (ran.status, ran.err) == (0, "")
    told = json.loads(ran.out)
    assert told.keys() == {"alloc", "result", "body"}
    for name, value in told.items():
        # The alloc that the first command wrote took the place of the input; both runs started from the same one.
        assert value == json.loads((folder / f"{name}.json").read_text())


def test_t8n_body_is_accepted_as_transactions(folder: Path, solder_command: Callable[..., Any]) -> None:
    first = solder_command("t8n", "--state.fork=Cancun", "--output.basedir=a", "--output.body=txs.rlp")
    second = solder_command("t8n", "--state.fork=Cancun", "--output.basedir=b", "--input.txs", folder / "a" / "txs.rlp")
    assert (first.status, second.status) == (0, 0), second.err
    assert (folder / "a" / "result.json").read_text() == (folder / "b" / "result.json").read_text()


def test_t8n_trace_is_a_file_per_transaction(folder: Path, solder_command: Callable[..., Any]) -> None:
    assert solder_command("t8n", "--state.fork=Cancun", "--output.basedir=out", "--trace").status == 0
    traces = sorted((folder / "out").glob("trace-0-0x*.jsonl"))
    assert len(traces) == 1
    assert all(json.loads(line) for line in traces[0].read_text().splitlines())


@pytest.mark.parametrize("name", ["alloc", "env", "txs"])
@pytest.mark.parametrize("text", ["", "{", "3", '"0xzz"', '{"a": 1}', '[{"nonce": "0xzz"}]', "[[]]", "[" * 10_000])
def test_t8n_bad_file_is_named_and_nothing_is_written(
    name: str, text: str, folder: Path, solder_command: Callable[..., Any]
) -> None:
    (folder / f"{name}.json").write_text(text)
    ran = solder_command("t8n", "--state.fork=Cancun", "--output.basedir=out")
    assert (ran.status, ran.out) == (2, ""), ran.err
    assert f"{name}.json" in ran.err
    assert list((folder / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--state.fork", "Moon"), "Moon"),
        (("--state.fork", "cancun"), "cancun"),
        (("--state.fork=Cancun", "--input.alloc", "absent.json"), "absent.json"),
        (("--state.fork=Cancun", "--state.chainid", str(2**64)), "chain"),
        (("--state.fork=Cancun", "--state.reward", "-3"), "reward"),
    ],
)
def test_t8n_bad_flag_ends_with_two(
    arguments: tuple[str, ...], word: str, folder: Path, solder_command: Callable[..., Any]
) -> None:
    ran = solder_command("t8n", "--output.basedir", "out", *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert word in ran.err
    assert not (folder / "out" / "result.json").exists()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"alloc": {}}', '{"alloc": {}, "env": {}}'])
def test_t8n_bad_standard_input_ends_with_two(text: str, folder: Path, solder_process: Callable[..., Any]) -> None:
    streams = [f"--input.{name}=stdin" for name in INPUTS]
    ran = solder_process("t8n", "--state.fork=Cancun", *streams, stdin=text, cwd=folder)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("solder: stdin: ")
