"""``Results``: what a batch of calls gave, as columns in Arrow's memory."""

from decimal import Context, Decimal
from typing import Any, Protocol, TypeVar, cast

from solder._native import Column, Table

__all__ = ["Results"]

STATUS_NAMES = ("success", "revert", "halt", "rejected")
"""What the numbers in the column ``status`` mean."""
_WIDE = Context(prec=100)


def _view(column: Column) -> memoryview:
    """The memory of a numeric column, which the type checker of Python 3.11 has no word for."""
    return memoryview(cast("Any", column))


DecodedT_co = TypeVar("DecodedT_co", covariant=True)


class Decoder(Protocol[DecodedT_co]):
    """Whatever knows what the outputs of a batch say."""

    def decode_table(self, table: Table, *, strict: bool) -> DecodedT_co:
        """The outputs, decoded."""


class Results:
    """The results of a batch, one row for each call, in the order of the calls.

    Columns: ``status`` (uint8, see ``STATUS_NAMES``), ``gas_used`` and ``gas_refunded`` (uint64), ``output`` (binary),
    ``created`` (20 bytes, or null), ``error`` (what halted or rejected a call, or null).
    ``numpy.asarray(results.gas_used)`` and ``pyarrow.table(results)`` copy nothing.

    ``logs`` and ``diffs`` are tables of their own, or None where they were not asked for: logs have ``call``,
    ``address``, ``topic0`` to ``topic3``, ``data``; diffs ``call``, ``address``, ``field`` ("balance", "nonce",
    "code", "slot"), ``slot``, ``before``, ``after`` (words of 32 bytes).
    """

    __slots__ = ("diffs", "logs", "table")

    def __init__(self, table: Table, logs: Table | None = None, diffs: Table | None = None) -> None:
        self.table = table
        self.logs = logs
        self.diffs = diffs

    def __len__(self) -> int:
        return len(self.table)

    @property
    def status(self) -> Column:
        """How each call ended, by number."""
        return self.table.column("status")

    @property
    def gas_used(self) -> Column:
        """Gas that each call paid for, after its refund."""
        return self.table.column("gas_used")

    @property
    def gas_refunded(self) -> Column:
        """Gas refunded to each call."""
        return self.table.column("gas_refunded")

    @property
    def output(self) -> Column:
        """What each call returned or reverted with."""
        return self.table.column("output")

    @property
    def created(self) -> Column:
        """The contract that each call created, or None."""
        return self.table.column("created")

    @property
    def errors(self) -> Column:
        """What halted or rejected each call, or None. What a revert says is in its output."""
        return self.table.column("error")

    @property
    def ok(self) -> bool:
        """Whether every call succeeded."""
        return not any(_view(self.status))

    def status_names(self) -> list[str]:
        """How each call ended, by name."""
        return [STATUS_NAMES[number] for number in _view(self.status)]

    def integers(self, word: int = 0, *, signed: bool = False) -> list[int | None]:
        """Word ``word`` of each output as an int; None where a call failed or returned less."""
        return self.table.output_integers(word, signed=signed)

    def floats(self, word: int = 0, *, decimals: int = 0, signed: bool = False) -> Column:
        """Word ``word`` of each output divided by 10**decimals, in float64; not a number where a call failed."""
        return self.table.output_floats(word, scale=10.0**decimals, signed=signed)

    def decimals(self, word: int = 0, *, decimals: int = 0, signed: bool = False) -> list[Decimal | None]:
        """Word ``word`` of each output divided by 10**decimals, exactly; None where a call failed."""
        numbers = self.integers(word, signed=signed)
        return [None if number is None else Decimal(number).scaleb(-decimals, _WIDE) for number in numbers]

    def decode(self, function: Decoder[DecodedT_co], *, strict: bool = True) -> DecodedT_co:
        """What a function of a ``Contract`` returned in each call: a column for each result.

        A call that failed is null. Malformed data raises ``InputError`` with its row; unless ``strict`` it is null.
        """
        return function.decode_table(self.table, strict=strict)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The results to whoever reads Arrow's C interface."""
        return self.table.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        counts = bytes(_view(self.status))
        parts = [f"{counts.count(number)} {name}" for number, name in enumerate(STATUS_NAMES) if number in counts]
        return f"<Results {len(self)}: {', '.join(parts) or 'none'}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        counts = bytes(_view(self.status))
        rows = "".join(
            f"<tr><th style='text-align:left'>{name}</th><td>{counts.count(number):,}</td></tr>"
            for number, name in enumerate(STATUS_NAMES)
            if number in counts
        )
        gas = sum(_view(self.gas_used))
        return f"<table><caption>{len(self):,} calls, {gas:,} gas</caption>{rows}</table>"
