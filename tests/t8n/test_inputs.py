"""The input maker: without it being right, the comparison would compare nothing."""

from __future__ import annotations

import pytest

from . import rlp_items
from .inputs import fork_of


@pytest.mark.parametrize("item", [b"", b"\x01", b"\x80", b"a" * 55, b"a" * 56, [], [b"a", [b"", b"b" * 300]]])
def test_rlp_items_round_trip(item: rlp_items.Item) -> None:
    assert rlp_items.decode(rlp_items.encode(item)) == item


@pytest.mark.parametrize("text", ["", "82aa", "c1", "c28261", "0000", "b8"])
def test_rlp_items_broken(text: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        rlp_items.decode(bytes.fromhex(text))


@pytest.mark.parametrize(
    ("network", "timestamp", "difficulty", "fork"),
    [
        ("Osaka", 0, 0, "Osaka"),
        ("CancunToPragueAtTime15k", 14_999, 0, "Cancun"),
        ("CancunToPragueAtTime15k", 15_000, 0, "Prague"),
        ("ArrowGlacierToParisAtDiffC0000", 0, 1, "ArrowGlacier"),
        ("ArrowGlacierToParisAtDiffC0000", 0, 0, "Paris"),
        ("BerlinToLondonAt5", 0, 1, "London"),
        ("BerlinToLondonAt6", 0, 1, "Berlin"),
        ("HomesteadToDaoAt5", 0, 1, "DaoFork"),
    ],
)
def test_fork_of_network(network: str, timestamp: int, difficulty: int, fork: str) -> None:
    assert fork_of(network, 5, timestamp, difficulty) == fork
