"""``State``: the accounts of a chain at one moment, and the block that calls on it believe to be in.

``Sandbox`` is one state after the other, in one place.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from solder import _native
from solder._native import Account, Block, BlockLoader, BlockResult, BundleResult, CallResult, Chain, Transaction
from solder.errors import InputError
from solder.simulate import Calls, Results, Reverted
from solder.simulate.fields import CallFields, GasFields
from solder.simulate.workers import checked_workers
from solder.state.asynchronous import AsyncState
from solder.state.files import alloc_of, genesis_of, read_json, read_state, write_state
from solder.state.remote import RemoteFields, open_state

if TYPE_CHECKING:
    from solder.trace import Trace

__all__ = ["Identity", "Sandbox", "State"]


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one state from another, wherever it is stored: chain id, block number and state root."""

    chain_id: int
    block: int
    root: bytes


class State(_native.State):
    """The accounts of a chain at one moment, and the block that calls on it believe to be in. It never changes.

    ``State({address: {"nonce": int, "balance": int, "code": bytes, "storage": {int: int}}})``; every field may be left
    out. An address is 20 bytes or hex (mixed case is EIP-55's checksum, and is checked); code and call data are bytes
    or hex that begins with 0x. ``block_hashes`` answers BLOCKHASH: ``{number: hash}``. ``chain`` and ``fork`` say whose
    rules hold (the newest fork of mainnet, by its name in ``state.fork``, where neither is given); ``block`` has the
    fields ``number``, ``timestamp``, ``beneficiary``, ``gas_limit``, ``base_fee_per_gas``, ``prevrandao``,
    ``difficulty``, ``excess_blob_gas``.

    A state shares its base with all states made from it, may be used from any thread, and can be pickled (which
    writes all of it).
    """

    __slots__ = ()

    @classmethod
    def from_alloc(
        cls,
        alloc: Mapping[str, Any] | str | Path,
        *,
        chain: Chain | None = None,
        fork: str | None = None,
        block: dict[str, Any] | None = None,
    ) -> Self:
        """A state from JSON's form of accounts: a genesis ``alloc`` or the ``pre`` of an official test.

        ``{"0x..": {"balance": "0x..", "nonce": "0x..", "code": "0x..", "storage": {"0x..": "0x.."}}}``, or a file.
        """
        source = None if isinstance(alloc, Mapping) else str(alloc)
        accounts = alloc_of(alloc if isinstance(alloc, Mapping) else read_json(alloc), source)
        return cls(accounts, chain=chain, fork=fork, block=block)

    @classmethod
    def from_genesis(cls, genesis: Mapping[str, Any] | str | Path) -> Self:
        """The state and the rules of a genesis file (geth's ``genesis.json``): accounts, ``config``, block fields."""
        source = None if isinstance(genesis, Mapping) else str(genesis)
        accounts, chain, block = genesis_of(genesis if isinstance(genesis, Mapping) else read_json(genesis), source)
        return cls(accounts, chain=chain, block=block)

    @classmethod
    def at(cls, block: Block | str | Path, *, after: int | None = None, state: _native.State | None = None) -> Self:
        """The state inside a block: after its transaction ``after`` (None: before the first, as its file has it).

        ``block`` is a block folder or an id that ``find_blocks`` gave, or a ``Block`` with the ``state`` before it.
        What the protocol does first (beacon root, parent's hash) is done where ``after`` is given; with -1 only that.
        """
        if not isinstance(block, Block):
            if state is not None:
                raise InputError("a block folder has its own state", field="state")
            block, state = BlockLoader().load(str(block))
        if state is None:
            raise InputError("a Block needs the state before it", field="state")
        if after is None:
            return cls(state.at_block(block))
        count = len(block.transactions)
        if not -1 <= after < count:
            raise InputError(f"there is no {after}: the block has {count} transactions", field="after")
        return cls(state.after_transactions(block, after + 1))

    @classmethod
    def remote(
        cls,
        url: str,
        block: int | str | bytes = "latest",
        *,
        chain: Chain | None = None,
        fork: str | None = None,
        **fields: Unpack[RemoteFields],
    ) -> Self:
        """The state after a block of the chain that the node at ``url`` follows, by JSON-RPC over HTTP.

        ``block`` is a number, a hash (32 bytes or hex), or "latest", "safe", "finalized"; it is pinned by its hash, and
        calls believe to be in it. Nothing is read before it is needed. The rules come from the node's chain id where
        it is a public chain's; another chain needs ``chain``, or a ``fork`` that holds from its genesis on. What else
        can be chosen is in ``RemoteFields``. Raises ``Fault`` with a code ``Fault.REMOTE_...`` where the node is not
        reached or contradicts itself, ``UnknownFork`` for an unknown chain, ``InputError`` for an argument.
        """
        return cls(open_state(url, block, chain, fork, fields))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """A state that ``save`` wrote. Raises ``InputError`` for a file that is damaged, or something else."""
        return cls(read_state(path))

    def save(self, path: str | Path) -> None:
        """Write the whole state with its block and rules to a file (see docs/state.md), all of it or nothing."""
        write_state(self.to_bytes(), path)

    @property
    def identity(self) -> Identity:
        """Chain id, block number and state root. The root is computed once."""
        return Identity(self.chain.chain_id, self.block["number"], self.root())

    def __bool__(self) -> bool:
        """A state is always something, also without accounts."""
        return True

    def balance(self, owner: bytes | str) -> int:
        """What an account has, in wei; 0 where none exists."""
        account = self.account(owner)
        return 0 if account is None else account.balance

    def warp(self, timestamp: int) -> Self:
        """The same state at another time, in seconds. The fork stays."""
        return self.with_block({"timestamp": timestamp})

    def roll(self, number: int) -> Self:
        """The same state at another block number. The fork stays."""
        return self.with_block({"number": number})

    def prank(self, sender: bytes | str) -> Self:
        """The same state with another sender for calls that name none."""
        return self.with_sender(sender)

    def deal(
        self,
        owner: bytes | str,
        amount: int,
        *,
        token: bytes | str | None = None,
        adjust_supply: bool = False,
    ) -> Self:
        """The state in which ``owner`` has ``amount`` wei, or ``amount`` of the smallest unit of an ERC-20 ``token``.

        The token's slot is found by asking for the balance and changing what was read. ``adjust_supply`` changes its
        total supply by as much. Raises ``InputError`` where no slot holds the balance as it is answered.
        """
        if token is None:
            return self.set_balance(owner, amount)
        return self.deal_token(token, owner, amount, adjust_supply=adjust_supply)

    def deploy(self, code: bytes | str, **fields: Unpack[CallFields]) -> CallResult:
        """Create a contract from its init code; ``result.created`` is its address, ``result.state`` the state after.

        The fields are those of ``transact``.
        """
        return self.transact(None, code, **fields)

    def send(self, tx: Transaction) -> CallResult:
        """Run a decoded transaction by all the rules of the block: nonce, funds, gas limit, base fee."""
        return self.transact_signed(tx)

    def estimate_gas(
        self, to: bytes | str | None = None, data: bytes | str | None = None, **fields: Unpack[GasFields]
    ) -> int:
        """The gas limit that a call needs, by geth's search (within ``error_ratio``, 1.5 %, of the least).

        The fields are those of ``call``; ``gas_limit`` is the most that is tried. Raises ``Reverted`` where it fails
        with all of it.
        """
        ratio = fields.get("error_ratio", 0.0)
        if not 0 <= ratio < 1:
            raise InputError(f"{ratio} is not at least 0 and below 1", field="error_ratio")
        gas, failed = self.search_gas(to, data, **fields)
        if gas is None:
            raise Reverted.of(failed)
        return gas

    def simulate(
        self,
        calls: Calls | Sequence[Mapping[str, Any]],
        *,
        workers: int = 0,
        logs: bool = False,
        diffs: bool = False,
        output: bool = True,
        progress: Callable[[int, int], object] | None = None,
    ) -> Results:
        """Run every call on this state, each by itself, and give columns of results in the order of the calls.

        ``calls`` is a list of dicts with the arguments of ``call`` (``to``, ``data``, ``sender``, ``value``,
        ``gas_limit``, ``gas_price``, ``access_list``), or ``Calls``: whole columns, which cost less. ``workers``
        threads run them (0: one on each usable CPU) without the GIL; the results do not depend on how many.
        ``progress(done, total)`` is called some times a second, and Ctrl-C stops the batch. ``logs`` and ``diffs``
        keep what each call would have written, ``output=False`` leaves out what it returned.

        An invalid call (funds, gas below the intrinsic cost) is a row with status "rejected", not an exception.
        """
        batch = calls if isinstance(calls, Calls) else self._batch_of(calls)
        tables = self.simulate_columns(
            batch, workers=checked_workers(workers), logs=logs, diffs=diffs, output=output, progress=progress
        )
        return Results(*tables)

    def _batch_of(self, calls: Sequence[Mapping[str, Any]]) -> Calls:
        """A list as columns; where only some name a sender or a gas limit, the others have this state's."""
        try:
            return Calls.from_list(calls)
        except InputError as error:
            defaults = {"sender": self.sender, "gas_limit": self.block["gas_limit"]}
            if error.field not in defaults:
                raise
        named = ({name: value for name, value in call.items() if value is not None} for call in calls)
        return Calls.from_list([{**defaults, **call} for call in named])

    def trace(
        self,
        to: bytes | str | Transaction | None = None,
        data: bytes | str | None = None,
        **fields: Unpack[CallFields],
    ) -> "Trace":
        """Call ``to`` and give the trace of that: calls, what it looked at, what it changed, its steps.

        The fields are those of ``call``. A decoded ``Transaction`` instead of them is run by all rules of the block.
        Nothing of it stays. See docs/traces.md.
        """
        from solder.trace import trace_call  # not needed before

        if isinstance(to, Transaction):
            return trace_call(self, to)
        block, overrides = fields.pop("block", None), fields.pop("overrides", None)
        return trace_call(self, {"to": to, "data": data, **fields}, block=block, overrides=overrides)

    def execute(
        self,
        txs: Sequence[Transaction | Mapping[str, Any]],
        *,
        workers: int = 0,
        policy: Literal["reject", "skip"] = "reject",
        block: dict[str, Any] | None = None,
        forced: bool = False,
    ) -> tuple[BlockResult, Self]:
        """Execute an ordered list by all the rules of a block, on several workers, as one after the other would.

        Gives receipts (with what was skipped) and the state after. A dict is a transaction without a signature: its
        ``nonce`` defaults to the sender's next, ``gas_limit`` to 2**24 (or the block's), ``gas_price`` to the base fee.
        ``policy`` says what an invalid one meets: ``RejectedInput``, or it is left out. ``block`` replaces fields, for
        instance ``gas_limit``, which all transactions together must fit.
        """
        return self.run_list(txs, policy, workers=checked_workers(workers), block=block, forced=forced)

    @property
    def aio(self) -> AsyncState[Self]:
        """What may wait, as coroutines: ``await state.aio.call(...)``. Cancelling the task ends the work."""
        return AsyncState(self)

    def sandbox(self) -> "Sandbox":
        """A place to try things out: ``with state.sandbox() as s:`` leaves this state as it is."""
        return Sandbox(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        block = self.block
        rows = {
            "chain": self.chain.chain_id,
            "fork": self.fork,
            "block": f"{block['number']:,}",
            "timestamp": block["timestamp"],
            "base fee": block["base_fee_per_gas"],
            "layers": self.depth,
        }
        left = "style='text-align:left'"
        cells = "".join(f"<tr><th {left}>{name}</th><td {left}>{value}</td></tr>" for name, value in rows.items())
        return f"<table><caption {left}>{type(self).__name__}</caption>{cells}</table>"


class Prank:
    """What ``Sandbox.prank`` gives: as a context it ends the prank with its body."""

    __slots__ = ("_box", "_former")

    def __init__(self, box: "Sandbox", former: bytes) -> None:
        self._box = box
        self._former = former

    def __enter__(self) -> "Sandbox":
        return self._box

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Whoever sent before sends again."""
        self._box.state = self._box.state.prank(self._former)


class Sandbox:
    """A mutable holder of a state: what is set or executed here moves ``state`` on, and the original stays as it was.

    ``snapshot()`` gives the state of the moment, ``revert(state)`` goes back to one. Not for several threads at once;
    the states that it holds are.
    """

    __slots__ = ("state",)

    def __init__(self, state: "State") -> None:
        self.state = state

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is left to undo."""

    def snapshot(self) -> "State":
        """The state of the moment."""
        return self.state

    def revert(self, state: "State") -> None:
        """Go back to a state, or on to any other."""
        self.state = state

    def set_balance(self, owner: bytes | str, balance: int) -> None:
        """Set a balance, in wei."""
        self.state = self.state.set_balance(owner, balance)

    def set_nonce(self, owner: bytes | str, nonce: int) -> None:
        """Set a nonce."""
        self.state = self.state.set_nonce(owner, nonce)

    def set_code(self, owner: bytes | str, code: bytes | str) -> None:
        """Put code at an address."""
        self.state = self.state.set_code(owner, code)

    def set_storage(self, owner: bytes | str, slot: int, value: int) -> None:
        """Set one slot."""
        self.state = self.state.set_storage(owner, slot, value)

    def edit(self, overrides: dict[Any, Any]) -> None:
        """Set many fields at once, as ``State.edit``."""
        self.state = self.state.edit(overrides)

    def deal(
        self, owner: bytes | str, amount: int, *, token: bytes | str | None = None, adjust_supply: bool = False
    ) -> None:
        """Give ether or tokens, as ``State.deal``."""
        self.state = self.state.deal(owner, amount, token=token, adjust_supply=adjust_supply)

    def prank(self, sender: bytes | str) -> "Prank":
        """Send as somebody else where no sender is named: from now on, or in ``with box.prank(sender):``."""
        former = self.state.sender
        self.state = self.state.prank(sender)
        return Prank(self, former)

    @contextmanager
    def anchor(self) -> Iterator[Self]:
        """``with box.anchor():`` whatever happens in the body is gone after it."""
        before = self.state
        try:
            yield self
        finally:
            self.state = before

    def account(self, owner: bytes | str) -> Account | None:
        """An account of the moment, or None where none exists."""
        return self.state.account(owner)

    def balance(self, owner: bytes | str) -> int:
        """The balance of the moment, in wei; 0 where no account exists."""
        return self.state.balance(owner)

    def storage(self, owner: bytes | str, slot: int) -> int:
        """A slot of the moment."""
        return self.state.storage(owner, slot)

    def warp(self, timestamp: int) -> None:
        """Go to another time, in seconds."""
        self.state = self.state.warp(timestamp)

    def roll(self, number: int) -> None:
        """Go to another block number."""
        self.state = self.state.roll(number)

    def call(
        self, to: bytes | str | None = None, data: bytes | str | None = None, **fields: Unpack[CallFields]
    ) -> CallResult:
        """Call and throw away what that does, as ``State.call``."""
        return self.state.call(to, data, **fields)

    def estimate_gas(
        self, to: bytes | str | None = None, data: bytes | str | None = None, **fields: Unpack[GasFields]
    ) -> int:
        """The gas limit that a call needs, as ``State.estimate_gas``."""
        return self.state.estimate_gas(to, data, **fields)

    def transact(
        self, to: bytes | str | None = None, data: bytes | str | None = None, **fields: Unpack[CallFields]
    ) -> CallResult:
        """Run a transaction and keep what it does, as ``State.transact``. Replaced block fields and state stay."""
        return self._kept(self.state.transact(to, data, **fields))

    def deploy(self, code: bytes | str, **fields: Unpack[CallFields]) -> CallResult:
        """Create a contract, as ``State.deploy``."""
        return self._kept(self.state.deploy(code, **fields))

    def send(self, tx: Transaction) -> CallResult:
        """Run a decoded transaction by all rules, as ``State.send``."""
        return self._kept(self.state.send(tx))

    def _kept(self, result: CallResult) -> CallResult:
        if result.state is not None:
            self.state = result.state
        return result

    def bundle(self, txs: Sequence[Transaction | Mapping[str, Any]], *, atomic: bool = False) -> BundleResult:
        """Run transactions in order and keep what they do, as ``State.bundle``."""
        result = self.state.bundle(txs, atomic=atomic)
        self.state = result.state
        return result

    def execute(
        self,
        txs: Sequence[Transaction | Mapping[str, Any]],
        *,
        workers: int = 0,
        policy: Literal["reject", "skip"] = "reject",
    ) -> BlockResult:
        """Execute a list by a block's rules and keep what it does, as ``State.execute``."""
        result, self.state = self.state.execute(txs, workers=workers, policy=policy)
        return result

    def simulate(
        self,
        calls: Calls | Sequence[Mapping[str, Any]],
        *,
        workers: int = 0,
        logs: bool = False,
        diffs: bool = False,
        output: bool = True,
        progress: Callable[[int, int], object] | None = None,
    ) -> Results:
        """Many independent calls, as ``State.simulate``: nothing of them stays."""
        return self.state.simulate(calls, workers=workers, logs=logs, diffs=diffs, output=output, progress=progress)

    def __repr__(self) -> str:
        return f"<Sandbox {self.state!r}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the state of the moment."""
        return self.state._repr_html_().replace(">State<", ">Sandbox<", 1)
