"""What a notebook shows of states, results and changes: bounded, and nothing of it becomes markup."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import solder
from solder._native import function_selector

ALICE, BOB, MINER = b"\xaa" * 20, b"\xbb" * 20, b"\xee" * 20
ALICE_NAME = "0xaAaAaAaaAaAaAaaAaAAAAAAAAaaaAaAaAaaAaaAa"
# Logs its caller as topic over 64 zero bytes, and stores 7 in slot 1.
LOGGER = bytes.fromhex("3360406000a160076001 55".replace(" ", ""))
EVIL = "<script>alert('&')</script>"


class Reader(HTMLParser):
    """Cells, what is shown under the pointer, and tags; an unbalanced table is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.titles: list[str] = []
        self.tags: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.titles += [value or "" for name, value in attrs if name == "title"]
        self.tags.add(tag)
        self.open.append(tag)
        if tag in {"td", "th", "caption"}:
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.cells[-1] += data


def read(value: Any) -> Reader:
    reader = Reader()
    reader.feed(value._repr_html_())
    assert reader.open == []
    assert reader.tags <= {"table", "caption", "tr", "th", "td"}
    return reader


@pytest.fixture
def state() -> solder.State:
    accounts: dict[bytes, Any] = {ALICE: {"balance": 10**18}, BOB: {"code": LOGGER}}
    return solder.State(accounts, block={"beneficiary": MINER})


def test_html_of_a_call(state: solder.State) -> None:
    result = state.transact(BOB, sender=ALICE)
    page = read(result)
    cells = page.cells
    assert cells[:3] == ["CallResult: success", "gas used", f"{result.gas_used:,}"]
    assert "logs: 1" in cells
    assert "0x" + ALICE.rjust(32, b"\0").hex() in page.titles
    assert "0x00000000…aaaaaaaa" in cells
    assert f"0x{'00' * 16}… (64 bytes)" in cells
    assert cells[cells.index("slot 1") :][:3] == ["slot 1", "0", "7"]
    assert cells[cells.index("nonce") - 1 :][:4] == [ALICE_NAME, "nonce", "0", "1"]
    created = state.deploy(bytes.fromhex("6001601ff3"), sender=ALICE)
    assert created.created is not None
    assert "0x" + created.created.hex() in [cell.lower() for cell in read(created).cells]


def test_html_of_what_a_contract_says_is_text(state: solder.State) -> None:
    text = EVIL.encode()
    body = function_selector("Error(string)") + (32).to_bytes(32, "big") + len(text).to_bytes(32, "big") + text
    code = bytes.fromhex("61") + len(body).to_bytes(2, "big") + bytes.fromhex("80600c6000396000fd") + body
    result = state.set_code(BOB, code).call(BOB)
    assert result.error == EVIL
    assert EVIL in read(result).cells
    assert "<script" not in result._repr_html_()


def test_html_of_a_bundle(state: solder.State) -> None:
    txs: list[dict[str, Any]] = [{"to": MINER, "sender": ALICE, "value": 5}, {"to": BOB, "sender": BOB, "value": 1}]
    cells = read(state.bundle(txs)).cells
    assert cells[0] == "BundleResult: failed, 5 wei to the coinbase"
    assert cells[6:11] == ["0", "success", "21,000", "5", ""]
    assert cells[12] == "rejected"
    assert "INSUFFICIENT_ACCOUNT_FUNDS" in cells[15]


def test_html_of_a_block_is_bounded(sample_blocks: Path) -> None:
    block, state = solder.load_block(str(sample_blocks / "19933122"))
    result = solder.execute_block(block, state)
    cells = read(result).cells
    assert "2,056,821" in cells
    assert "receipts: 45" in cells
    assert "and 25 more" in cells
    changes = read(result.changes).cells
    assert re.fullmatch(r"ChangeSet: \d+ of 90 touched accounts changed", changes[0])
    assert re.fullmatch(r"and \d+ more", changes[-1])
    assert len(changes) == 1 + 4 + 20 * 4 + 1


def test_html_of_states_and_batches(state: solder.State) -> None:
    cells = read(state).cells
    assert cells[:1] == ["State"]
    assert ["fork", state.fork] == cells[cells.index("fork") :][:2]
    with state.sandbox() as box:
        assert read(box).cells[0] == "Sandbox"
    batch = state.simulate([{"to": BOB}, {"to": BOB, "value": 1}])
    assert read(batch).cells[1:] == ["success", "1", "rejected", "1"]


@pytest.mark.parametrize("number", [0, 1])
def test_html_of_destroyed_and_new_accounts(number: int) -> None:
    before = solder.State({ALICE: {"balance": 1, "nonce": 2}})
    after = solder.State({BOB: {"balance": 10**20, "code": b"\x00"}})
    changes = (before.diff(after), after.diff(before))[number]
    cells = read(changes).cells
    assert "none" in cells
    assert "100,000,000,000,000,000,000" in cells
    assert ("1 bytes" in cells) == (number == 0)
