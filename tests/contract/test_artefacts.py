"""Interfaces from everything that compilers write, and what is no interface."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

import solder
from solder.contract.abi import MAX_ARTEFACT_BYTES

ARTEFACTS = Path(__file__).parent / "artefacts"


def _copied(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own bytes


def _formats(standard: dict[str, Any]) -> dict[str, Any]:
    """The contract of solc's output as others write it."""
    entry = standard["contracts"]["src/Board.sol"]["Board"]
    abi, code = entry["abi"], entry["evm"]["bytecode"]["object"]
    return {
        "solc standard": standard,
        "solc combined": {"contracts": {"src/Board.sol:Board": {"abi": abi, "bin": code}}, "version": "0.8.37"},
        "solc combined before 0.6": {"contracts": {"Board.sol:Board": {"abi": json.dumps(abi), "bin": code}}},
        "forge": {"abi": abi, "bytecode": {"object": "0x" + code, "linkReferences": {}}, "methodIdentifiers": {}},
        "hardhat": {"_format": "hh-sol-artifact-1", "contractName": "Board", "abi": abi, "bytecode": "0x" + code},
        "hardhat build info": {"id": "1", "solcVersion": "0.8.37", "output": standard},
    }


def test_artefacts_every_format_is_the_same_interface(standard: dict[str, Any], tmp_path: Path) -> None:
    entry = standard["contracts"]["src/Board.sol"]["Board"]
    bare = solder.Abi(entry["abi"])
    assert len(bare.functions) == len([item for item in entry["abi"] if item["type"] == "function"])
    for name, content in _formats(standard).items():
        file = tmp_path / "Board.json"
        file.write_text(json.dumps(content))
        for abi in (solder.Abi(file), solder.Abi(content), solder.Abi(json.dumps(content)), solder.Abi.load(file)):
            assert [f.signature for f in abi.functions] == [f.signature for f in bare.functions], name
            assert [repr(event) for event in abi.events] == [repr(event) for event in bare.events], name
            assert [error.signature for error in abi.errors] == [error.signature for error in bare.errors], name
            assert abi.bytecode == bytes.fromhex(entry["evm"]["bytecode"]["object"]), name
            assert abi.constructor.signature == "constructor(uint256,string)"


def test_artefacts_of_vyper() -> None:
    combined = solder.Abi(ARTEFACTS / "counter_combined.json")
    assert combined.name == "Counter.vy"
    assert combined.bytecode is not None
    content = json.loads((ARTEFACTS / "counter_combined.json").read_text())
    assert content["Counter.vy"]["method_identifiers"].keys() == {f.signature for f in combined.functions}
    for function in combined.functions:
        assert int(content["Counter.vy"]["method_identifiers"][function.signature], 16) == int.from_bytes(
            function.selector, "big"
        )
    assert solder.Abi(content["Counter.vy"]["abi"]).functions == combined.functions
    # An argument with a default is two functions.
    state = solder.State({b"\xaa" * 20: {"balance": 1}})
    counter = solder.Contract.deploy(combined, None, state=state.sandbox(), sender=b"\xaa" * 20)
    assert counter.count.transact().value == 1
    assert counter.count.transact(5).events[0].args.total == 6
    shares = counter.shares([counter, "0x" + "11" * 20])
    assert [share.parts for share in shares] == [6, 6]
    assert shares[0].owner == counter.address


def test_artefacts_one_of_several_is_named(standard: dict[str, Any]) -> None:
    entry = standard["contracts"]["src/Board.sol"]["Board"]
    two = {"contracts": {"a.sol": {"A": {"abi": []}, "Board": entry}, "b.sol": {"Board": {"abi": []}}}}
    with pytest.raises(solder.InputError, match=r"name one of the 3 contracts: a\.sol:A, a\.sol:Board, b\.sol:Board"):
        solder.Abi(two)
    assert len(solder.Abi(two, contract="a.sol:Board").functions) > 5
    assert len(solder.Abi(two, contract="A")) == 0
    with pytest.raises(solder.InputError, match="name one"):
        solder.Abi(two, contract="Board")
    with pytest.raises(solder.InputError, match=r'there is no "C", but a\.sol:A'):
        solder.Abi(two, contract="C")


def test_artefacts_unlinked_code_is_not_taken(standard: dict[str, Any]) -> None:
    entry = json.loads(json.dumps(standard["contracts"]["src/Board.sol"]["Board"]))
    code = entry["evm"]["bytecode"]["object"]
    abi = solder.Abi({"abi": entry["abi"], "bytecode": "0x" + code[:40] + "__$" + "ab" * 17 + "$__" + code[80:]})
    assert (abi.unlinked, abi.bytecode) == (True, None)
    with pytest.raises(solder.InputError, match="waits for libraries"):
        solder.Contract.deploy(abi, None, 1, "", state=solder.State())
    with pytest.raises(solder.InputError, match="has no init code"):
        solder.Contract.deploy(["constructor()"], None, state=solder.State())


def test_artefacts_signatures() -> None:
    abi = solder.Abi(
        """
        // what a token has
        function transfer(address to, uint256 amount) external returns (bool)
        balanceOf(address owner) view returns (uint256)
        event Transfer(address indexed from, address indexed to, uint256 value);
        error TooLittle(uint256 left)
        function swap(tuple(address token, uint24[] fees)[] path, (bool,int8) how) payable returns (uint256[2] amounts)
        constructor(uint supply)
        """
    )
    assert {f.signature for f in abi.functions} == {
        "transfer(address,uint256)",
        "balanceOf(address)",
        "swap((address,uint24[])[],(bool,int8))",
    }
    assert abi.function("transfer").selector.hex() == "a9059cbb"
    assert abi.event("Transfer").topic.hex().startswith("ddf252ad1be2c89b")
    assert abi.function("swap").mutability == "payable"
    assert abi.function("swap").outputs == [("amounts", "uint256[2]")]
    assert abi.constructor.inputs == [("supply", "uint256")]
    assert abi.error("TooLittle").inputs == [("left", "uint256")]
    assert solder.Abi("balanceOf(address)(uint256)").function("balanceOf").outputs == [("", "uint256")]


def test_artefacts_a_copy_is_equal(board_abi: solder.Abi) -> None:
    for copy in (_copied(board_abi), solder.Abi(board_abi), solder.Abi(board_abi.to_json())):
        assert copy == board_abi
        assert hash(copy) == hash(board_abi)
        assert (copy.bytecode, copy.name) == (board_abi.bytecode, "Board")
    assert _copied(board_abi.events) == board_abi.events
    assert _copied(board_abi.errors) == board_abi.errors
    assert _copied(board_abi.functions) == board_abi.functions
    assert _copied(board_abi.constructor) == board_abi.constructor


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{", "not a JSON list or object"),
        ("[", "abi: not a list"),
        ("[1]", r"\[0\]"),
        ([{"type": "function"}], r"\[0\]: missing field `name`"),
        ([{"type": "colour", "name": "x"}], r"\[0\].x.type: \"colour\" is no kind of entry"),
        (
            [{"type": "function", "name": "f", "inputs": [{"type": "uint257", "name": "a"}], "outputs": []}],
            r"\[0\].f.*uint257",
        ),
        (
            [{"type": "function", "name": "f", "inputs": [{"type": "uint" + "[]" * 17, "name": "a"}], "outputs": []}],
            "deeper than 16",
        ),
        (
            [{"type": "function", "name": "f", "inputs": [{"type": "uint[65537]", "name": "a"}], "outputs": []}],
            "65536 words",
        ),
        (["function f(uint[4294967296][4294967296] a)"], "65536 words"),
        (["function f(" + "(" * 40 + "uint" + ")" * 40 + ")"], "deeper than 16"),
        (["function f(uint256"], r"\[0\]"),
        (["function f(" + "uint256," * 3000 + "uint256)"], "longer than 16384"),
        (["event E(uint indexed a, uint indexed b, uint indexed c, uint indexed d)"], "5 topics, more than 4"),
        ({"contracts": {}}, "no contract's interface"),
        ({"contracts": 5}, "contracts: not as expected"),
        ({"abi": 5}, "abi"),
        ({"abi": [], "bytecode": "0xzz"}, "bytecode: not hex"),
        ({"colour": "red"}, "no contract's interface"),
        ("", "there is no signature"),
        (5, "int is no JSON"),
        (b"[]", "bytes is no JSON"),
        pytest.param([object()], "is no JSON", id="object"),
        (["function f()"] * 10_001, "more than 10000 entries"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_artefacts_what_is_wrong_is_named(source: Any, says: str) -> None:
    with pytest.raises(solder.InputError, match=says):
        solder.Abi(source)


def test_artefacts_what_a_library_takes_is_left_alone() -> None:
    storage = {"name": "self", "type": "Lib.Data storage", "internalType": "struct Lib.Data storage"}
    entries: list[dict[str, Any]] = [
        {"type": "function", "name": "f", "inputs": [storage], "outputs": [], "stateMutability": "view"},
        {"type": "function", "name": "g", "inputs": [], "outputs": [], "stateMutability": "view"},
    ]
    for abi in (solder.Abi(entries), _copied(solder.Abi(entries))):
        assert [function.name for function in abi.functions] == ["g"]
        assert abi.unusable == {"f": 'no call data can have the type "Lib.Data storage"'}
        with pytest.raises(solder.InputError, match=r"Lib\.Data storage"):
            abi.function("f")


def test_artefacts_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(solder.InputError, match="No such file") as caught:
        solder.Abi(tmp_path / "none.json")
    assert caught.value.path == str(tmp_path / "none.json")
    raw = tmp_path / "raw.json"
    raw.write_bytes(b"\xff\xfe")
    with pytest.raises(solder.InputError, match="not text"):
        solder.Abi(raw)
    nested = tmp_path / "nested.json"
    nested.write_text("[" * 100_000)
    with pytest.raises(solder.InputError, match="not a list"):
        solder.Abi(nested)
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(MAX_ARTEFACT_BYTES + 1)
    with pytest.raises(solder.InputError, match="more than"):
        solder.Abi(huge)
