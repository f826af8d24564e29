"""The functions of a contract, found by name and by signature."""

from collections.abc import Iterator, Mapping

from solder.contract.abi import Abi
from solder.contract.function import ContractFunction
from solder.errors import InputError
from solder.state import Sandbox, State

__all__ = ["Functions"]


class Functions(Mapping[str, ContractFunction]):
    """The functions of a contract, by name (with all overloads) and by signature."""

    __slots__ = ("_abi", "_address", "_found", "_state")

    def __init__(self, abi: Abi, address: bytes, state: State | Sandbox) -> None:
        self._abi = abi
        self._address = address
        self._state = state
        self._found: dict[str, ContractFunction] = {}

    def __getitem__(self, name: str) -> ContractFunction:
        found = self._found.get(name)
        if found is None:
            # Where there is none, `function` says what there is.
            overloads = self._abi.overloads(name) or [self._abi.function(name)]
            found = self._found[name] = ContractFunction(overloads, self._abi, self._address, self._state)
        return found

    def __getattr__(self, name: str) -> ContractFunction:
        if name.startswith("__") or name in Functions.__slots__:
            raise AttributeError(name)
        try:
            return self[name]
        except InputError as error:
            raise AttributeError(str(error), name=name, obj=self) from None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self._abi.overloads(name))

    def __iter__(self) -> Iterator[str]:
        return iter(function.signature for function in self._abi.functions)

    def __len__(self) -> int:
        return len(self._abi.functions)

    def __dir__(self) -> list[str]:
        return sorted({function.name for function in self._abi.functions})

    def __repr__(self) -> str:
        return f"<Functions {', '.join(self)}>"
