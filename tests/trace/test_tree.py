"""The tree of calls: names, arguments, amounts, reasons, source lines."""

import json
from pathlib import Path
from typing import Any

import pytest

import solder
from solder.errors import InputError
from solder.trace import Location, Signatures, SourceMap, read_sources
from solder.trace.known import SIGNATURES
from solder.trace.sources import decompress, instruction_places
from solder.trace.tree import Sources, ether

HERE = Path(__file__).resolve().parent
VAULT: dict[str, Any] = json.loads((HERE / "vault.json").read_text())
VYPER: dict[str, Any] = json.loads((HERE / "vault_vyper.json").read_text())
CONTRACTS = VAULT["output"]["contracts"]["contracts/Vault.sol"]
ABI = CONTRACTS["Vault"]["abi"]
ALICE = "0x" + "aa" * 20


def _selector(signature: str) -> bytes:
    from solder import _native

    return _native.function_selector(signature)


def _init(contract: dict[str, Any]) -> str:
    return "0x" + str(contract["evm"]["bytecode"]["object"]).removeprefix("0x")


@pytest.fixture
def deployed() -> tuple[solder.State, bytes]:
    state = solder.State({ALICE: {"balance": 10**20}})
    made = state.deploy(_init(CONTRACTS["Vault"]), sender=ALICE)
    assert made.created is not None
    return made.state, made.created


def _line_of(text: str) -> int:
    source: str = VAULT["input"]["sources"]["contracts/Vault.sol"]["content"]
    return 1 + source[: source.index(text)].count("\n")


def test_tree_decodes_by_abi_and_says_ether(deployed: tuple[solder.State, bytes]) -> None:
    state, vault = deployed
    trace = state.trace(vault, _selector("save()"), sender=ALICE, value=15 * 10**17)
    text = trace.tree(abis=[ABI], logs=True)
    assert f"CALL 0x{vault.hex()} save() with 1.5 ether [" in text
    assert "emit Saved(who: 0xaAaA" in text
    assert text.startswith("success, ")
    assert "save" not in trace.tree()
    page = trace._repr_html_()
    assert page.startswith("<pre") and "1.5 ether" in page  # noqa: PT018


@pytest.mark.parametrize(
    ("signature", "arguments", "reason", "line"),
    [
        ("take(uint256)", 5, "TooMuch(asked: 5, there: 0)", "revert TooMuch(amount, there);"),
        ("half(uint256)", 7, "Panic(0x01)", "assert(value % 2 == 0);"),
        ("shut()", None, "not the owner", 'require(msg.sender == owner, "not the owner");'),
    ],
)
def test_tree_failed_frames_say_reason_and_line(
    deployed: tuple[solder.State, bytes], signature: str, arguments: int | None, reason: str, line: str
) -> None:
    state, vault = deployed
    data = _selector(signature) + (b"" if arguments is None else arguments.to_bytes(32, "big"))
    trace = state.trace(vault, data, sender="0x" + "bb" * 20)
    forms: tuple[Sources, ...] = (
        read_sources(VAULT),
        {vault: read_sources(VAULT)[1]},
        read_sources(HERE / "vault.json"),
    )
    for sources in forms:
        text = trace.tree(abis=[ABI], sources=sources)
        assert f"failed: execution reverted: {reason}" in text
        assert f"at contracts/Vault.sol:{_line_of(line)}: " in text
    assert "Vault.sol" not in trace.tree(abis=[ABI])


def test_tree_inner_frame_has_its_own_line(deployed: tuple[solder.State, bytes]) -> None:
    state, vault = deployed
    made = state.deploy(_init(CONTRACTS["Caller"]), sender=ALICE)
    trace = made.state.trace(made.created, _selector("tries(address)") + vault.rjust(32, b"\0"), sender=ALICE)
    outer, inner = [line for line in trace.tree(sources=read_sources(VAULT)).splitlines() if "failed" in line]
    assert f"Vault.sol:{_line_of('vault.shut();')}: vault.shut();" in outer
    assert f"Vault.sol:{_line_of('require(msg.sender == owner')}" in inner
    assert inner.startswith("  └ STATICCALL")


def test_tree_failed_creation_has_its_line() -> None:
    state = solder.State({ALICE: {"balance": 10**20}})
    trace = state.trace(None, _init(CONTRACTS["Vault"]), sender=ALICE, value=10**19)
    text = trace.tree(sources=read_sources(VAULT))
    assert "CREATE nothing with " in text
    assert f"too rich at contracts/Vault.sol:{_line_of('require(msg.value')}: require(msg.value" in text


def test_tree_lines_of_vyper() -> None:
    vault = VYPER["output"]["contracts"]["vault.vy"]["vault"]
    made = solder.State().deploy(_init(vault), sender=ALICE)
    trace = made.state.trace(made.created, _selector("shut()"), sender="0x" + "bb" * 20)
    text = trace.tree(sources=read_sources(VYPER))
    assert 'not the owner at vault.vy:15: assert msg.sender == owner, "not the owner"' in text


def test_tree_reads_forges_form(tmp_path: Path, deployed: tuple[solder.State, bytes]) -> None:
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "Vault.sol").write_text(VAULT["input"]["sources"]["contracts/Vault.sol"]["content"])
    evm = CONTRACTS["Vault"]["evm"]
    artefact = {
        "abi": ABI,
        "bytecode": {"object": _init(CONTRACTS["Vault"]), "sourceMap": evm["bytecode"]["sourceMap"]},
        "deployedBytecode": {**evm["deployedBytecode"], "object": "0x" + evm["deployedBytecode"]["object"]},
        "metadata": {"settings": {"compilationTarget": {"contracts/Vault.sol": "Vault"}}},
        "id": 0,
    }
    path = tmp_path / "out" / "Vault.sol" / "Vault.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(artefact))
    state, vault = deployed
    trace = state.trace(vault, _selector("shut()"), sender="0x" + "bb" * 20)
    assert f"contracts/Vault.sol:{_line_of('require(msg.sender == owner')}: " in trace.tree(sources=read_sources(path))
    assert repr(read_sources(path)[0]) == "<SourceMap Vault: 1 files>"


def test_tree_logs_stand_between_calls(sample_blocks: Path) -> None:
    block, state = solder.load_block(sample_blocks / "19933122")
    from solder.trace import trace_block

    trees = [trace.tree(logs=True) for trace in trace_block(block, state)]
    assert sum(tree.count("emit Transfer(from: 0x") for tree in trees) > 20
    assert any("(ecrecover)" in tree for tree in trees)
    assert any("transfer(to: 0x" in tree for tree in trees)
    assert all(len(line) < 1200 for tree in trees for line in tree.splitlines())


def test_tree_is_bounded_and_one_line_each() -> None:
    there = b"\x11" * 20
    evil = "function transfer(address to, uint256 amount) returns (string)"
    text = "a\nb\x1b[31m" * 200
    output = (32).to_bytes(32, "big") + len(text).to_bytes(32, "big") + text.encode()
    output = output.ljust(-(-len(output) // 32) * 32, b"\0")
    code = b"\x61" + len(output).to_bytes(2, "big") + b"\x80\x60\x0b\x5f\x39\x5f\xf3" + b"\x00" + output
    state = solder.State({there: {"code": code}})
    data = _selector("transfer(address,uint256)") + bytes(64)
    tree = state.trace(there, data).tree(abis=[[evil]])
    assert len(tree.splitlines()) == 2
    assert "\x1b" not in tree
    assert "\N{REPLACEMENT CHARACTER}" in tree or "\\" in tree
    assert len(tree) < 1000
    assert "... and 1 more calls" in state.trace(there, data).tree(limit=0)


def test_tree_malformed_call_data_is_shown_as_such() -> None:
    tree = solder.State().trace(b"\x11" * 20, _selector("transfer(address,uint256)") + b"\xff" * 7).tree()
    assert "transfer(malformed" in tree


@pytest.mark.parametrize(
    ("wei", "text"),
    [(0, "0 wei"), (12, "12 wei"), (10**9, "0.000000001 ether"), (10**18, "1 ether"), (10**20 + 1, None)],
)
def test_tree_ether(wei: int, text: str | None) -> None:
    assert ether(wei) == (text or "100.000000000000000001 ether")


def test_tree_names_take_every_form_of_an_abi(tmp_path: Path) -> None:
    path = tmp_path / "vault.json"
    path.write_text(json.dumps({"abi": ABI}))
    data = _selector("half(uint256)") + (4).to_bytes(32, "big")
    for source in (ABI, json.dumps(ABI), path, {"abi": ABI}, solder.Abi(ABI)):
        assert Signatures(source).call(data) == "half(value: 4)"
    with pytest.raises(InputError, match=r"nowhere\.json"):
        Signatures(tmp_path / "nowhere.json")
    with pytest.raises(InputError, match="int is no ABI"):
        Signatures(5)
    path.write_text("{")
    with pytest.raises(InputError, match=r"vault\.json"):
        Signatures(path)


def test_tree_known_signatures_are_read() -> None:
    for signature in SIGNATURES:
        solder.Abi([signature])


def test_tree_source_map_is_decompressed() -> None:
    assert decompress("1:2:0:-:0;;5;:::i;7:1:3") == ((1, 0), (1, 0), (5, 0), (5, 0), (7, 3))
    assert decompress("") == ()
    assert instruction_places(bytes.fromhex("60015b61ffff00")) == [0, 2, 3, 6]
    assert str(Location("a.sol", 3, 1, "x;")) == "a.sol:3: x;"
    with pytest.raises(InputError, match=r"entry 1 is 'a:b', not s:l:f:j:m"):
        decompress("1:2:0;a:b")


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ("[]", "not an object"),
        ("{", "not JSON"),
        ("{}", "neither contracts nor deployedBytecode"),
        ('{"contracts":{}}', "no source map"),
        ('{"contracts":{"a":{"b":{"evm":{"deployedBytecode":{"object":"zz","sourceMap":"1:2:3"}}}}}}', "not hex"),
        ('{"contracts":{"a":{"b":{"evm":{"deployedBytecode":{"object":"","sourceMap":"x"}}}}}}', "not s:l:f:j:m"),
        ('{"contracts":[1]}', "not a compiler's JSON"),
    ],
)
def test_tree_bad_sources_name_their_file(found: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(found)
    with pytest.raises(InputError, match=text) as raised:
        read_sources(path)
    assert raised.value.path == str(path)


def test_tree_a_map_of_other_code_says_nothing() -> None:
    (caller, vault) = read_sources(VAULT)
    assert isinstance(vault, SourceMap)
    assert not caller.matches(b"\x00")
    assert vault.location(b"", 10**6) is None
