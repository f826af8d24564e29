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


@pytest.mark.parametrize("raw", [b"", b"\x00", b"\xc0", b"\x05\xc0", b"\xf8", b"\xff" * 40, b"\x02\xc1\x80"])
def test_chain_bad_transaction_is_rejected_by_its_official_name(raw: bytes) -> None:
    with pytest.raises(solder.RejectedInput) as caught:
        solder.Transaction.decode(raw)
    assert caught.value.code.startswith("TransactionException.")


@pytest.mark.parametrize("raw", [b"", b"\xc0", b"\xc1\xc0", b"\x80", b"\xf9\xff\xff"])
def test_chain_bad_block_is_rejected(raw: bytes) -> None:
    with pytest.raises(solder.RejectedInput) as caught:
        solder.Block.decode_rlp(raw, solder.Chain.mainnet())
    assert caught.value.code == "BlockException.RLP_STRUCTURES_ENCODING"
