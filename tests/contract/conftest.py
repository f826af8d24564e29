"""What the tests of contracts share: compiled contracts, and one of them deployed."""

import json
from pathlib import Path
from typing import Any

import pytest

import solder

ARTEFACTS = Path(__file__).parent / "artefacts"
ALICE, BOB = b"\xaa" * 20, b"\xbb" * 20


@pytest.fixture(scope="session")
def standard() -> dict[str, Any]:
    """The standard JSON output of solc 0.8.37 for Board.sol."""
    found: dict[str, Any] = json.loads((ARTEFACTS / "board_standard.json").read_text())
    return found


@pytest.fixture(scope="session")
def board_abi() -> solder.Abi:
    return solder.Abi(ARTEFACTS / "board_standard.json")


@pytest.fixture(scope="session")
def board(board_abi: solder.Abi) -> solder.Contract:
    """Board.sol, with 10 left, deployed by Alice."""
    state = solder.State({ALICE: {"balance": 10**18}})
    return solder.Contract.deploy(board_abi, None, 10, "a board", state=state, sender=ALICE)
