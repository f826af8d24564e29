"""Damaged input: each mutation is reported (a mismatch, or a typed error), and none is a traceback or a fault.

Every mutation is drawn from a seed that the test's name shows, so that a failing one replays.
"""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

MUTATIONS = 200
BATCH = 10
Place = tuple[Any, Any]


def _leaves(value: Any) -> Iterator[Place]:
    """Every (container, key) in a JSON value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(pairs):
        yield value, key
        yield from _leaves(inner)


def _change_digit(text: str, draw: random.Random) -> str:
    places = [place for place, letter in enumerate(text) if place > 1 and letter in "0123456789abcdef"]
    if not text.startswith("0x") or not places:
        return text + "?"
    place = draw.choice(places)
    return text[:place] + draw.choice([d for d in "0123456789abcdef" if d != text[place]]) + text[place + 1 :]


def _mutate(document: Any, draw: random.Random) -> str:
    """Change one value of a JSON document, and say which and how."""
    container, key = draw.choice(list(_leaves(document)))
    value = container[key]
    how = draw.choice(("digit", "type", "drop", "huge", "null", "nothex"))
    if how == "digit" and isinstance(value, str):
        container[key] = _change_digit(value, draw)
    elif how == "drop" and isinstance(container, dict):
        del container[key]
    elif how == "huge":
        container[key] = "0x" + "f" * draw.choice((65, 129, 4097))
    elif how == "null":
        container[key] = None
    elif how == "nothex":
        container[key] = "0xzz"
    else:
        container[key] = draw.choice(([], {}, 3.5, True, -1, "text"))
    return f"{key}: {how}"


def _mutate_bytes(raw: bytes, draw: random.Random) -> bytes:
    how = draw.randrange(3)
    if how == 0:
        return raw[: draw.randrange(len(raw))]
    place = draw.randrange(len(raw))
    if how == 1:
        return raw[:place] + bytes([raw[place] ^ (1 << draw.randrange(8))]) + raw[place + 1 :]
    return raw[:place] + bytes(draw.randrange(256) for _ in range(8)) + raw[place:]


def _assert_told(ran: Any, what: str) -> None:
    assert ran.status in (0, 1, 2), (what, ran.status, ran.err)
    assert "Traceback" not in ran.err, (what, ran.err)
    assert "panic" not in ran.err.lower(), (what, ran.err)
    if ran.status == 2:
        assert ran.err.startswith("solder: "), (what, ran.err)
    for entry in ran.objects:
        assert isinstance(entry, dict)


@pytest.fixture
def one_block(sample_blocks: Path, sample_names: list[str], tmp_path: Path) -> Path:
    """A copy of the smallest sample block, with the files that lie beside it."""
    name = min(sample_names, key=lambda name: sum(f.stat().st_size for f in (sample_blocks / name).iterdir()))
    shutil.copytree(sample_blocks / name, tmp_path / "blocks" / name)
    for path in sample_blocks.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path / "blocks")
    return tmp_path / "blocks" / name


@pytest.mark.parametrize("seed", range(MUTATIONS // BATCH))
def test_mutations_of_a_block_are_reported(seed: int, one_block: Path, solder_command: Callable[..., Any]) -> None:
    draw = random.Random(seed)
    for _ in range(BATCH):
        file = one_block / draw.choice(("block.json", "pre_state.json"))
        good = file.read_bytes()
        if draw.random() < 0.2:
            file.write_bytes(_mutate_bytes(good, draw))
            what = "bytes"
        else:
            document = json.loads(good)
            what = _mutate(document, draw)
            file.write_text(json.dumps(document))
        _assert_told(solder_command("replay", one_block, "--json"), f"{file.name}: {what}")
        file.write_bytes(good)
    assert solder_command("replay", one_block, "--json").status == 0


HEADER_FIELDS = (
    "parentHash",
    "sha3Uncles",
    "miner",
    "stateRoot",
    "transactionsRoot",
    "receiptsRoot",
    "logsBloom",
    "difficulty",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "extraData",
    "mixHash",
    "nonce",
)


@pytest.mark.parametrize("field", HEADER_FIELDS)
def test_mutations_of_a_header_field_are_a_mismatch(
    field: str, sample_blocks: Path, sample_names: list[str], tmp_path: Path, solder_command: Callable[..., Any]
) -> None:
    shutil.copytree(sample_blocks, tmp_path / "blocks")
    path = tmp_path / "blocks" / sample_names[-1] / "block.json"
    document = json.loads(path.read_text())
    header = document.get("result", document)
    last = header[field][-1]
    header[field] = header[field][:-1] + ("1" if last != "1" else "2")
    path.write_text(json.dumps(document))
    ran = solder_command("replay", path.parent, "--json")
    assert ran.status == 1, (ran.status, ran.out, ran.err)


@pytest.mark.parametrize("name", ["block.json", "pre_state.json"])
@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '{"a":', "\x00", "[" * 5000, '{"0x":1}'])
def test_mutations_that_are_no_block_end_with_two(
    name: str, text: str, one_block: Path, solder_command: Callable[..., Any]
) -> None:
    (one_block / name).write_text(text)
    ran = solder_command("replay", one_block, "--json")
    assert (ran.status, ran.out) == (2, ""), (ran.out, ran.err)
    assert name in ran.err


@pytest.mark.parametrize("name", ["codes.bin", "block_hashes.bincode"])
def test_mutations_of_binary_files_are_told(name: str, one_block: Path, solder_command: Callable[..., Any]) -> None:
    file = one_block.parent / name
    if not file.exists():
        file = one_block / name
    good = file.read_bytes()
    draw = random.Random(name)
    for cut in (1, 3, len(good) // 2, len(good) - 1):
        file.write_bytes(good[:cut])
        ran = solder_command("replay", one_block, "--json")
        _assert_told(ran, f"{name}: cut at {cut}")
        assert ran.status == 2
        assert name in ran.err
    file.write_bytes(b"\xff\xff\xff\xff" + good)
    assert solder_command("replay", one_block, "--json").status == 2
    for _ in range(10):
        file.write_bytes(_mutate_bytes(good, draw))
        _assert_told(solder_command("replay", one_block, "--json"), name)


OVERSIZED_BYTES = 3 << 30


def test_mutations_oversized_block_files_are_refused_unread(
    one_block: Path, solder_command: Callable[..., Any]
) -> None:
    for file in (one_block / "block.json", one_block / "pre_state.json", one_block.parent / "codes.bin"):
        good = file.read_bytes()
        os.truncate(file, OVERSIZED_BYTES)
        ran = solder_command("replay", one_block, "--json")
        assert (ran.status, ran.out) == (2, "")
        assert file.name in ran.err
        file.write_bytes(good)


@pytest.mark.parametrize("command", ["statetest", "blocktest"])
def test_mutations_oversized_fixtures_are_refused_unread(
    command: str, tmp_path: Path, solder_command: Callable[..., Any]
) -> None:
    path = tmp_path / "huge.json"
    path.touch()
    os.truncate(path, OVERSIZED_BYTES)
    ran = solder_command(command, path, "--json")
    assert (ran.status, ran.out) == (2, "")
    assert "huge.json" in ran.err


@pytest.mark.parametrize("text", ["", "not an archive", "\xfd7zXZ\x00 cut"])
@pytest.mark.parametrize("command", ["replay", "statetest", "blocktest"])
def test_mutations_broken_archives_are_refused(
    command: str, text: str, tmp_path: Path, solder_command: Callable[..., Any]
) -> None:
    path = tmp_path / "broken.tar.xz"
    path.write_bytes(text.encode("latin-1"))
    ran = solder_command(command, path, "--json")
    assert (ran.status, ran.out) == (2, ""), ran.err
    assert "broken.tar.xz" in ran.err
