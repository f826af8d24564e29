"""``solder call`` with an interface: arguments as they are typed, values, events and errors as they are shown."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ARTEFACT = Path(__file__).resolve().parent.parent / "contract" / "artefacts" / "board_standard.json"
ALICE = "0x" + "aa" * 20


@pytest.fixture
def deployed(tmp_path: Path, solder_command: Callable[..., Any]) -> tuple[Path, str]:
    """A saved state with Board.sol in it, and its address."""
    alloc, after = tmp_path / "alloc.json", tmp_path / "after.solder"
    alloc.write_text(json.dumps({ALICE: {"balance": "0x1000000"}}))
    ran = solder_command(
        "call", alloc, "--abi", ARTEFACT, "--sender", ALICE, "--keep", after, "--json", "10", "A board"
    )
    assert ran.status == 0, ran.err
    return after, str(ran.objects[0]["created"])


def test_call_signature_of_an_artefact(deployed: tuple[Path, str], solder_command: Callable[..., Any]) -> None:
    state, to = deployed
    found = solder_command("call", state, "--to", to, "--abi", ARTEFACT, "--signature", "left", "--json").objects[0]
    assert (found["value"], found["events"]) == (["10"], [])
    arguments = ("--signature", "place", "--sender", ALICE, "--json", "7", "(1, 2, p)")
    placed = solder_command("call", state, "--to", to, "--abi", ARTEFACT, *arguments).objects[0]
    assert placed["value"] == ["9"]
    assert placed["events"][0].startswith("Placed(by='0xaAaA")
    failed = solder_command("call", state, "--to", to, "--abi", ARTEFACT, "--signature", "take", "--json", "11")
    assert (failed.status, failed.objects[0]["error"]) == (1, "TooLittle(left: 10, wanted: 11)")
    table = solder_command("call", state, "--to", to, "--abi", ARTEFACT, "--signature", "minmax", "--", "[3, -5]")
    assert [line.split() for line in table.out.splitlines() if line.startswith("value")] == [
        ["value", "-5"],
        ["value", "3"],
        ["value", "2"],
    ]
    estimate = solder_command(
        "call", state, "--to", to, "--abi", ARTEFACT, "--signature", "take", "--estimate", "--sender", ALICE, "1"
    )
    assert 21_000 < int(estimate.out) < 60_000


def test_call_signature_alone(deployed: tuple[Path, str], solder_command: Callable[..., Any]) -> None:
    state, to = deployed
    signature = "pick(uint256)(uint256)"
    ran = solder_command("call", state, "--to", to, "--signature", signature, "--json", str(2**200))
    assert ran.objects[0]["value"] == [str(2**200 + 1)]
    ran = solder_command(
        "call", state, "--to", to, "--signature", "scaled(int128,bool,uint8)(int128)", "--", "-5", "true", "3"
    )
    assert "15" in ran.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("5",), "ARGUMENTS: need --signature"),
        (("--abi", ARTEFACT, "5"), "--signature: which function"),
        (("--abi", ARTEFACT, "--signature", "colour"), "there is no such function"),
        (("--abi", ARTEFACT, "--signature", "pick", "5"), "is overloaded"),
        (("--signature", "f(uint8)", "256"), 'f(uint8)[0]: "256" is no uint8'),
        (("--signature", "f(uint8)", "--data", "0x", "5"), "--data: is made from"),
        (("--signature", "f(uint8"), "is expected"),
        (("--signature", "f(uint8)"), "0 arguments, not 1"),
        (("--signature", "f(address)", "0xBBbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"), "wrong checksum"),
        (("--abi", "no-such-file.json", "--signature", "f"), "no-such-file.json: No such file"),
    ],
    ids=lambda value: str(value)[-40:],
)
def test_call_signature_what_is_wrong_is_named(
    arguments: tuple[Any, ...], says: str, deployed: tuple[Path, str], solder_command: Callable[..., Any]
) -> None:
    state, to = deployed
    ran = solder_command("call", state, "--to", to, *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert says in ran.err


def test_call_signature_creation_needs_code(deployed: tuple[Path, str], solder_command: Callable[..., Any]) -> None:
    ran = solder_command("call", deployed[0], "--signature", "constructor(uint256)", "5")
    assert (ran.status, "there must be init code" in ran.err) == (2, True)
    ran = solder_command("call", deployed[0], "--signature", "constructor(uint256)", "--data", "0x00", "5", "--json")
    assert ran.status == 0
