"""Inputs of the transition tool, made from the official blockchain fixtures.

Each block of a fixture becomes (alloc, env, txs) on the state that its parent left; the caller hands that state back
with `FixtureChain.record`. By a seeded draw the env gives a value (base fee, excess blob gas, difficulty) or the
parent's fields that it follows from, and the transactions come as RLP, as signed JSON or as JSON to be signed.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import Any

from . import rlp_items

HEADER_FIELDS = (
    "parentHash", "uncleHash", "coinbase", "stateRoot", "transactionsTrie", "receiptTrie", "bloom", "difficulty",
    "number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce", "baseFeePerGas",
    "withdrawalsRoot", "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot", "requestsHash",
    "blockAccessListHash", "slotNumber",
)  # fmt: skip

# The key of the account that most of ethereum/tests sends from (published there).
KNOWN_KEYS = {
    "0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b": "0x45a915e4d060149eb4365960e6a7a45f334393093061116b197e3240065ff2d8",
}
EMPTY_OMMERS_HASH = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"
BLOCK_HASH_WINDOW = 256

Alloc = dict[str, Any]


@dataclass(frozen=True)
class TransitionInput:
    """One block as the tool's three inputs, and what the fixture says about it."""

    name: str
    network: str
    fork: str
    chain_id: int
    alloc: Alloc
    env: dict[str, Any]
    txs: str | list[dict[str, Any]]
    body: str
    header: dict[str, str]
    expect_exception: str | None
    has_ommers: bool
    blob_params: dict[str, str] | None = None

    @property
    def has_typed_json(self) -> bool:
        """Are there transactions with a type byte among the JSON ones?"""
        return isinstance(self.txs, list) and any(int(tx.get("type", "0x0"), 16) > 0 for tx in self.txs)

    @property
    def stdin(self) -> dict[str, Any]:
        """The object that the tool reads from its standard input."""
        return {"alloc": self.alloc, "env": self.env, "txs": self.txs}


@dataclass
class _Parent:
    alloc: Alloc
    header: dict[str, str]
    hashes: dict[str, str]


def fork_of(network: str, number: int, timestamp: int, difficulty: int) -> str:
    """The fork that governs a block of a network, by the name that the reference knows."""
    match = re.fullmatch(r"(\w+)To(\w+?)At(Time|Diff|)([0-9A-Fa-f]+)(k?)", network)
    if match is None:
        return network
    before, after, kind, value, thousands = match.groups()
    if kind == "Diff":
        return after if difficulty == 0 else before
    position = timestamp if kind == "Time" else number
    fork = after if position >= int(value) * (1000 if thousands else 1) else before
    return "DaoFork" if fork == "Dao" else fork


@dataclass
class FixtureChain:
    """A blockchain fixture, walked block by block."""

    name: str
    fixture: dict[str, Any]
    seed: int = 0
    _states: dict[str, _Parent] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin at the genesis block."""
        genesis = self.fixture["genesisBlockHeader"]
        hashes = {genesis["number"]: genesis["hash"]}
        self._states[genesis["hash"]] = _Parent(self.fixture["pre"], genesis, hashes)

    def __len__(self) -> int:
        """The number of blocks."""
        return len(self.fixture["blocks"])

    def input(self, index: int) -> TransitionInput | None:
        """The inputs for block `index`; None where the block does not decode or its parent is not known."""
        block = self.fixture["blocks"][index]
        try:
            items = rlp_items.decode(bytes.fromhex(block["rlp"][2:]))
            header = _header(items[0])
            transactions = items[1]
            withdrawals = items[3] if len(items) > 3 else None
        except (ValueError, IndexError, TypeError):
            return None
        parent = self._states.get(header["parentHash"])
        if parent is None or not isinstance(transactions, list) or not isinstance(items[2], list):
            return None
        rng = random.Random(f"{self.seed}/{self.name}/{index}")
        config = self.fixture.get("config", {})
        env = _env(header, parent, rng)
        if header["difficulty"] != "0x0":
            env["ommers"] = _ommers(header, items[2])
        if withdrawals is not None:
            if not isinstance(withdrawals, list) or not all(_is_withdrawal(item) for item in withdrawals):
                return None
            env["withdrawals"] = [_withdrawal(item) for item in withdrawals]
        position = (int(header[name], 16) for name in ("number", "timestamp", "difficulty"))
        fork = fork_of(self.fixture["network"], *position)
        # The reference knows the later blob-parameter forks as Osaka with other parameters.
        blob_params = config.get("blobSchedule", {}).get(fork) if fork in {"BPO3", "BPO4", "BPO5"} else None
        return TransitionInput(
            name=f"{self.name}#{index}",
            network=self.fixture["network"],
            fork="Osaka" if blob_params else fork,
            blob_params=blob_params,
            chain_id=int(config.get("chainid", "0x1"), 16),
            alloc=parent.alloc,
            env=env,
            txs=_transactions(block, transactions, rng),
            body="0x" + rlp_items.encode(transactions).hex(),
            header=header,
            expect_exception=block.get("expectException"),
            has_ommers=bool(items[2]),
        )

    def record(self, index: int, alloc: Alloc) -> None:
        """Keep the state after a valid block for the blocks built on it."""
        header = self.fixture["blocks"][index]["blockHeader"]
        parent = self._states[header["parentHash"]]
        hashes = dict(list(parent.hashes.items())[-BLOCK_HASH_WINDOW + 1 :])
        hashes[header["number"]] = header["hash"]
        self._states[header["hash"]] = _Parent(alloc, header, hashes)


def _header(items: Any) -> dict[str, str]:
    quantities = {"difficulty", "number", "gasLimit", "gasUsed", "timestamp"}
    quantities |= {"baseFeePerGas", "blobGasUsed", "excessBlobGas", "slotNumber"}
    header = {}
    for name, value in zip(HEADER_FIELDS, items, strict=False):
        header[name] = hex(int.from_bytes(value, "big")) if name in quantities else "0x" + value.hex()
    if "nonce" not in header or any(len(header[name]) != 66 for name in ("parentHash", "mixHash")):
        raise ValueError("not a header")
    return header


def _env(header: dict[str, str], parent: _Parent, rng: random.Random) -> dict[str, Any]:
    env: dict[str, Any] = {
        "currentCoinbase": header["coinbase"],
        "currentGasLimit": header["gasLimit"],
        "currentNumber": header["number"],
        "currentTimestamp": header["timestamp"],
        "currentRandom": header["mixHash"],
        "blockHashes": {hex(int(number, 16)): value for number, value in parent.hashes.items()},
    }
    derive_base_fee, derive_blob_gas, derive_difficulty = (rng.random() < 0.5 for _ in range(3))
    before = parent.header
    if "baseFeePerGas" in header:
        if derive_base_fee and "baseFeePerGas" in before:
            env["parentGasUsed"] = before["gasUsed"]
            env["parentGasLimit"] = before["gasLimit"]
        else:
            env["currentBaseFee"] = header["baseFeePerGas"]
        if "baseFeePerGas" in before:
            env["parentBaseFee"] = before["baseFeePerGas"]
    if "excessBlobGas" in header:
        env["parentBeaconBlockRoot"] = header.get("parentBeaconBlockRoot", "0x" + "00" * 32)
        if derive_blob_gas and "excessBlobGas" in before:
            env["parentExcessBlobGas"] = before["excessBlobGas"]
            env["parentBlobGasUsed"] = before["blobGasUsed"]
        else:
            env["currentExcessBlobGas"] = header["excessBlobGas"]
    if "slotNumber" in header:
        env["slotNumber"] = header["slotNumber"]
    if header["difficulty"] == "0x0":
        return env
    if derive_difficulty:
        env["parentDifficulty"] = before["difficulty"]
        env["parentTimestamp"] = before["timestamp"]
        if before["uncleHash"] != EMPTY_OMMERS_HASH or rng.random() < 0.5:
            env["parentUncleHash"] = before["uncleHash"]
    else:
        env["currentDifficulty"] = header["difficulty"]
    return env


def _ommers(header: dict[str, str], ommers: Any) -> list[dict[str, Any]]:
    number = int(header["number"], 16)
    heads = [_header(ommer) for ommer in ommers]
    return [{"delta": number - int(head["number"], 16), "address": head["coinbase"]} for head in heads]


def _is_withdrawal(item: Any) -> bool:
    return len(item) == 4 and [len(part) <= 8 for part in item] == [True, True, False, True] and len(item[2]) == 20


def _withdrawal(item: Any) -> dict[str, str]:
    index, validator, address, amount = item
    number = {"index": index, "validatorIndex": validator, "amount": amount}
    quantities = {name: hex(int.from_bytes(value, "big")) for name, value in number.items()}
    return {**quantities, "address": "0x" + address.hex()}


def _transactions(block: dict[str, Any], items: list[Any], rng: random.Random) -> str | list[dict[str, Any]]:
    """The block's transactions as one RLP list or, where the fixture has them as JSON, sometimes as that."""
    decoded = block.get("transactions") or block.get("rlp_decoded", {}).get("transactions")
    as_json, unsigned = rng.random() < 0.5, rng.random() < 0.5
    usable = decoded and len(decoded) == len(items) and all(_speaks_chain_one(tx) for tx in decoded)
    if not as_json or not usable:
        return "0x" + rlp_items.encode(items).hex()
    return [_json_transaction(tx, unsigned=unsigned) for tx in decoded]


def _speaks_chain_one(tx: dict[str, Any]) -> bool:
    """The reference reads a JSON transaction as one for chain 1, whatever its `chainId` says."""
    if not {"v", "r", "s", "nonce", "gasLimit", "value", "data", "to"} <= tx.keys():
        return False
    return int(tx.get("chainId", "0x1"), 16) == 1


def _json_transaction(tx: dict[str, Any], *, unsigned: bool) -> dict[str, Any]:
    out = {key: value for key, value in tx.items() if key not in {"gasLimit", "data", "sender"}}
    out["gas"], out["input"] = tx["gasLimit"], tx["data"]
    key = KNOWN_KEYS.get(tx.get("sender", ""))
    if unsigned and key is not None:
        typed = "type" in tx and int(tx["type"], 16) > 0
        out.update(v="0x0", r="0x0", s="0x0", secretKey=key)
        if not typed and tx["v"] in {"0x1b", "0x1c"}:
            out["protected"] = False
    return out
