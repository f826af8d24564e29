"""Profiling: a block, the transaction of a file, a call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from solder import _native
from solder.errors import InputError
from solder.profile.bill import Bill, Estimate, Part, Shares, Total
from solder.profile.page import page, summary
from solder.profile.speedscope import speedscope
from solder.profile.table import table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from solder._native import Block, State

__all__ = ["MAX_CASE_BYTES", "Profile", "profile_block", "profile_call", "profile_case"]

MAX_CASE_BYTES = 64 << 20
"""The largest state-and-transaction file that is read."""


class Profile(Bill):
    """A bill that shows itself: as text, as a page, as flame graphs."""

    def table(self) -> str:
        """The bill as text for a terminal."""
        return table(self)

    def speedscope(self) -> dict[str, object]:
        """Two flame graphs, of gas and of nanoseconds, in speedscope's file format. Needs the trees."""
        return speedscope([self])

    def html(self) -> str:
        """One self-contained page: the bar of glue against structured work, the parts, a flame graph."""
        return page([self])

    def __repr__(self) -> str:
        share = self.structured
        return f"<Profile {self.name}: {self.gas['total']:,} gas, structured {share.gas:.1%}, of time {share.time:.1%}>"

    def _repr_html_(self) -> str:
        return summary(self)


def profile_block(
    block: Block, state: State, *, repeat: int = 3, by_transaction: bool = False, tree: bool = False
) -> Profile:
    """Meter ``block`` on ``state``, which stays as it was, one transaction after the other.

    ``repeat`` rounds find what an instruction costs in this block, and as many profile it; of each transaction the
    fastest run counts.
    ``by_transaction`` gives a bill for each transaction too, ``tree`` the call trees that flame graphs need.

    Raises ``RejectedInput`` for an invalid block, ``InputError`` for a bad argument and ``Fault`` where this machine
    failed or where a gas counter lost what no part explains.
    """
    raw = _native.profile_block(block, state, repeat=_checked(repeat), by_transaction=by_transaction, tree=tree)
    return _profile(f"block {block.number}", json.loads(raw))


def profile_case(source: str | Path | Mapping[str, object], *, repeat: int = 3, tree: bool = False) -> Profile:
    """Meter the one transaction of a state-and-transaction file, or of the same as a mapping.

    Raises ``InputError`` naming the file and the field, and otherwise as ``profile_block``.
    """
    if isinstance(source, str | Path):
        path, content = str(source), _read(Path(source))
    else:
        path, content = "case", json.dumps(source).encode()
    name, raw = _native.profile_case(path, content, repeat=_checked(repeat), tree=tree)
    # The file has no header to compare with.
    return _profile(name, {**json.loads(raw), "gas_used_ok": None})


def profile_call(  # noqa: PLR0913 - each keyword is a setting of its own
    state: State,
    to: bytes | str,
    data: bytes = b"",
    *,
    sender: bytes | str,
    value: int = 0,
    gas_limit: int = 16_000_000,
    repeat: int = 3,
    tree: bool = False,
) -> Profile:
    """Meter one call on ``state`` in the block that the state believes to be in, at a gas price of zero."""
    block = {name: found for name, found in state.block.items() if found is not None}
    accounts: dict[str, dict[str, object]] = {}
    for owner in state.accounts():
        account = state.account(owner)
        if account is None:
            continue
        accounts["0x" + owner.hex()] = {
            "balance": hex(account.balance),
            "nonce": hex(account.nonce),
            "code": "0x" + (account.code or b"").hex(),
            "storage": {hex(slot): hex(word) for slot, word in state.slots(owner).items()},
        }
    from_ = _hex(sender)
    known = accounts.setdefault(from_.lower(), {"balance": "0x0", "nonce": "0x0", "code": "0x", "storage": {}})
    case: dict[str, object] = {
        "name": f"call to {_hex(to)}",
        "fork": state.fork,
        "env": {
            "currentNumber": block.get("number", 0),
            "currentTimestamp": block.get("timestamp", 0),
            "currentGasLimit": max(int(block.get("gas_limit", 0)), gas_limit),
            "currentCoinbase": _hex(block.get("beneficiary", b"\0" * 20)),
            "currentBaseFee": 0,
        },
        "pre": accounts,
        "tx": {
            "sender": from_,
            "nonce": known["nonce"],
            "to": _hex(to),
            "data": "0x" + data.hex(),
            "gas": gas_limit,
            "gasPrice": 0,
            "value": hex(value),
        },
    }
    return profile_case(case, repeat=repeat, tree=tree)


def _checked(repeat: int) -> int:
    if not 1 <= repeat <= 1_000_000:  # noqa: PLR2004 - as `solder replay --repeat`
        raise InputError(f"{repeat} is not 1 to 1,000,000", field="repeat")
    return repeat


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CASE_BYTES + 1)
    except OSError as error:
        raise InputError(error.strerror or str(error), path=str(path)) from None
    if len(content) > MAX_CASE_BYTES:
        raise InputError(f"larger than {MAX_CASE_BYTES} bytes", path=str(path))
    return content


def _hex(value: bytes | str) -> str:
    return value if isinstance(value, str) else "0x" + value.hex()


def _profile(name: str, raw: Mapping[str, Any], *, fork: str | None = None) -> Profile:
    fork = raw.get("fork", fork)
    return Profile(
        name=name,
        fork=fork or "",
        transactions=raw.get("transactions", 1),
        gas=raw["gas"],
        nanoseconds=raw["nanoseconds"],
        meter_nanoseconds=raw["meter_nanoseconds"],
        parts=tuple(Part(**part) for part in raw["parts"]),
        structured=Shares(**raw["structured"]),
        amdahl=tuple(Estimate(**estimate) for estimate in raw["amdahl"]),
        contracts=tuple(Total(**total) for total in raw["contracts"]),
        functions=tuple(Total(**total) for total in raw["functions"]),
        tree=raw.get("tree"),
        block=raw.get("block"),
        index=raw.get("index"),
        gas_used_ok=raw.get("gas_used_ok"),
        by_transaction=tuple(
            _profile(f"transaction {one['index']}", one, fork=fork) for one in raw.get("by_transaction") or ()
        ),
    )
