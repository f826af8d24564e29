"""Small programs, each for something that a trace must show: what go-ethereum made of them is in recorded.json.

Hand-written byte code by a small assembler. ``python -m tests.trace.record`` runs them by go-ethereum again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ETHER = 10**18
SENDER = "0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b"
"""Whose key (``0x45a9..`` of the official tests) signs."""
MINER = "0x" + "c0" * 20
A, B, C, D = ("0x" + digit * 40 for digit in "1234")
DELEGATED = "0x" + "5e" * 20
ECRECOVER, SHA256, IDENTITY, PAIRING, BLAKE2F = (f"0x{number:040x}" for number in (1, 2, 4, 8, 9))
INIT_STOP = "6001601ff3"
"""Returns one byte: STOP."""

_CODES = {
    "STOP": 0x00, "ADD": 0x01, "SHA3": 0x20, "BALANCE": 0x31, "CALLDATALOAD": 0x35, "CALLDATASIZE": 0x36,
    "CALLDATACOPY": 0x37, "EXTCODESIZE": 0x3B, "RETURNDATACOPY": 0x3E, "EXTCODEHASH": 0x3F, "SELFBALANCE": 0x47,
    "POP": 0x50, "MLOAD": 0x51, "MSTORE": 0x52, "MSTORE8": 0x53, "SLOAD": 0x54, "SSTORE": 0x55, "JUMP": 0x56,
    "GAS": 0x5A, "JUMPDEST": 0x5B, "TLOAD": 0x5C, "TSTORE": 0x5D, "LOG0": 0xA0, "LOG1": 0xA1,
    "CREATE": 0xF0, "CALL": 0xF1, "CALLCODE": 0xF2, "RETURN": 0xF3, "DELEGATECALL": 0xF4, "CREATE2": 0xF5,
    "STATICCALL": 0xFA, "REVERT": 0xFD, "INVALID": 0xFE, "SELFDESTRUCT": 0xFF,
}  # fmt: skip


def assemble(*items: int | str) -> str:
    """Hex of code: a number is pushed, an address too, a name is an instruction, and ``hex:..`` stands as it is."""
    out = ""
    for item in items:
        if isinstance(item, int):
            raw = item.to_bytes(max(1, (item.bit_length() + 7) // 8), "big")
            out += f"{0x5F + len(raw):02x}{raw.hex()}"
        elif item.startswith("0x"):
            out += f"{0x5F + len(item) // 2 - 1:02x}{item[2:]}"
        else:
            out += item[4:] if item.startswith("hex:") else f"{_CODES[item]:02x}"
    return out


def call(to: str, value: int = 0, gas: int | str = "GAS", size: int = 0, kind: str = "CALL") -> str:
    """A call with ``size`` bytes of memory as input; 32 bytes of its output go to memory."""
    amount = [value] if kind in {"CALL", "CALLCODE"} else []
    return "hex:" + assemble(32, 0, size, 0, *amount, to, gas, kind, "POP")


def created(init: str, value: int = 0, salt: int | None = None) -> str:
    """Creates a contract from up to 32 bytes of init code."""
    raw = bytes.fromhex(init)
    more, kind = ([], "CREATE") if salt is None else ([salt], "CREATE2")
    return "hex:" + assemble("0x" + raw.hex(), 0, "MSTORE", *more, len(raw), 32 - len(raw), value, kind, "POP")


def reverts(data: str) -> str:
    """Code that reverts with ``data``."""
    raw = bytes.fromhex(data).ljust(-(-len(data) // 64) * 32, b"\0")
    words = [("0x" + raw[at : at + 32].hex(), at, "MSTORE") for at in range(0, len(raw), 32)]
    return assemble(*(item for word in words for item in word), len(data) // 2, 0, "REVERT")


def _word(value: int) -> str:
    return f"{value:064x}"


def error(text: str) -> str:
    """``Error(string)``."""
    raw = text.encode()
    return "08c379a0" + _word(32) + _word(len(raw)) + raw.hex().ljust(-(-len(raw) // 32) * 64, "0")


@dataclass(frozen=True)
class Scenario:
    """Accounts, a transaction, the fork that it runs in."""

    codes: dict[str, str]
    fork: str = "Prague"
    to: str | None = A
    data: str = "0x"
    value: int = 0
    gas: int = 500_000
    extra: dict[str, dict[str, Any]] = field(default_factory=dict)
    authorizations: tuple[tuple[str, int], ...] = ()
    """Delegates, and nonces of the authority (which is ``AUTHORITY``)."""

    @property
    def alloc(self) -> dict[str, dict[str, Any]]:
        """The accounts before."""
        plain = {"balance": "0x0", "nonce": "0x0", "code": "0x", "storage": {}}
        found = {SENDER: plain | {"balance": hex(10 * ETHER)}}
        for owner, code in self.codes.items():
            found[owner] = plain | {"code": "0x" + code, "balance": hex(1000), "nonce": "0x1"}
        for owner, fields in self.extra.items():
            found[owner] = found.get(owner, plain) | fields
        return found


def slots(**values: int) -> dict[str, str]:
    """Storage, by ``s0=1``."""
    return {f"0x{int(name[1:]):064x}": f"0x{value:064x}" for name, value in values.items()}


STORES = assemble(7, 0, "SSTORE", 1, 5, "SSTORE", 0, "SLOAD", 0, "MSTORE", 32, 0, "RETURN")
LOGS = assemble(42, 0, "MSTORE", 0xAA, 32, 0, "LOG1")
FAILED_INIT = {
    "revert": assemble(0, 0, "REVERT"),
    "prefix": assemble(0xEF, 0, "MSTORE8", 1, 0, "RETURN"),
    "size": assemble(0x6001, 0, "RETURN"),
    "deposit": assemble(0x1000, 0, "RETURN"),
    "invalid": "fe",
}
WRITES = {
    "sstore": assemble(1, 0, "SSTORE"),
    "log": LOGS,
    "create": assemble(0, 0, 0, "CREATE"),
    "create2": assemble(0, 0, 0, 0, "CREATE2"),
    "call": assemble(0, 0, 0, 0, 1, C, "GAS", "CALL"),
    "selfdestruct": assemble(C, "SELFDESTRUCT"),
    "tstore": assemble(1, 0, "TSTORE"),
}
HALTS = {
    "underflow": assemble("ADD"),
    "overflow": "5b6001" + "600056",
    "invalid": "fe",
    "undefined": "0c",
    "jump": assemble(3, "JUMP"),
    "loop": assemble("JUMPDEST", 0, "JUMP"),
    "memory": assemble(1, 0xFFFFFFFF, "MSTORE"),
    "memory_overflow": assemble(1, (1 << 64) - 1, "MSTORE"),
    "memory_huge": assemble(1, 1 << 40, "MSTORE"),
    "return_data": assemble(1, 0, 0, "RETURNDATACOPY"),
    "sentry": assemble("hex:" + "5b" * 1, 1, 0, "SSTORE"),
}

SCENARIOS: dict[str, Scenario] = {
    "transfer": Scenario({}, to=B, value=5),
    "storage": Scenario({A: STORES}, extra={A: {"storage": slots(s0=3, s5=9)}}),
    "calls_and_logs": Scenario(
        {
            A: assemble(
                "hex:" + LOGS,
                call(B),
                "hex:" + LOGS,
                call(C),
                call(B, kind="STATICCALL"),
                "hex:" + LOGS,
                call(D, value=7),
                call(D, kind="DELEGATECALL"),
                call(D, value=3, kind="CALLCODE"),
            ),
            B: assemble("hex:" + LOGS, 1, 0, "MSTORE", 32, 0, "RETURN"),
            C: assemble("hex:" + LOGS, call(B), 0, 0, "REVERT"),
            D: assemble("SELFBALANCE", 0, "MSTORE", 32, 0, "RETURN"),
        }
    ),
    "revert_text": Scenario({A: assemble(call(B), 0, 0, "REVERT"), B: reverts(error("not the owner"))}),
    "revert_panic": Scenario({A: reverts("4e487b71" + _word(0x11))}),
    "revert_unknown_panic": Scenario({A: reverts("4e487b71" + _word(0x7777))}),
    "revert_custom": Scenario({A: reverts("deadbeef" + _word(5))}),
    "revert_no_text": Scenario({A: reverts("08c379a0" + _word(32) + _word(99))}),
    "revert_bytes": Scenario({A: reverts(error("caf\N{LATIN SMALL LETTER E WITH ACUTE} <&> \N{SNOWMAN}"))}),
    "revert_not_text": Scenario({A: reverts("08c379a0" + _word(32) + _word(3) + "61fffe".ljust(64, "0"))}),
    "accounts": Scenario({A: assemble(B, "BALANCE", C, "EXTCODESIZE", D, "EXTCODEHASH"), C: "00"}),
    "create": Scenario({A: assemble(created(INIT_STOP, value=4))}),
    "create2": Scenario({A: assemble(created(INIT_STOP, salt=9), created(INIT_STOP, salt=9))}),
    "create_poor": Scenario({A: assemble(created(INIT_STOP, value=10**6))}),
    "create_nonce": Scenario({A: assemble(created(INIT_STOP))}, extra={A: {"nonce": "0xffffffffffffffff"}}),
    "create_initcode": Scenario({A: assemble(0xC001, 0, 0, "CREATE")}, gas=5_000_000),
    "create_top": Scenario({}, to=None, data="0x" + INIT_STOP, value=9),
    "create_top_fails": Scenario({}, to=None, data="0x" + reverts(error("no"))),
    "create_top_destroys": Scenario({}, to=None, data="0x" + assemble(C, "SELFDESTRUCT"), value=6),
    "create_frontier": Scenario({}, fork="Frontier", to=None, data="0x" + FAILED_INIT["deposit"], gas=100_000),
    "create_homestead": Scenario({}, fork="Homestead", to=None, data="0x" + FAILED_INIT["deposit"], gas=100_000),
    "create_and_destroy": Scenario({A: assemble(created(assemble(C, "SELFDESTRUCT"), value=5), call(B))}),
    "destroy": Scenario({A: assemble(call(B)), B: assemble(C, "SELFDESTRUCT")}),
    "destroy_itself": Scenario({A: assemble(A, "SELFDESTRUCT")}),
    "destroy_before_cancun": Scenario(
        {A: assemble(call(B), call(B)), B: assemble(1, 1, "SSTORE", C, "SELFDESTRUCT")},
        fork="Shanghai",
        extra={B: {"storage": slots(s1=4, s2=5)}},
    ),
    "destroy_itself_before_cancun": Scenario({A: assemble(A, "SELFDESTRUCT")}, fork="London"),
    "destroy_reverted": Scenario(
        {A: assemble(call(B)), B: assemble(call(C), 0, 0, "REVERT"), C: assemble(D, "SELFDESTRUCT")}
    ),
    "delegated_to": Scenario({DELEGATED: "ef0100" + B[2:], B: STORES}, to=DELEGATED),
    "delegated_call": Scenario({A: assemble(call(DELEGATED)), DELEGATED: "ef0100" + B[2:], B: STORES}),
    "delegation": Scenario({B: STORES}, to=B, authorizations=((B, 0), (C, 1))),
    "delegation_removed": Scenario({B: STORES}, to=B, authorizations=((B, 0), ("0x" + "00" * 20, 1))),
    "precompiles": Scenario(
        {
            A: assemble(
                *(call(to, size=32, kind="STATICCALL") for to in (ECRECOVER, SHA256, IDENTITY)), call(IDENTITY, value=1)
            )
        }
    ),
    "precompiles_fail": Scenario(
        {
            A: assemble(
                call(PAIRING, size=7), call(BLAKE2F, size=1), call(SHA256, gas=10, size=32), call(BLAKE2F, size=213)
            )
        }
    ),
    "depth_of_gas": Scenario({A: assemble(call(A), call(B)), B: "00"}, gas=40_000),
    "poor_call": Scenario({A: assemble(call(B, value=10**6), call(B, value=1, gas=0))}),
    "no_gas_for_call": Scenario({A: assemble(call(B, value=1))}, gas=24_000),
    "sentry": Scenario({A: assemble(call(B, value=1, gas=0)), B: assemble(1, 0, "SSTORE")}),
    "names": Scenario({A: assemble("hex:44", "POP", 1, 0, "SHA3", "hex:ec")}),
    "access": Scenario({A: assemble(0, "SLOAD", 1, "TSTORE", 0, "TLOAD")}, fork="Cancun"),
    **{
        f"create_fails_{name}": Scenario({A: assemble(created(init))}, gas=300_000)
        for name, init in FAILED_INIT.items()
    },
    **{
        f"static_{name}": Scenario({A: assemble(call(B, kind="STATICCALL", gas=100_000)), B: code})
        for name, code in WRITES.items()
    },
    **{
        f"halt_{name}": Scenario({A: assemble(call(B, gas=20_000)), B: code}, gas=90_000)
        for name, code in HALTS.items()
        if name != "sentry"
    },
}
"""By name; forks are named as in the official tests."""
