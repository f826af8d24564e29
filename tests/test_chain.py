from pathlib import Path
from typing import Any

import pytest

import solder


@pytest.mark.parametrize(
    ("number", "timestamp", "fork"),
    [
        (0, 0, "Frontier"),
        (1_150_000, 0, "Homestead"),
        (1_919_999, 0, "Homestead"),
        (4_369_999, 0, "SpuriousDragon"),
        (4_370_000, 0, "Byzantium"),
        (15_537_394, 0, "Paris"),
        (17_034_870, 1_681_338_455, "Shanghai"),
        (19_426_587, 1_710_338_135, "Cancun"),
        (30_000_000, 1_764_798_551, "Osaka"),
    ],
)
def test_chain_mainnet_schedule(number: int, timestamp: int, fork: str) -> None:
    assert solder.Chain.mainnet().fork_at(number, timestamp) == fork


@pytest.mark.parametrize(
    ("chain_id", "number", "timestamp", "fork"),
    [
        (11155111, 1_450_408, 1_663_000_000, "London"),
        (11155111, 1_450_409, 1_663_000_000, "Paris"),
        (11155111, 9_000_000, 1_761_607_008, "BPO2"),
        (17000, 1, 1_696_000_703, "Paris"),
        (17000, 1, 1_740_434_112, "Prague"),
        (560048, 0, 0, "Cancun"),
        (560048, 1, 1_742_999_832, "Prague"),
        (560048, 1, 1_761_677_592, "Osaka"),
    ],
)
def test_chain_test_networks(chain_id: int, number: int, timestamp: int, fork: str) -> None:
    assert solder.Chain.from_id(chain_id).fork_at(number, timestamp) == fork


def test_chain_transition_network() -> None:
    chain = solder.Chain.from_name("BerlinToLondonAt5")
    assert [chain.fork_at(number, 0) for number in (4, 5)] == ["Berlin", "London"]
    merge = solder.Chain.from_name("ArrowGlacierToParisAtDiffC0000")
    assert [merge.fork_at(1, 0, total) for total in (0xBFFFF, 0xC0000)] == ["ArrowGlacier", "Paris"]


@pytest.mark.parametrize("name", ["", "osaka", "Osaka ", "Latest", "Osaka2", "BerlinToLondonAtX", "MoonToOsakaAt5"])
def test_chain_unknown_name_is_an_error(name: str) -> None:
    with pytest.raises(solder.UnknownFork):
        solder.Chain.from_name(name)


def test_chain_unknown_id_is_an_error() -> None:
    with pytest.raises(solder.UnknownFork):
        solder.Chain.from_id(424242)


ALWAYS: Any = ("Cancun", "timestamp", 0)
BLOBS: Any = {"target": 9, "max": 12, "base_fee_update_fraction": 5_000_000}


def test_chain_of_ones_own() -> None:
    chain = solder.Chain(
        31337,
        [
            ("London", "block", 0),
            ("Paris", "total_difficulty", 1000),
            ("Osaka", "timestamp", 50),
            ("BPO1", "timestamp", 60),
        ],
        blob_schedule={"BPO1": BLOBS},
        deposit_contract=b"\x01" * 20,
    )
    assert chain.chain_id == 31337
    assert [chain.fork_at(9, time, 999) for time in (49, 50, 60)] == ["London", "Osaka", "BPO1"]
    assert chain.fork_at(9, 49, 1000) == "Paris"


@pytest.mark.parametrize(
    ("schedule", "options", "field"),
    [
        ([], {}, "schedule"),
        ([("Cancun", "timestamp", 1)], {}, "schedule"),
        ([("Cancun", "timestamp")], {}, "schedule[0]"),
        ([("Cancun", "epoch", 0)], {}, "schedule[0]"),
        ([("Cancun", "timestamp", -1)], {}, "schedule[0]"),
        ([("Cancun", "timestamp", 2**64)], {}, "schedule[0]"),
        ([ALWAYS, ("London", "block", 5)], {}, "schedule[1]"),
        ([ALWAYS, ("Cancun", "timestamp", 5)], {}, "schedule[1]"),
        ([("London", "block", 0), ("Osaka", "timestamp", 9), ("BPO1", "timestamp", 8)], {}, "schedule[2]"),
        ([("Moon", "timestamp", 0)], {}, "fork"),
        ([ALWAYS], {"blob_schedule": {"Moon": BLOBS}}, "fork"),
        ([ALWAYS], {"blob_schedule": {"London": BLOBS}}, "blob_schedule.London"),
        ([ALWAYS], {"blob_schedule": {"Cancun": {"target": 1, "max": 2}}}, "blob_schedule.Cancun"),
        ([ALWAYS], {"blob_schedule": {"Cancun": {**BLOBS, "colour": 1}}}, "blob_schedule.Cancun"),
        ([ALWAYS], {"blob_schedule": {"Cancun": {**BLOBS, "max": 1}}}, "blob_schedule.Cancun"),
        ([ALWAYS], {"deposit_contract": b"\x01"}, "deposit_contract"),
    ],
)
def test_chain_bad_schedule_is_named(schedule: Any, options: Any, field: str) -> None:
    with pytest.raises(solder.InputError) as caught:
        solder.Chain(1, schedule, **options)
    assert (caught.value.field or "").startswith(field)


def test_chain_governs_a_block(sample_blocks: Path, sample_names: list[str]) -> None:
    block, state = solder.load_block(sample_blocks / sample_names[-1])
    same = solder.Chain(1, [ALWAYS])
    assert block.with_chain(same).fork == block.fork == "Cancun"
    by_header = solder.execute_block(block, state)
    assert solder.execute_block(block, state, chain=same).receipts_root == by_header.receipts_root
    other = solder.Chain(5, [ALWAYS])
    with pytest.raises(solder.RejectedInput) as caught:
        solder.execute_block(block, state, chain=other)
    assert caught.value.code == "TransactionException.INVALID_CHAINID"


@pytest.mark.parametrize("raw", [b"", b"\x00", b"\xc0", b"\x05\xc0", b"\xf8", b"\xff" * 40, b"\x02\xc1\x80"])
def test_chain_bad_transaction_is_rejected_by_its_official_name(raw: bytes) -> None:
    with pytest.raises(solder.RejectedInput) as caught:
        solder.Transaction.decode(raw)
    assert caught.value.code.startswith("TransactionException.")


@pytest.mark.parametrize("raw", [b"", b"\xc0", b"\xc1\xc0", b"\x80", b"\xf9\xff\xff"])
def test_chain_bad_block_is_rejected(raw: bytes) -> None:
    with pytest.raises(solder.RejectedInput) as caught:
        solder.Block.decode_rlp(raw, solder.Chain.mainnet())
    assert caught.value.code in {"BlockException.RLP_STRUCTURES_ENCODING", "BlockException.INCORRECT_BLOCK_FORMAT"}
