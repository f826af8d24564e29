"""The interface of `solder t8n`: forms of input, where outputs go, and what bad input is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from solder.errors import InputError, UnknownFork

from . import tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = "0x45a915e4d060149eb4365960e6a7a45f334393093061116b197e3240065ff2d8"
SENDER = "0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b"
RECIPIENT = "0x" + "11" * 20
COINBASE = "0x" + "cc" * 20
ZERO_HASH = "0x" + "00" * 32
ETHER = 10**18

ENV = {
    "currentCoinbase": COINBASE,
    "currentGasLimit": "0x1c9c380",
    "currentNumber": "0x1",
    "currentTimestamp": "0x3e8",
    "currentRandom": "0x0",
    "currentBaseFee": "0x7",
    "currentExcessBlobGas": "0x0",
    "parentBeaconBlockRoot": ZERO_HASH,
    "withdrawals": [],
    "blockHashes": {"0x0": ZERO_HASH},
}
ALLOC = {SENDER: {"balance": hex(ETHER)}}
TRANSFER = {"nonce": "0x0", "gasPrice": "0xa", "gas": "0x5208", "to": RECIPIENT, "value": "0x1", "input": "0x"}


def transition(
    alloc: Any = ALLOC, env: Any = ENV, txs: Any = (), fork: str = "Cancun", **options: Any
) -> dict[str, Any]:
    """Run the tool, by default on Cancun with an empty block."""
    return tool.transition(alloc, env, txs, fork=fork, **options)


def signed(**fields: Any) -> dict[str, Any]:
    """A transfer that the tool is to sign."""
    return {**TRANSFER, **fields, "secretKey": KEY, "v": "0x0", "r": "0x0", "s": "0x0"}


def test_transaction_signed_with_secret_key() -> None:
    done = transition(txs=[signed()])
    assert done["result"]["rejected"] == []
    assert done["alloc"][RECIPIENT] == {"balance": "0x1"}
    assert done["alloc"][SENDER]["nonce"] == "0x1"
    assert done["result"]["receipts"][0]["gasUsed"] == "0x5208"
    # What was signed is in the body; read back as RLP it gives the same block.
    again = transition(txs=done["body"])
    assert again == done


@pytest.mark.parametrize("protected", [True, False])
def test_transaction_legacy_protection(*, protected: bool) -> None:
    done = transition(txs=[signed(protected=protected)], chain_id=5)
    assert done["result"]["rejected"] == []
    v = bytes.fromhex(done["body"][2:])[-67]
    assert v in ((45, 46) if protected else (27, 28))


def test_transaction_types_are_inferred() -> None:
    fee = {"maxFeePerGas": "0x64", "maxPriorityFeePerGas": "0x2"}
    accounts: list[dict[str, Any]] = [{"address": RECIPIENT, "storageKeys": ["0x1"]}]
    txs: list[dict[str, Any]] = [
        signed(),
        signed(nonce="0x1", accessList=accounts, gas="0x7530"),
        signed(nonce="0x2", **fee),
        signed(nonce="0x3", type="0x2", **fee, accessList=accounts, gas="0x7530"),
    ]
    done = transition(txs=txs)
    assert done["result"]["rejected"] == []
    assert [receipt["type"] for receipt in done["result"]["receipts"]] == ["0x0", "0x1", "0x2", "0x2"]
    # 7 wei of base fee, and at most 2 for the coinbase.
    assert [receipt["effectiveGasPrice"] for receipt in done["result"]["receipts"]] == ["0xa", "0xa", "0x9", "0x9"]


def test_rejected_transactions_keep_their_index() -> None:
    txs = [signed(nonce="0x5"), signed(), signed(gasPrice="0x1", nonce="0x1"), signed(nonce="0x1", type="0x9")]
    result = transition(txs=txs)["result"]
    reasons = {item["index"]: item["error"].split(":")[0] for item in result["rejected"]}
    assert reasons == {
        0: "TransactionException.NONCE_MISMATCH_TOO_HIGH",
        2: "TransactionException.INSUFFICIENT_MAX_FEE_PER_GAS",
        3: "TransactionException.TYPE_NOT_SUPPORTED",
    }
    assert len(result["receipts"]) == 1


def test_base_fee_and_excess_blob_gas_follow_from_the_parent() -> None:
    left_out = ("currentBaseFee", "currentExcessBlobGas")
    env = {key: value for key, value in ENV.items() if key not in left_out}
    env |= {"parentBaseFee": "0x3b9aca00", "parentGasUsed": "0x1c9c380", "parentGasLimit": "0x1c9c380"}
    env |= {"parentExcessBlobGas": "0x60000", "parentBlobGasUsed": "0x20000"}
    result = transition(env=env)["result"]
    # A full parent raises the base fee by an eighth; Cancun's target is three blobs, which the parent just passed.
    assert result["currentBaseFee"] == hex(1_125_000_000)
    assert result["currentExcessBlobGas"] == hex(0x60000 + 0x20000 - 3 * 0x20000)


def test_difficulty_follows_from_the_parent() -> None:
    env = {**ENV, "parentDifficulty": "0x20000", "parentTimestamp": "0x3e0"}
    result = transition(env=env, fork="Homestead")["result"]
    assert result["currentDifficulty"] == hex(0x20000 + 0x20000 // 2048)


@pytest.mark.parametrize(
    ("reward", "paid"), [(None, 2 * ETHER), (-1, None), (0, 0), (5, 5)], ids=["own", "none", "zero", "five"]
)
def test_reward(reward: int | None, paid: int | None) -> None:
    env = {**ENV, "currentDifficulty": "0x20000"}
    alloc = transition(env=env, fork="Istanbul", reward=reward)["alloc"]
    # Zero wei touch the coinbase, and an account that is touched and empty does not stay.
    expected = None if not paid else {"balance": hex(paid)}
    assert alloc.get(COINBASE) == expected


def test_ommers_are_paid() -> None:
    env: dict[str, Any] = {**ENV, "currentDifficulty": "0x20000", "currentNumber": "0x8"}
    env["ommers"] = [{"delta": 1, "address": RECIPIENT}]
    alloc = transition(env=env, fork="Istanbul")["alloc"]
    assert alloc[RECIPIENT] == {"balance": hex(2 * ETHER * 7 // 8)}
    assert alloc[COINBASE] == {"balance": hex(2 * ETHER + 2 * ETHER // 32)}


def test_withdrawals_are_credited() -> None:
    given = {"index": "0x0", "validatorIndex": "0x0", "address": RECIPIENT, "amount": "0x3"}
    alloc = transition(env={**ENV, "withdrawals": [given]})["alloc"]
    assert alloc[RECIPIENT] == {"balance": hex(3 * 10**9)}


def test_block_hash_must_be_given() -> None:
    asks = {RECIPIENT: {"balance": "0x0", "code": "0x600140600055"}}  # sstore(0, blockhash(1))
    env = {**ENV, "currentNumber": "0x3"}
    call = signed(gas="0x186a0", value="0x0")
    with pytest.raises(InputError) as caught:
        transition({**ALLOC, **asks}, env, [call])
    assert (caught.value.path, caught.value.field) == ("env", "blockHashes.0x1")
    known = {**env, "blockHashes": {"1": "0x" + "ab" * 32}}
    alloc = transition({**ALLOC, **asks}, known, [call])["alloc"]
    assert list(alloc[RECIPIENT]["storage"].values()) == ["0x" + "ab" * 32]


def test_blob_parameters_can_be_replaced() -> None:
    left_out = "currentExcessBlobGas"
    env = {key: value for key, value in ENV.items() if key != left_out}
    env |= {"parentExcessBlobGas": "0x0", "parentBlobGasUsed": "0x40000"}
    assert transition(env=env)["result"][left_out] == "0x0"
    params = b'{"target": "0x1", "max": "0x2", "baseFeeUpdateFraction": "0x1000"}'
    assert transition(env=env, blob_params=params)["result"][left_out] == "0x20000"


def without(fields: dict[str, Any], name: str) -> dict[str, Any]:
    """The same without one field."""
    return {key: value for key, value in fields.items() if key != name}


@pytest.mark.parametrize(
    ("given", "file", "field"),
    [
        ({"env": without(ENV, "currentNumber")}, "env", "currentNumber"),
        ({"env": without(ENV, "currentBaseFee")}, "env", "currentBaseFee"),
        ({"env": without(ENV, "withdrawals")}, "env", "withdrawals"),
        ({"env": without(ENV, "parentBeaconBlockRoot")}, "env", "parentBeaconBlockRoot"),
        ({"env": {**ENV, "currentGasLimit": "0x1" + "0" * 16}}, "env", "currentGasLimit"),
        ({"env": {**ENV, "currentCoinbase": "0x12"}}, "env", "currentCoinbase"),
        ({"env": {**ENV, "withdrawals": [{"index": 0}]}}, "env", "withdrawals[0].validatorIndex"),
        ({"env": {**ENV, "blockHashes": {"0": "0x12"}}}, "env", "blockHashes.0"),
        ({"env": {**ENV, "blockHashes": {"0": ZERO_HASH, "0x0": ZERO_HASH}}}, "env", "blockHashes.0x0"),
        ({"env": []}, "env", None),
        ({"env": b"{"}, "env", None),
        ({"env": b'{"a": 1, "a": 2}'}, "env", None),
        ({"alloc": {"0x12": {}}}, "alloc", "0x12"),
        ({"alloc": {SENDER: {"balance": "lots"}}}, "alloc", f"{SENDER}.balance"),
        ({"alloc": {SENDER: {"nonce": "0x1" + "0" * 16}}}, "alloc", f"{SENDER}.nonce"),
        ({"alloc": {SENDER: {"code": "0x1"}}}, "alloc", f"{SENDER}.code"),
        ({"alloc": {SENDER: {"storage": {"0x0": 1, "0x00": 2}}}}, "alloc", f"{SENDER}.storage.0x00"),
        ({"alloc": {SENDER: {}, SENDER.upper().replace("X", "x"): {}}}, "alloc", "*"),
        ({"txs": [without(TRANSFER, "nonce")]}, "txs", "[0].nonce"),
        ({"txs": [TRANSFER, {**TRANSFER, "to": "0x12"}]}, "txs", "[1].to"),
        ({"txs": [signed(secretKey="0x0") | {"secretKey": "0x0"}]}, "txs", "[0].secretKey"),
        ({"txs": {}}, "txs", None),
        ({"txs": "0xc1"}, "txs", None),
        ({"txs": b"0xzz"}, "txs", None),
        ({"blob_params": b'{"target": "0x1"}'}, "blobParams", "max"),
    ],
)
def test_bad_input_names_file_and_field(given: dict[str, Any], file: str, field: str | None) -> None:
    with pytest.raises(InputError) as caught:
        transition(**given)
    assert caught.value.path == file
    assert caught.value.detail
    if field != "*":
        assert caught.value.field == field


@pytest.mark.parametrize("fork", ["", "cancun", "Newest", "CancunToOsaka", "BerlinToLondonAtx"])
def test_unknown_fork(fork: str) -> None:
    with pytest.raises(UnknownFork):
        transition(fork=fork)


def answer(texts: list[bytes]) -> str | None:
    """The state root, or None where the input is refused; any other error goes through."""
    alloc, env, txs = texts
    try:
        root: str = transition(alloc, env, txs)["result"]["stateRoot"]
    except InputError:
        return None
    return root


def test_broken_input_is_answered_or_refused() -> None:
    texts = [json.dumps(part).encode() for part in (ALLOC, ENV, [signed()])]
    answers = set()
    for index, text in enumerate(texts):
        for cut in range(0, len(text), 7):
            for broken in (text[:cut], text[:cut] + b"\xff" + text[cut + 1 :], text[:cut] + b"9" + text[cut + 1 :]):
                answers.add(answer([*texts[:index], broken, *texts[index + 1 :]]))
    assert None in answers
    assert len(answers) > 3


def test_process_files(tmp_path: Path, solder_process: Callable[..., Any]) -> None:
    for name, value in (("alloc", ALLOC), ("env", ENV), ("txs", [signed()])):
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    ran = solder_process("t8n", "--state.fork", "Cancun", "--output.body", "body.rlp", cwd=tmp_path)
    assert (ran.status, ran.out) == (0, "")
    names = {"result": "result.json", "alloc": "alloc.json", "body": "body.rlp"}
    written = {part: json.loads((tmp_path / name).read_text()) for part, name in names.items()}
    assert written == transition(txs=[signed()])


def test_process_streams(solder_process: Callable[..., Any]) -> None:
    stdin = json.dumps({"alloc": ALLOC, "env": ENV, "txs": [signed()]})
    inputs = [f"--input.{part}=stdin" for part in ("alloc", "env", "txs")]
    outputs = [f"--output.{part}=stdout" for part in ("alloc", "result", "body")]
    ran = solder_process("t8n", "--state.fork=Cancun", *inputs, *outputs, stdin=stdin)
    assert ran.status == 0
    assert json.loads(ran.out) == transition(txs=[signed()])


def test_process_bad_input_is_status_two(tmp_path: Path, solder_process: Callable[..., Any]) -> None:
    for name, value in (("alloc", ALLOC), ("env", without(ENV, "currentNumber")), ("txs", [])):
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    ran = solder_process("t8n", "--state.fork", "Cancun", cwd=tmp_path)
    assert ran.status == 2
    assert "env.json" in ran.err
    assert "currentNumber" in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "result.json").exists()
