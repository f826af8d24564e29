"""What many calls returned, decoded by column."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Context, Decimal

from solder._native import AbiEvent, Column, Table
from solder.errors import InputError

__all__ = ["Decoded", "decode_logs"]

_WIDE = Context(prec=100)


class Decoded(Mapping[str, Column]):
    """Columns by name, in Arrow's memory, a row for each call (or log), in their order.

    A result is named as the interface names it; ``value`` where there is one without a name, ``value0``, ``value1`` and
    so on where there are several. Numbers of up to 64 bits are uint64 or int64, longer ones words of 32 bytes
    (``integers``, ``floats`` and ``decimals`` read both), addresses 20 bytes, arrays lists, structs structs. A call
    that failed is null.
    ``pyarrow.table(decoded)`` and ``polars.DataFrame(decoded)`` read all of it; ``numpy.asarray(decoded["id"])`` sees
    the memory of a numeric column without nulls.
    """

    __slots__ = ("_signed", "table")

    def __init__(self, table: Table, kinds: Sequence[str], *, skip: int = 0) -> None:
        self.table = table
        names = table.names[skip:]
        self._signed = frozenset(name for name, kind in zip(names, kinds, strict=True) if kind.startswith("int"))

    def __getitem__(self, name: str) -> Column:
        if name not in self.table.names:
            raise KeyError(name)
        return self.table.column(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.table.names)

    def __len__(self) -> int:
        return len(self.table.names)

    def integers(self, name: str) -> list[int | None]:
        """A column of numbers as Python ints; None where a call failed."""
        return self.table.column(name).integers(signed=name in self._signed)

    def floats(self, name: str, *, decimals: int = 0) -> Column:
        """A column of numbers divided by 10**decimals, in float64; not a number where a call failed."""
        return self.table.column(name).floats(scale=10.0**decimals, signed=name in self._signed)

    def decimals(self, name: str, *, decimals: int = 0) -> list[Decimal | None]:
        """A column of numbers divided by 10**decimals, exactly; None where a call failed."""
        numbers = self.integers(name)
        return [None if number is None else Decimal(number).scaleb(-decimals, _WIDE) for number in numbers]

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The columns to whoever reads Arrow's C interface."""
        return self.table.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name} {self.table.column(name).dtype}" for name in self.table.names)
        return f"<Decoded {len(self.table)} rows: {shown}>"


def decode_logs(event: AbiEvent, logs: Table | None, *, address: bytes | str | None = None) -> Decoded:
    """The logs of ``event`` in ``results.logs``: the columns ``call`` and ``address``, and one for each parameter.

    ``address`` keeps those of one contract. An indexed parameter that takes more than a word is its hash. A log that
    names the event and does not fit it raises ``InputError`` with its row.
    """
    if logs is None:
        raise InputError("the batch kept none: simulate(..., logs=True)", field="logs")
    kinds = [
        "bytes32" if indexed and kind.endswith(("]", ")", "string", "bytes")) else kind
        for _, kind, indexed in event.inputs
    ]
    return Decoded(event.decode_logs(logs, address), kinds, skip=2)
