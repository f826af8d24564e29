"""A function of a contract at an address of a state: called, sent, estimated, or made into many calls."""

from collections.abc import Mapping, Sequence
from typing import Any

from solder._native import AbiFunction, CallResult, Calls, Table
from solder.contract.abi import Abi
from solder.contract.addresses import checksummed
from solder.contract.columns import Decoded
from solder.contract.result import ContractResult, failing_too, reverted
from solder.errors import InputError
from solder.simulate import Results, Reverted
from solder.simulate.fields import GasFields
from solder.state import Sandbox, State

__all__ = ["ContractFunction", "snapshot_of", "split_fields"]

CALL_FIELDS = frozenset(GasFields.__optional_keys__)
"""What is no argument of the function but a field of the call."""
_COLUMN_FIELDS = frozenset({"sender", "value", "gas_limit", "gas_price", "access_lists"})
_SIMULATE_FIELDS = frozenset({"workers", "logs", "diffs", "output", "progress"})


def split_fields(
    named: Mapping[str, Any], fields: frozenset[str] = CALL_FIELDS
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """The arguments of the function (None for none), and the fields of the call."""
    arguments = {name.removesuffix("_"): value for name, value in named.items() if name not in fields}
    return arguments or None, {name: value for name, value in named.items() if name in fields}


def snapshot_of(state: State | Sandbox) -> State:
    """The state of the moment."""
    return state.state if isinstance(state, Sandbox) else state


class ContractFunction:
    """A function of a contract: ``token.balanceOf(owner)`` calls it and gives what it returns.

    Arguments are given by position or by name. A name that is a field of a call (``sender``, ``value``, ``gas_limit``,
    ``gas_price``, ``max_priority_fee_per_gas``, ``nonce``, ``access_list``, ``block``, ``overrides``) is that field: an
    argument of such a name is given by position, or with an underscore after it (``value_=5``). Of overloads the one is
    taken that the arguments fit; ``contract["transfer(address,uint256)"]`` names it.
    """

    __slots__ = ("address", "interface", "overloads", "state")

    def __init__(
        self, overloads: Sequence[AbiFunction], interface: Abi, address: bytes, state: State | Sandbox
    ) -> None:
        self.overloads = tuple(overloads)
        self.interface = interface
        self.address = address
        self.state = state

    @property
    def abi(self) -> AbiFunction:
        """The function in the interface. Raises ``InputError`` for one with overloads."""
        if len(self.overloads) > 1:
            raise InputError(f"is overloaded; name one by its signature: {self._listed()}", field=self.name)
        return self.overloads[0]

    @property
    def name(self) -> str:
        """Its name."""
        return self.overloads[0].name

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call it and give what it returns. Raises ``Reverted`` with the decoded reason where it fails."""
        return self.call(*arguments, **named).value

    def call(self, *arguments: Any, check: bool = True, **named: Any) -> ContractResult:
        """Call it and throw away what that does. Raises ``Reverted`` where it fails, unless ``check`` is off."""
        function, data, fields = self._prepared(arguments, named)
        result = failing_too(self.state.call, self.address, data, **{"abi": self.interface, **fields})
        return self._checked(self._result(result, function), check=check)

    def transact(self, *arguments: Any, check: bool = True, **named: Any) -> ContractResult:
        """Send it as a transaction: ``result.state`` is the state after, and a sandbox moves on to it.

        Raises ``Reverted`` where it fails, unless ``check`` is off. A failed transaction counts too: it takes a nonce.
        """
        function, data, fields = self._prepared(arguments, named)
        result = failing_too(self.state.transact, self.address, data, **{"abi": self.interface, **fields})
        return self._checked(self._result(result, function), check=check)

    def estimate_gas(self, *arguments: Any, **named: Any) -> int:
        """The gas limit that it needs, as ``State.estimate_gas``."""
        _, data, fields = self._prepared(arguments, named)
        try:
            return snapshot_of(self.state).estimate_gas(self.address, data, **fields)
        except Reverted as failed:
            if failed.result is None:
                raise
            raise reverted(failed.result, self.interface) from None

    def access_list(self, *arguments: Any, **named: Any) -> tuple[list[tuple[bytes, list[bytes]]], ContractResult]:
        """The accounts and slots that it uses, and the result with them listed, as ``State.access_list``."""
        function, data, fields = self._prepared(arguments, named)
        listed, result = snapshot_of(self.state).access_list(self.address, data, **fields)
        return listed, self._result(result, function)

    def encode(self, *arguments: Any, **named: Any) -> bytes:
        """The call data."""
        return self._prepared(arguments, named)[1]

    def decode(self, output: bytes) -> Any:
        """What an output says: None, one value, or a tuple."""
        return self.abi.decode_output(output)

    def calls(self, *columns: Any, **named: Any) -> Calls:
        """Many calls at once, for ``State.simulate``: each argument is one value for all, or a column of values.

        Columns are lists, NumPy arrays (integers; bytes of shape (n, 32) for words and (n, 20) for addresses), or what
        speaks Arrow's C interface (pyarrow, polars, pandas, columns of results). An argument that is an array or a
        struct is one value for all; ``Each(list)`` makes it a column. The fields ``sender``, ``value``, ``gas_limit``,
        ``gas_price``, ``access_lists`` are those of ``solder.Calls``.
        """
        arguments, fields = split_fields(named, _COLUMN_FIELDS)
        function = self._chosen(columns, arguments, columns_given=True)
        return Calls(self.address, function.encode_columns(columns, arguments), **fields)

    def simulate(self, *columns: Any, **named: Any) -> Results:
        """``state.simulate(function.calls(...))``; ``results.decode(function)`` gives what was returned, by column.

        ``workers``, ``logs``, ``diffs``, ``output`` and ``progress`` are those of ``State.simulate``.
        """
        options = {name: named.pop(name) for name in tuple(named) if name in _SIMULATE_FIELDS}
        return snapshot_of(self.state).simulate(self.calls(*columns, **named), **options)

    def decode_table(self, table: Table, *, strict: bool = True) -> Decoded:
        """What the calls of a batch returned, as ``Results.decode(function)``."""
        function = self.abi
        return Decoded(function.decode_outputs(table, strict=strict), [kind for _, kind in function.outputs])

    def _prepared(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[AbiFunction, bytes, dict[str, Any]]:
        given, fields = split_fields(named) if named else (None, named)
        function = self.overloads[0] if len(self.overloads) == 1 else self._chosen(arguments, given)
        return function, function.encode(arguments, given), fields

    def _chosen(
        self, arguments: tuple[Any, ...], named: dict[str, Any] | None, *, columns_given: bool = False
    ) -> AbiFunction:
        """The overload that the arguments fit: by their number and names, then by their types."""
        if len(self.overloads) == 1:
            return self.overloads[0]
        names = set(named or ())
        count = len(arguments) + len(names)
        fitting = [
            function
            for function in self.overloads
            if len(function.inputs) == count and names <= {name for name, _ in function.inputs[len(arguments) :]}
        ]
        if len(fitting) > 1:
            encodable = []
            for function in fitting:
                try:
                    function.encode_columns(arguments, named) if columns_given else function.encode(arguments, named)
                except InputError:
                    continue
                encodable.append(function)
            fitting = encodable
        if len(fitting) == 1:
            return fitting[0]
        what = "several overloads fit" if fitting else "no overload fits"
        raise InputError(f"{what}; name one by its signature: {self._listed()}", field=self.name)

    def _listed(self) -> str:
        return ", ".join(function.signature for function in self.overloads)

    def _result(self, result: CallResult, function: AbiFunction) -> ContractResult:
        return ContractResult(result, self.interface, function, self.address)

    @staticmethod
    def _checked(result: ContractResult, *, check: bool) -> ContractResult:
        if check:
            result.check()
        return result

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ContractFunction) and (self.address, self.overloads, self.state) == (
            other.address,
            other.overloads,
            other.state,
        )

    def __hash__(self) -> int:
        return hash((self.address, self.overloads))

    def __repr__(self) -> str:
        return f"<ContractFunction {self._listed()} of {checksummed(self.address)}>"
