import pickle
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import solder

ALICE, BOB, CAROL = b"\xaa" * 20, b"\xbb" * 20, b"\xcc" * 20
# PUSH1 0 SLOAD PUSH1 1 ADD PUSH1 0 SSTORE: counts its calls in slot 0.
COUNTER = bytes.fromhex("600054600101600055")


def base() -> solder.State:
    return solder.State({ALICE: {"balance": 10**18, "nonce": 3}, CAROL: {"code": COUNTER, "storage": {0: 5, 9: 9}}})


def test_overlays_leave_what_is_below_as_it_was() -> None:
    state = base()
    root = state.root()
    changed = state.set_balance(BOB, 7).set_nonce(ALICE, 4).set_code(BOB, b"\x00").set_storage(CAROL, 9, 0)
    assert state.root() == root
    assert state.account(BOB) is None
    bob, alice = changed.account(BOB), changed.account(ALICE)
    assert bob is not None
    assert alice is not None
    assert (bob.balance, bob.code, alice.nonce, alice.balance) == (7, b"\x00", 4, 10**18)
    assert changed.slots(CAROL) == {0: 5}
    flat = solder.State(
        {
            ALICE: {"balance": 10**18, "nonce": 4},
            BOB: {"balance": 7, "code": b"\x00"},
            CAROL: {"code": COUNTER, "storage": {0: 5}},
        }
    )
    assert changed.root() == flat.root()
    assert isinstance(changed, solder.State)


def test_overlays_many_are_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    seed = random.randrange(2**32)
    with capsys.disabled():
        print(f"\nseed {seed}")
    chance = random.Random(seed)
    state, model = solder.State(), dict[bytes, dict[str, Any]]()
    for _ in range(300):
        owner = bytes([chance.randrange(8)]) * 20
        account = model.setdefault(owner, {"balance": 0, "nonce": 0, "storage": {}})
        match chance.randrange(3):
            case 0:
                account["balance"] = chance.randrange(100)
                state = state.set_balance(owner, account["balance"])
            case 1:
                account["nonce"] = chance.randrange(100)
                state = state.set_nonce(owner, account["nonce"])
            case _:
                slot, value = chance.randrange(20), chance.randrange(3)
                account["storage"][slot] = value
                state = state.set_storage(owner, slot, value)
        assert state.depth <= 8
    assert state.root() == solder.State(model).root()
    assert len(state) == len(model)


def test_overlays_edit_replaces_storage_or_adds_to_it() -> None:
    state = base()
    assert state.edit({CAROL: {"storage": {1: 1}}}).slots(CAROL) == {1: 1}
    assert state.edit({CAROL: {"storage_diff": {1: 1}}}).slots(CAROL) == {0: 5, 1: 1, 9: 9}


def test_overlays_diff_says_what_to_change() -> None:
    before = base()
    after = before.transact(CAROL, sender=ALICE, gas_price=0).state.set_balance(BOB, 1)
    changes = before.diff(after)
    assert {change.address for change in changes} == {ALICE, BOB, CAROL}
    carol = changes.get(CAROL)
    assert carol is not None
    assert carol.storage == {0: (5, 6)}
    assert before.apply(changes).root() == after.root()
    assert after.apply(after.diff(before)).root() == before.root()
    other = solder.State({BOB: {"balance": 3}})
    assert before.apply(before.diff(other)).root() == other.root()
    assert len(before.diff(before)) == 0


def test_overlays_survive_pickling_and_files(tmp_path: Path) -> None:
    state = base().set_balance(BOB, 5).warp(1_800_000_000).roll(99).prank(ALICE)
    path = tmp_path / "state.solder"
    state.save(path)
    unpickled = pickle.loads(pickle.dumps(state))  # noqa: S301 - our own bytes
    for copy in (unpickled, solder.State.load(path)):
        assert type(copy) is solder.State
        assert copy.identity == state.identity
        assert (copy.block, copy.fork, copy.sender) == (state.block, state.fork, ALICE)
        assert copy.slots(CAROL) == state.slots(CAROL)
        assert copy.call(CAROL).gas_used == state.call(CAROL).gas_used
    assert sorted(tmp_path.iterdir()) == [path]


def test_overlays_damaged_files_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seed = random.randrange(2**32)
    with capsys.disabled():
        print(f"\nseed {seed}")
    chance = random.Random(seed)
    raw = base().to_bytes()
    path = tmp_path / "state.solder"
    for _ in range(200):
        damaged = bytearray(raw)
        match chance.randrange(3):
            case 0:
                damaged[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
            case 1:
                del damaged[chance.randrange(len(raw)) :]
            case _:
                damaged += b"\x00"
        path.write_bytes(damaged)
        with pytest.raises(solder.InputError) as caught:
            solder.State.load(path)
        assert caught.value.path == str(path)


def test_overlays_unreadable_and_unwritable_files_are_input_errors(tmp_path: Path) -> None:
    for action in (solder.State.load, base().save, solder.State.from_alloc, solder.State.from_genesis):
        with pytest.raises(solder.InputError) as caught:
            action(tmp_path / "absent" / "file")
        assert "absent" in (caught.value.path or "")


def test_overlays_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.solder"
    base().save(path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("solder.state.files.os.fsync", full)
    with pytest.raises(solder.InputError, match="No space left"):
        base().set_balance(BOB, 1).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_overlays_are_shared_by_threads() -> None:
    state = base()

    def work(number: int) -> tuple[int, int]:
        mine = state.set_balance(BOB, number)
        for _ in range(20):
            mine = mine.transact(CAROL, sender=ALICE).state
        found = mine.account(BOB)
        assert found is not None
        return found.balance, mine.storage(CAROL, 0)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(40))) == [(number, 25) for number in range(40)]
    assert state.storage(CAROL, 0) == 5


def test_overlays_sandbox_leaves_the_original() -> None:
    state = base()
    root = state.root()
    with state.sandbox() as box:
        box.prank(ALICE)
        box.deal(BOB, 123)
        box.transact(CAROL)
        kept = box.snapshot()
        box.transact(CAROL)
        box.warp(2_000_000_000)
        box.roll(5)
        assert box.state.storage(CAROL, 0) == 7
        assert (box.state.block["timestamp"], box.state.block["number"]) == (2_000_000_000, 5)
        box.revert(kept)
        assert box.state.storage(CAROL, 0) == 6
    assert state.root() == root
    assert state.account(BOB) is None


@pytest.mark.parametrize(
    ("owner", "detail"),
    [
        ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", None),
        ("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", None),
        ("0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED", None),
        ("0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD", "wrong checksum"),
        ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeA", "19 bytes"),
        ("5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD", "begins with 0x"),
        ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeG", "not hex"),
        (7, "bytes or hex"),
    ],
)
def test_overlays_addresses_are_checked(owner: Any, detail: str | None) -> None:
    state = solder.State()
    if detail is None:
        assert owner in state.set_balance(owner, 1)
        return
    with pytest.raises(solder.InputError, match=detail):
        state.set_balance(owner, 1)


def failing_after_a_change(box: solder.Sandbox) -> None:
    box.set_storage(CAROL, 9, 1)
    box.set_nonce(BOB, -1)


def test_sandbox_anchors_and_pranks_end_with_their_body() -> None:
    box = base().sandbox()
    nobody = box.state.sender
    with box.anchor() as inner:
        assert inner is box
        box.set_balance(BOB, 7)
        box.prank(BOB)
        assert (box.balance(BOB), box.state.sender) == (7, BOB)
    assert (box.balance(BOB), box.account(BOB), box.state.sender) == (0, None, nobody)
    with pytest.raises(solder.InputError), box.anchor():
        failing_after_a_change(box)
    assert box.storage(CAROL, 9) == 9
    with box.prank(ALICE):
        box.transact(CAROL)
        with box.prank(BOB) as inner:
            assert inner.state.sender == BOB
        assert box.state.sender == ALICE
    assert box.state.sender == nobody
    assert (box.storage(CAROL, 0), box.state.account(ALICE)) == (6, box.account(ALICE))
    account = box.account(ALICE)
    assert account is not None
    assert account.nonce == 4
    box.prank(BOB)
    assert box.state.sender == BOB
    assert box.estimate_gas(CAROL) == box.state.estimate_gas(CAROL)
