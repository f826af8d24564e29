"""``Contract``: an interface at an address of a state."""

from functools import partial
from typing import Any, Self

from solder._native import AbiEvent, Log
from solder.contract.abi import Abi, AbiSource
from solder.contract.addresses import address_bytes, checksummed
from solder.contract.function import ContractFunction, snapshot_of, split_fields
from solder.contract.functions import Functions
from solder.contract.result import Emitted, events_in, failing_too, reverted
from solder.errors import InputError
from solder.state import Sandbox, State

__all__ = ["Contract"]


class Contract:
    """A contract: its interface, its address, and the ``State`` or ``Sandbox`` that it is in. It never changes.

        token = solder.Contract(["function balanceOf(address) returns (uint256)"], address, state)
        token.balanceOf(owner)                                # what it returns
        token.transfer.transact(to, 5, sender=owner).state    # the state after
        token["transfer(address,uint256)"]                    # one of several overloads

    On a state everything leaves the state as it is; on a sandbox ``transact`` moves the sandbox on. ``functions`` has
    what an attribute of the contract itself hides, such as a function called ``state``.
    """

    __slots__ = ("_abi", "_address", "_functions", "_raw", "_state")

    def __init__(self, abi: AbiSource, address: object, state: State | Sandbox) -> None:
        if not isinstance(state, State | Sandbox):
            raise InputError(f"{type(state).__name__} is neither a State nor a Sandbox", field="state")
        self._abi = abi if isinstance(abi, Abi) else Abi(abi)
        self._raw = address_bytes(address)
        self._address = checksummed(self._raw)
        self._state = state
        self._functions = Functions(self._abi, self._raw, state)

    @classmethod
    def deploy(
        cls, abi: AbiSource, bytecode: bytes | str | None, *arguments: Any, state: State | Sandbox, **named: Any
    ) -> Self:
        """Create a contract and give it, on the state after it (a sandbox moves on).

        ``bytecode`` is init code, without arguments; None takes the artefact's. Arguments and fields (``sender``,
        ``value``, ...) are given as to a function. Raises ``Reverted`` where the creation fails.
        """
        interface = abi if isinstance(abi, Abi) else Abi(abi)
        if bytecode is None:
            bytecode = interface.bytecode
        if bytecode is None:
            why = "waits for libraries to be linked" if interface.unlinked else "has no init code"
            raise InputError(f"the artefact {why}", field="bytecode")
        if isinstance(bytecode, str):
            try:
                bytecode = bytes.fromhex(bytecode.removeprefix("0x"))
            except ValueError as error:
                raise InputError(f"not hex: {error}", field="bytecode") from None
        given, fields = split_fields(named)
        constructor = interface.constructor
        data = bytecode + constructor.encode(arguments, given)
        result = failing_too(state.deploy, data, **{"abi": interface, **fields})
        if not result.ok:
            raise reverted(result, interface)
        return cls(interface, result.created, state if isinstance(state, Sandbox) else result.state)

    @property
    def abi(self) -> Abi:
        """Its interface."""
        return self._abi

    @property
    def address(self) -> str:
        """Its address, with EIP-55's checksum."""
        return self._address

    @property
    def raw_address(self) -> bytes:
        """Its address as 20 bytes."""
        return self._raw

    @property
    def state(self) -> State | Sandbox:
        """What it is in."""
        return self._state

    @property
    def snapshot(self) -> State:
        """The state of the moment."""
        return snapshot_of(self._state)

    @property
    def functions(self) -> Functions:
        """Its functions by name and by signature."""
        return self._functions

    def on(self, state: State | Sandbox) -> Self:
        """The same contract in another state."""
        return type(self)(self._abi, self._raw, state)

    def at(self, address: object) -> Self:
        """The same interface at another address."""
        return type(self)(self._abi, address, self._state)

    def events(self, logs: list[Log]) -> list[Emitted]:
        """The events of the interface among logs (of a receipt, for instance), as ``ContractResult.events``."""
        return events_in(logs, self._abi, self._raw)

    def event(self, name: str) -> AbiEvent:
        """An event of the interface, by name or signature."""
        return self._abi.event(name)

    def __getitem__(self, name: str) -> ContractFunction:
        """A function by its name or signature."""
        return self._functions[name]

    def __getattr__(self, name: str) -> ContractFunction:
        # While a copy is made there is nothing yet to ask.
        if name.startswith("__") or name in Contract.__slots__:
            raise AttributeError(name)
        try:
            return self._functions[name]
        except InputError as error:
            raise AttributeError(str(error), name=name, obj=self) from None

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *dir(self._functions)})

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self)), (self._abi, self._raw, self._state)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Contract)
            and (self._raw, self._abi) == (other._raw, other._abi)
            and (self._state is other._state)
        )

    def __hash__(self) -> int:
        return hash(self._raw)

    def __repr__(self) -> str:
        name = f"{self._abi.name} " if self._abi.name else ""
        return f"<Contract {name}{self._address}: {len(self._functions)} functions>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from solder.contract.pages import abi_page

        return abi_page(self._abi, f"{self._abi.name or 'Contract'} {self._address}")
