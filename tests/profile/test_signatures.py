"""Names of functions: every selector of the table is the hash of its signature."""

import pytest

from solder._native import function_selector
from solder.profile.signatures import FUNCTIONS, PRECOMPILES, name_of, selector_names


@pytest.mark.parametrize(("selector", "signature"), FUNCTIONS.items())
def test_signatures_selector_is_the_hash(selector: str, signature: str) -> None:
    assert "0x" + function_selector(signature).hex() == selector


def test_signatures_of_an_abi() -> None:
    pair = {"type": "tuple[]", "components": [{"type": "address"}, {"type": "uint256"}]}
    abi = [
        {"type": "function", "name": "pay", "inputs": [pair, {"type": "bytes"}]},
        {"type": "event", "name": "Paid", "inputs": []},
    ]
    expected = {"0x" + function_selector("pay((address,uint256)[],bytes)").hex(): "pay((address,uint256)[],bytes)"}
    assert selector_names(abi) == selector_names({"abi": abi}) == expected


def test_signatures_names() -> None:
    address = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
    assert name_of(address, "0xa9059cbb", "call") == "0xdAC1..1ec7 transfer(address,uint256)"
    assert name_of(address, "0x12345678", "call") == "0xdAC1..1ec7 0x12345678"
    assert name_of(address, "0x12345678", "call", {"0x12345678": "own()"}) == "0xdAC1..1ec7 own()"
    assert name_of(address, None, "call") == "0xdAC1..1ec7"
    assert name_of(address, None, "create") == "init code by 0xdAC1..1ec7"
    assert name_of("0x" + "0" * 39 + "1", None, "precompile") == PRECOMPILES[1] == "ecrecover"
