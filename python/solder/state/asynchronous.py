"""What may wait, beside an event loop: ``in_thread`` for any function, ``state.aio`` for what a state can do.

    result = await state.aio.call(token, data)
    there = await in_thread(State.remote, url, block=19_000_000)

The work runs on a thread of the loop's default executor, without the GIL. Cancelling the task ends the engine's work
within a tenth of a second; ``loop.set_default_executor`` says how many may wait at once.
"""

# Each method declares what the state's own method of that name gives.
# mypy: disable-error-code="no-any-return"

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Literal, ParamSpec, TypeVar, Unpack

from solder._native import Account, BlockResult, BundleResult, CallResult, Calls, Cancellation, Transaction
from solder.simulate import Results
from solder.simulate.fields import CallFields, GasFields

__all__ = ["AsyncState", "in_thread"]

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")


async def in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """``function(*args, **kwargs)`` on another thread: any call of this package that may take long.

    When the awaiting task is cancelled, what the engine does for ``function`` ends within a tenth of a second, and
    its result is thrown away. Python code in ``function`` runs on until it next calls the engine.
    """
    import asyncio  # thirty milliseconds, which others need not pay

    cancellation = Cancellation()
    try:
        return await asyncio.to_thread(cancellation.run, function, *args, **kwargs)
    except asyncio.CancelledError:
        cancellation.cancel()
        raise


class AsyncState(Generic[S]):
    """The methods of a state that may wait, each as a coroutine with the same arguments and the same result."""

    __slots__ = ("_state",)

    def __init__(self, state: S) -> None:
        # The state's own module imports this one: its class has no name here.
        self._state: Any = state

    @property
    def state(self) -> S:
        """The state itself."""
        found: S = self._state
        return found

    async def _run(self, name: str, *args: object, **fields: object) -> Any:  # noqa: ANN401 - each method declares its own
        return await in_thread(getattr(self._state, name), *args, **fields)

    async def account(self, owner: bytes | str) -> Account | None:
        """``State.account``."""
        return await self._run("account", owner)

    async def balance(self, owner: bytes | str) -> int:
        """``State.balance``."""
        return await self._run("balance", owner)

    async def storage(self, owner: bytes | str, slot: int) -> int:
        """``State.storage``."""
        return await self._run("storage", owner, slot)

    async def root(self) -> bytes:
        """``State.root``."""
        return await self._run("root")

    async def deal(
        self, owner: bytes | str, amount: int, *, token: bytes | str | None = None, adjust_supply: bool = False
    ) -> S:
        """``State.deal``."""
        return await self._run("deal", owner, amount, token=token, adjust_supply=adjust_supply)

    async def call(
        self, to: bytes | str | None = None, data: bytes | str | None = None, **fields: Unpack[CallFields]
    ) -> CallResult:
        """``State.call``."""
        return await self._run("call", to, data, **fields)

    async def transact(
        self, to: bytes | str | None = None, data: bytes | str | None = None, **fields: Unpack[CallFields]
    ) -> CallResult:
        """``State.transact``."""
        return await self._run("transact", to, data, **fields)

    async def deploy(self, code: bytes | str, **fields: Unpack[CallFields]) -> CallResult:
        """``State.deploy``."""
        return await self._run("deploy", code, **fields)

    async def send(self, tx: Transaction) -> CallResult:
        """``State.send``."""
        return await self._run("send", tx)

    async def estimate_gas(
        self, to: bytes | str | None = None, data: bytes | str | None = None, **fields: Unpack[GasFields]
    ) -> int:
        """``State.estimate_gas``."""
        return await self._run("estimate_gas", to, data, **fields)

    async def access_list(
        self, to: bytes | str | None = None, data: bytes | str | None = None, **fields: Unpack[CallFields]
    ) -> tuple[list[tuple[bytes, list[bytes]]], CallResult]:
        """``State.access_list``."""
        return await self._run("access_list", to, data, **fields)

    async def bundle(self, txs: Sequence[Transaction | Mapping[str, Any]], *, atomic: bool = False) -> BundleResult:
        """``State.bundle``."""
        return await self._run("bundle", txs, atomic=atomic)

    async def execute(
        self,
        txs: Sequence[Transaction | Mapping[str, Any]],
        *,
        workers: int = 0,
        policy: Literal["reject", "skip"] = "reject",
        block: dict[str, Any] | None = None,
    ) -> tuple[BlockResult, S]:
        """``State.execute``."""
        return await self._run("execute", txs, workers=workers, policy=policy, block=block)

    async def simulate(
        self,
        calls: Calls | Sequence[Mapping[str, Any]],
        *,
        workers: int = 0,
        logs: bool = False,
        diffs: bool = False,
        output: bool = True,
        progress: Callable[[int, int], object] | None = None,
    ) -> Results:
        """``State.simulate``. ``progress`` is called from the thread that waits for the batch."""
        return await self._run(
            "simulate", calls, workers=workers, logs=logs, diffs=diffs, output=output, progress=progress
        )

    def __repr__(self) -> str:
        return f"<AsyncState of {self._state!r}>"
