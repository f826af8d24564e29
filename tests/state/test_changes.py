"""Changes as values: equal ones are equal, and a copy by pickle does what the original does."""

import pickle
import random
from pathlib import Path
from typing import Any

import pytest

import solder
from solder import _native

ALICE, BOB, CAROL = b"\xaa" * 20, b"\xbb" * 20, b"\xcc" * 20


def copy(changes: solder.ChangeSet) -> solder.ChangeSet:
    found = pickle.loads(pickle.dumps(changes))  # noqa: S301 - our own bytes
    assert isinstance(found, solder.ChangeSet)
    return found


def test_changes_of_blocks_survive_pickling(sample_blocks: Path, sample_names: list[str]) -> None:
    for name in sample_names:
        block, state = solder.load_block(sample_blocks / name)
        changes = solder.execute_block(block, state).changes
        again = copy(changes)
        assert again == changes
        assert (again.digest(), len(again)) == (changes.digest(), len(changes))
        after = state.apply(changes)
        assert state.apply(again).root() == after.root()
        assert after.apply(copy(changes.invert())).root() == state.root()


def test_changes_with_code_resets_and_absences_survive(capsys: pytest.CaptureFixture[str]) -> None:
    seed = random.randrange(2**32)
    with capsys.disabled():
        print(f"\nseed {seed}")
    chance = random.Random(seed)
    codes = [b"", b"\x00", b"\xef\x01\x00" + BOB, b"\xef", b"\xef\x00"]

    def drawn() -> solder.State:
        accounts: dict[bytes, Any] = {
            owner: {
                "balance": chance.choice([0, 1, 2**256 - 1]),
                "nonce": chance.choice([0, 1, 2**64 - 1]),
                "code": chance.choice(codes),
                "storage": {slot: chance.choice([0, 1, 2**256 - 1]) for slot in (0, 2**256 - 1)},
            }
            for owner in (ALICE, BOB, CAROL)
            if chance.random() < 0.7
        }
        return solder.State(accounts)

    for _ in range(50):
        one, other = drawn(), drawn()
        changes = one.diff(other)
        assert copy(changes) == changes
        assert one.apply(copy(changes)).root() == other.root()


def test_changes_compare_by_value() -> None:
    one, other = solder.State({ALICE: {"balance": 1}}), solder.State({ALICE: {"balance": 2}})
    assert one.diff(other) == one.diff(other)
    assert one.diff(other) != other.diff(one)
    assert one.diff(other) != 5
    assert one.diff(other).invert().invert() == one.diff(other)


WORD = bytes(32)


@pytest.mark.parametrize(
    "account",
    [
        (ALICE[1:], None, None, False, None, []),
        (ALICE, (0, 2**256, WORD), None, False, None, []),
        (ALICE, (0, -1, WORD), None, False, None, []),
        (ALICE, (0, 0, WORD[1:]), None, False, None, []),
        (ALICE, None, None, False, None, [(0, 0, 2**256)]),
    ],
)
def test_changes_from_bad_values_are_an_input_error(account: Any) -> None:
    with pytest.raises(solder.InputError) as caught:
        _native.changes_of([account])
    assert caught.value.field == "changes"


def test_changes_of_one_account_twice_are_an_input_error() -> None:
    with pytest.raises(solder.InputError, match="twice"):
        _native.changes_of([(ALICE, None, None, False, None, [])] * 2)
