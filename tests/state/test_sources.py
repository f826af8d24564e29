import json
from pathlib import Path
from typing import Any

import pytest

import solder

OWNER = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
GENESIS: dict[str, Any] = {
    "config": {"chainId": 1337, "homesteadBlock": 0, "eip150Block": 0, "eip158Block": 0, "byzantiumBlock": 0,
               "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0, "berlinBlock": 0, "londonBlock": 0,
               "terminalTotalDifficulty": 0, "shanghaiTime": 0, "cancunTime": 100},
    "gasLimit": "0x1c9c380", "timestamp": "0x63", "difficulty": "0x0", "coinbase": "0x" + "11" * 20,
    "alloc": {
        OWNER[2:].lower(): {"balance": "0x10", "nonce": "1", "storage": {"0x1": "0x2"}},
        "0x" + "22" * 20: {"code": "0x00"},
    },
}  # fmt: skip


def test_sources_alloc_reads_every_form_of_a_number(tmp_path: Path) -> None:
    path = tmp_path / "alloc.json"
    path.write_text(json.dumps({"alloc": GENESIS["alloc"]}))
    for state in (solder.State.from_alloc(GENESIS["alloc"]), solder.State.from_alloc(path)):
        account = state.account(OWNER.lower())
        assert account is not None
        assert (account.balance, account.nonce, state.slots(OWNER.lower())) == (16, 1, {1: 2})


def test_sources_genesis_brings_rules_and_block(tmp_path: Path) -> None:
    path = tmp_path / "genesis.json"
    path.write_text(json.dumps(GENESIS))
    state = solder.State.from_genesis(path)
    assert (state.chain.chain_id, state.fork, state.block["number"]) == (1337, "Shanghai", 0)
    assert (state.block["timestamp"], state.block["gas_limit"]) == (99, 30_000_000)
    assert state.block["beneficiary"] == b"\x11" * 20
    later = solder.State.from_genesis({**GENESIS, "timestamp": "0x64"})
    assert later.fork == "Cancun"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("[]", None),
        ("{", None),
        ('{"0x11": {}}', "address"),
        ('{"' + "11" * 20 + '": []}', "alloc." + "11" * 20),
        ('{"' + "11" * 20 + '": {"balance": "0xzz"}}', f"alloc.{'11' * 20}.balance"),
        ('{"' + "11" * 20 + '": {"balance": -1}}', "balance"),
        ('{"' + "11" * 20 + '": {"balance": true}}', f"alloc.{'11' * 20}.balance"),
        ('{"' + "11" * 20 + '": {"weight": 1}}', f"alloc.{'11' * 20}.weight"),
        ("[" * 100_000, None),
    ],
)
def test_sources_bad_alloc_names_the_field(tmp_path: Path, text: str, field: str | None) -> None:
    path = tmp_path / "alloc.json"
    path.write_text(text)
    with pytest.raises(solder.InputError) as caught:
        solder.State.from_alloc(path)
    if field is None:
        assert caught.value.path == str(path)
    else:
        assert field in (caught.value.field or "")


def test_sources_unknown_fork_is_refused() -> None:
    with pytest.raises(solder.UnknownFork):
        solder.State(fork="Moon")
    assert solder.State(fork="Cancun").fork == "Cancun"


def test_sources_inside_a_block(sample_blocks: Path, sample_names: list[str]) -> None:
    for name in sample_names[-2:]:
        block, before = solder.load_block(sample_blocks / name)
        result = solder.execute_block(block, before)
        assert solder.State.at(sample_blocks / name).root() == before.root()
        count = len(block.transactions)
        whole = solder.State.at(block, after=count - 1, state=before)
        assert (whole.block["number"], whole.fork) == (block.number, block.fork)
        # Each next transaction, by all rules, gives the receipt that the block has for it.
        for index in range(min(count, 5)):
            inside = solder.State.at(block, after=index - 1, state=before)
            receipt = result.receipts[index]
            sent = inside.send(block.transactions[index])
            assert (sent.gas_used, sent.ok, sent.logs) == (receipt.gas_used, receipt.success, receipt.logs)
        with pytest.raises(solder.InputError, match="transactions"):
            solder.State.at(block, after=count, state=before)
        with pytest.raises(solder.InputError, match="state"):
            solder.State.at(block, after=0)


@pytest.mark.parametrize("after", [-2, 1, 10**30])
def test_sources_no_such_transaction_is_named(sample_blocks: Path, after: int) -> None:
    with pytest.raises(solder.InputError) as caught:
        solder.State.at(sample_blocks / "46147", after=after)
    assert caught.value.field == "after"
    assert solder.State.at(sample_blocks / "46147", after=-1).fork == "Frontier"
