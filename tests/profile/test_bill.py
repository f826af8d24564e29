"""The bill: the ENS transaction to the figure, parts that add up, shares, sums, bad input by field."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import solder
from solder.errors import InputError, RejectedInput, UnknownFork
from solder.profile import Profile, profile_block, profile_call, profile_case, sum_of
from solder.profile.bill import ORDER

ENS = Path(__file__).resolve().parents[2] / "examples" / "ens" / "contenthash.json"


@pytest.fixture(scope="module")
def ens() -> Profile:
    return profile_case(ENS, repeat=2, tree=True)


@pytest.fixture(scope="module")
def block(sample_blocks: Path) -> Profile:
    return profile_block(*solder.load_block(sample_blocks / "19933122"), repeat=3, by_transaction=True, tree=True)


def _adds_up(profile: Any) -> None:
    gas = profile.gas
    assert sum(part.gas for part in profile.parts) - gas["refund"] + gas["floor_top_up"] == gas["total"]
    assert sum(part.nanoseconds for part in profile.parts) == profile.nanoseconds
    assert all(part.nanoseconds >= 0 for part in profile.parts if part.name != "residual")
    intrinsic = gas["base"] + gas["calldata"] + gas["creation"] + gas["access_list"] + gas["authorization"]
    assert intrinsic + gas["execution"] - gas["refund"] + gas["floor_top_up"] == gas["total"]
    assert gas["other"] == gas["execution"] - gas["sload"] - gas["sstore"] - gas["log"]


def test_bill_ens_has_the_figures_of_its_file(ens: Profile) -> None:
    expected = json.loads(ENS.read_text())["expected"]
    assert ens.gas["total"] == expected["gasUsed"] == 46_924
    assert ens.gas["base"] == expected["base"] == 21_000
    assert ens.gas["calldata"] == expected["calldata"] == 1_556
    assert ens.gas["execution"] == expected["execution"] == 24_368
    assert ens.gas["sload"] == expected["SLOAD"] == 6_400
    assert ens.gas["sstore"] == expected["SSTORE"] == 10_100
    assert ens.gas["log"] == expected["LOG"] == 2_149
    # The essay says 6,719, with which its parts are 1,000 more than its whole.
    assert ens.gas["other"] == expected["other_incl_staticcall"] == 5_719
    assert ens.gas["call"] + ens.gas["account_access"] == expected["STATICCALL"] == 2_600
    assert ens.gas["signature"] == 3_000
    assert (ens.gas["refund"], ens.gas["floor_top_up"]) == (0, 0)
    assert ens.gas_used_ok is None
    _adds_up(ens)


def test_bill_ens_by_function(ens: Profile) -> None:
    assert [(total.selector, total.calls) for total in ens.functions] == [("0x304e6ade", 1), ("0x02571be3", 1)]
    assert sum(total.gas for total in ens.functions) == ens.gas["execution"]
    assert sum(total.gas for total in ens.contracts) == ens.gas["execution"]


def test_bill_of_a_block_adds_up(block: Profile) -> None:
    _adds_up(block)
    assert block.gas_used_ok is True
    assert block.transactions == len(block.by_transaction) == 45
    for one in block.by_transaction:
        _adds_up(one)
    assert sum(one.gas["total"] for one in block.by_transaction) == block.gas["total"] == 2_056_821
    assert 0.3 < block.structured.gas < 0.7
    assert 0 < block.structured.time_without_signatures < block.structured.time < 1
    names = {part.name for part in block.parts}
    assert {"sload", "sstore", "keccak", "log", "signature", "stack", "call", "block", "residual"} <= names


def test_bill_order_names_every_part(block: Profile, ens: Profile) -> None:
    whole = sum_of([block, ens], "both")
    assert [part.name for part in block.parts] == [name for name in ORDER if block.part(name)]
    assert [part.name for part in whole.parts] == [name for name in ORDER if whole.part(name)]
    assert whole.fork == "Cancun"


def test_bill_amdahl_is_of_the_time(block: Profile) -> None:
    whole = block.amdahl[-1]
    assert whole.part == "structured"
    assert whole.share == pytest.approx(block.structured.time)
    for estimate in block.amdahl:
        part = block.part(estimate.part)
        if part is not None:
            assert estimate.saved_nanoseconds == part.nanoseconds
        assert estimate.speedup_limit == pytest.approx(1 / (1 - estimate.share))
        assert 1 <= estimate.speedup_at_10x <= estimate.speedup_limit


def test_bill_every_sample_block_adds_up(sample_blocks: Path, sample_names: list[str]) -> None:
    profiles = [profile_block(*solder.load_block(sample_blocks / name), repeat=1) for name in sample_names]
    for profile in profiles:
        _adds_up(profile)
        assert profile.gas_used_ok is True
    whole = sum_of(profiles, "all")
    _adds_up(whole)
    assert whole.gas["total"] == sum(profile.gas["total"] for profile in profiles)
    assert whole.transactions == sum(profile.transactions for profile in profiles)


def _case(**changes: Any) -> dict[str, Any]:
    case: dict[str, Any] = json.loads(ENS.read_text())
    for path, value in changes.items():
        place, _, field = path.rpartition("__")
        (case[place] if place else case)[field] = value
    return case


def test_bill_of_a_creation_has_its_parts() -> None:
    # Init code that stores five zero bytes as the contract: PUSH1 5 PUSH1 0 RETURN.
    created = profile_case(_case(tx__to=None, tx__data="0x60056000f3"), repeat=1)
    assert created.gas["base"] == 21_000
    assert created.gas["creation"] == 32_000 + 2
    assert created.gas["code_deposit"] == 5 * 200
    _adds_up(created)


def test_bill_of_a_halt_says_what_was_lost() -> None:
    halted = profile_case(_case(pre={}, tx__to=None, tx__data="0xfe", tx__gasPrice=0, env__currentBaseFee=0), repeat=1)
    assert halted.gas["total"] == 200_000
    assert halted.gas["halted"] == 200_000 - 53_000 - 16 - 2
    _adds_up(halted)


def test_bill_of_the_floor() -> None:
    # 1,000 non-zero bytes: 16,000 by the bytes, 40,000 by the floor; a call without code.
    sender = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
    case = _case(fork="Prague", tx__to=sender, tx__data="0x" + "01" * 1000)
    floored = profile_case(case, repeat=1)
    assert floored.gas["total"] == 21_000 + 40_000
    assert floored.gas["floor_top_up"] == 24_000
    _adds_up(floored)


def test_bill_of_a_call_on_a_state() -> None:
    # SLOAD of slot 0, returned.
    code = bytes.fromhex("5f545f5260205ff3")
    contract, sender = b"\x11" * 20, b"\x22" * 20
    state = solder.State({contract: {"code": code, "storage": {0: 7}}}, fork="Cancun")
    profile = profile_call(state, contract, sender=sender, repeat=1)
    assert profile.gas["sload"] == 2_100
    assert profile.part("sload") is not None
    _adds_up(profile)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"tx__nonce": "twelve"}, "tx.nonce"),
        ({"tx__value": "-0x1"}, "tx.value"),
        ({"tx__data": "0xzz"}, "tx.data"),
        ({"tx__to": "0x1234"}, "tx.to"),
        ({"tx__secretKey": "0x" + "11" * 32}, "tx.secretKey"),
        ({"tx__gaslimit": 1}, "tx.gaslimit"),
        ({"env__currentNumber": "0x" + "f" * 17}, "env.currentNumber"),
        ({"env__moon": 1}, "env.moon"),
        ({"pre": {"0x12": {}}}, "pre.0x12"),
    ],
)
def test_bill_bad_case_names_the_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as raised:
        profile_case(_case(**changes), repeat=1)
    assert (raised.value.path, raised.value.field) == ("case", field)


def test_bill_unknown_fork_is_refused() -> None:
    with pytest.raises(InputError, match="fork"):
        profile_case(_case(fork="Moon"), repeat=1)


def test_bill_invalid_transaction_is_rejected() -> None:
    with pytest.raises(RejectedInput) as raised:
        profile_case(_case(tx__nonce=7), repeat=1)
    assert raised.value.code == "TransactionException.NONCE_MISMATCH_TOO_HIGH"


def test_bill_bad_repeat_is_named() -> None:
    with pytest.raises(InputError) as raised:
        profile_case(ENS, repeat=0)
    assert raised.value.field == "repeat"
    with pytest.raises(InputError, match="nothing to add up"):
        sum_of([], "none")
    assert issubclass(UnknownFork, InputError)


def test_bill_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        profile_case(tmp_path / "none.json")
    assert raised.value.path == str(tmp_path / "none.json")


def test_bill_mainnet_blocks_have_the_gas_of_their_headers(data_file: Callable[[str], Path]) -> None:
    blocks = list(solder.load_blocks(data_file("mainnet/blocks.tar.xz")))
    profiles = [profile_block(block, state, repeat=1, by_transaction=True) for block, state in blocks]
    assert len(profiles) == 54
    for profile in profiles:
        assert profile.gas_used_ok is True
        _adds_up(profile)
        for one in profile.by_transaction:
            _adds_up(one)
    assert sum(profile.transactions for profile in profiles) == 12_424
