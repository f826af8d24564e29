"""``Evm``: a sandbox of one test. Calls that fail raise; reverts may be expected; gas may be recorded."""

import hashlib
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from solder.chain import Transaction
from solder.contract import Abi
from solder.contract.abi import AbiSource
from solder.contract.result import ContractResult
from solder.errors import InputError, RejectedInput
from solder.pytest_plugin.expected import Expected, described, named
from solder.simulate import BundleResult, CallResult, Reverted
from solder.simulate.fields import CallFields
from solder.state import Sandbox, State

if TYPE_CHECKING:
    from solder.trace import SourceMap

__all__ = ["Evm", "Reverts"]

MAX_CALLS_SHOWN = 20
"""How many of a test's last calls a failure report lists."""


class NotReverted(AssertionError):
    """Nothing reverted, or something else did, where a test expected a revert."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a test: what was asked, of which state, and what came of it."""

    kind: str
    before: State
    to: bytes | str | None
    data: bytes | str | None
    fields: Mapping[str, object]
    result: CallResult

    def known(self, abis: Sequence[Abi]) -> list[Abi]:
        """The interface that the call was made by, if one was, and the others that the sandbox knows."""
        own = self.fields.get("abi")
        return [*((own,) if isinstance(own, Abi) else ()), *abis]

    def text(self, abis: Sequence[Abi]) -> str:
        """The call on one line."""
        known = self.known(abis)
        sender = self.fields.get("sender")
        sent = f" from {_hex(sender)}" if isinstance(sender, bytes | str) else ""
        how = self.result.status if self.result.ok else described(named(self.result, known))
        return f"{self.kind} {self._asked(known)}{sent}: {how}, {self.result.gas_used:,} gas"

    def _asked(self, known: Sequence[Abi]) -> str:
        data = _hex(self.data or b"")
        size = (len(data) - 2) // 2
        if self.to is None:
            return f"{size:,} bytes of init code"
        shown = data if len(data) <= MAX_DATA_SHOWN else f"{data[:MAX_DATA_SHOWN]}… ({size:,} bytes)"
        for abi in known:
            shown = abi.call_text(bytes.fromhex(data[2:])) or shown
        return f"{_hex(self.to)} {shown if size else 'no data'}"


MAX_DATA_SHOWN = 2 + 2 * 68
"""Digits of call data that a failure report shows: a selector and two words."""


def _hex(value: bytes | str) -> str:
    return value if isinstance(value, str) else "0x" + value.hex()


def rejected(result: CallResult) -> RejectedInput:
    """The exception of a result that a bundle has for an invalid transaction."""
    head, _, detail = (result.error or "").partition(": ")
    code, _, where = head.partition(" (transaction ")
    return RejectedInput(code, int(where.removesuffix(")")) if where else None, detail)


class Reverts:
    """The body of ``with evm.reverts(...)``; afterwards ``error`` is what was caught."""

    __slots__ = ("error", "expected")

    def __init__(self, expected: Expected) -> None:
        self.expected = expected
        self.error: Reverted | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Swallow the expected revert. Raises ``NotReverted`` for none, or for another one."""
        if error is None:
            raise NotReverted(f"expected {self.expected}, but nothing reverted")
        if not isinstance(error, Reverted):
            return False
        problem = self.expected.problem(error)
        if problem is not None:
            raise NotReverted(problem) from error
        self.error = error
        return True


@dataclass(slots=True)
class Record:
    """What a test did with its sandbox."""

    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=MAX_CALLS_SHOWN))
    count: int = 0
    gas: int = 0
    last_gas: int | None = None
    snapshots: dict[str, int] = field(default_factory=dict)
    tolerances: dict[str, float] = field(default_factory=dict)


class Evm(Sandbox):
    """A sandbox for one test: whatever the test does to it ends with the test.

    Unlike those of a plain sandbox, ``call``, ``transact``, ``deploy``, ``send`` and ``bundle`` raise ``Reverted``
    where what they run fails, so that a test does not go on by mistake; ``with evm.reverts(...)`` expects it.
    ``evm.state.call`` gives the failed result instead.
    """

    __slots__ = ("abis", "record", "sources")

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.record = Record()
        self.abis: list[Abi] = []
        self.sources: list[SourceMap] = []

    def know(self, abi: AbiSource) -> Abi:
        """Name the errors of an interface in reverts and failure reports; see ``solder.Abi`` for what may be given."""
        known = abi if isinstance(abi, Abi) else Abi(abi)
        self.abis.append(known)
        return known

    def know_sources(self, artefact: str | Path | Mapping[str, Any], *, root: str | Path | None = None) -> None:
        """Name the lines of a compiler's sources where a call fails; see ``solder.trace.read_sources``."""
        from solder.trace import read_sources

        self.sources += read_sources(artefact, root=root)

    def actor(self, name: str, balance: int = 0) -> bytes:
        """An address that is always the same for a name, and has ``balance`` wei now."""
        owner = hashlib.sha256(name.encode()).digest()[-20:]
        self.set_balance(owner, balance)
        return owner

    def reverts(
        self, reason: str | int | re.Pattern[str] | None = None, *arguments: object, **by_name: object
    ) -> Reverts:
        """Expect that the body reverts or halts: ``with evm.reverts("not the owner"): ...``.

        ``reason`` is the text of ``Error(string)``, the name or the signature of a custom error (whose ``arguments``
        may follow), the code of a panic or its meaning ("division or modulo by zero"), what halts ("out of gas"), or a
        compiled pattern to search in the reason. Without one any failure will do.
        """
        if isinstance(reason, bool) or not isinstance(reason, str | int | re.Pattern | None):
            raise InputError(f"{type(reason).__name__} is no text, number or pattern", field="reason")
        if isinstance(reason, int) and not 0 <= reason < 1 << 256:
            raise InputError(f"{reason} is no code of a panic", field="reason")
        return Reverts(Expected(reason, arguments, tuple(by_name.items())))

    def gas_snapshot(
        self, name: str, gas: CallResult | ContractResult | int | None = None, *, tolerance: float | None = None
    ) -> int:
        """Record gas under a name that the file of snapshots is compared for when the test ends.

        ``gas`` is a number or a result, by default that of the last transaction or creation (not of a call, whose
        gas nobody pays); ``tolerance`` the percentage that it may differ by. Raises ``InputError`` where the test has
        recorded the name already, or has sent nothing.
        """
        used = self.record.last_gas if gas is None else gas if isinstance(gas, int) else gas.gas_used
        if used is None:
            raise InputError("no transaction yet", field="gas")
        if used < 0:
            raise InputError(f"{used!r} is no number of gas", field="gas")
        if name in self.record.snapshots:
            raise InputError(f"this test has a snapshot {name!r} already", field="name")
        self.record.snapshots[name] = used
        if tolerance is not None:
            self.record.tolerances[name] = tolerance
        return used

    def call(
        self, to: bytes | str | None = None, data: bytes | str | None = None, **fields: Unpack[CallFields]
    ) -> CallResult:
        """``Sandbox.call``; raises ``Reverted`` where it fails."""
        return self._noted("call", self.state, to, data, fields, super().call(to, data, **fields))

    def transact(
        self, to: bytes | str | None = None, data: bytes | str | None = None, **fields: Unpack[CallFields]
    ) -> CallResult:
        """``Sandbox.transact``; raises ``Reverted`` where it fails; the sender has paid even so."""
        before = self.state
        return self._noted("transact", before, to, data, fields, super().transact(to, data, **fields))

    def deploy(self, code: bytes | str, **fields: Unpack[CallFields]) -> CallResult:
        """``Sandbox.deploy``; raises ``Reverted`` where it fails."""
        before = self.state
        return self._noted("deploy", before, None, code, fields, super().deploy(code, **fields))

    def send(self, tx: Transaction) -> CallResult:
        """``Sandbox.send``; raises ``Reverted`` where it fails."""
        before = self.state
        return self._noted("send", before, tx.to, tx.data, {"sender": tx.sender}, super().send(tx))

    def bundle(self, txs: Sequence[Transaction | Mapping[str, Any]], *, atomic: bool = False) -> BundleResult:
        """``Sandbox.bundle``; raises ``Reverted`` where one fails, ``RejectedInput`` where one is invalid."""
        result = super().bundle(txs, atomic=atomic)
        self._paid(result.gas_used)
        for one in result.results:
            if one.status == "rejected":
                raise rejected(one)
            if not one.ok:
                raise named(one, self.abis)
        return result

    def _noted(
        self,
        kind: str,
        before: State,
        to: bytes | str | None,
        data: bytes | str | None,
        fields: Mapping[str, object],
        result: CallResult,
    ) -> CallResult:
        call = Call(kind, before, to, data, fields, result)
        self.record.calls.append(call)
        self.record.count += 1
        if kind != "call":
            self._paid(result.gas_used)
        if not result.ok:
            raise named(result, call.known(self.abis))
        return result

    def _paid(self, gas: int) -> None:
        self.record.gas += gas
        self.record.last_gas = gas

    def __repr__(self) -> str:
        return f"<Evm {self.state!r}, {self.record.count} calls>"
