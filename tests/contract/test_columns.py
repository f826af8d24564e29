"""Many calls by columns of arguments, and what they return by column."""

from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import solder
from solder.contract import Each, decode_logs

ALICE = b"\xaa" * 20


def _one_by_one(function: Any, rows: list[tuple[Any, ...]]) -> list[bytes]:
    return [function.encode(*row) for row in rows]


def _calls(function: Any, *columns: Any) -> list[bytes]:
    """The call data of a batch, by what a contract that returns its input gives back."""
    echo = solder.State({function.address: {"code": bytes.fromhex("36600060003736600 0f3".replace(" ", ""))}})
    return echo.simulate(function.calls(*columns)).output.to_list()


@pytest.mark.parametrize(
    ("kind", "column", "values"),
    [
        ("uint256", range(5), [0, 1, 2, 3, 4]),
        ("uint256", [2**256 - 1, 0], [2**256 - 1, 0]),
        ("uint64", np.array([0, 2**64 - 1], dtype=np.uint64), [0, 2**64 - 1]),
        ("uint8", np.array([0, 255], dtype=np.uint8), [0, 255]),
        ("uint24", np.array([5, 6], dtype=np.int32), [5, 6]),
        ("int128", np.array([-(2**63), 2**63 - 1]), [-(2**63), 2**63 - 1]),
        ("int8", np.array([-128, 127], dtype=np.int8), [-128, 127]),
        ("int256", pa.array([-1, 1], pa.int16()), [-1, 1]),
        ("uint32", pl.Series([1, 2], dtype=pl.UInt32), [1, 2]),
        ("uint16", pa.chunked_array([[1], [2, 3]], pa.uint16()), [1, 2, 3]),
        ("bool", np.array([True, False]), [True, False]),
        ("bool", pa.array([True, False]), [True, False]),
        ("bytes32", np.arange(64, dtype=np.uint8).reshape(2, 32), [bytes(range(32)), bytes(range(32, 64))]),
        (
            "uint256",
            np.arange(64, dtype=np.uint8).reshape(2, 32),
            [int.from_bytes(bytes(range(n, n + 32)), "big") for n in (0, 32)],
        ),
        ("address", np.arange(40, dtype=np.uint8).reshape(2, 20), [bytes(range(20)), bytes(range(20, 40))]),
        ("address", pa.array([b"\x01" * 20, b"\x02" * 20], pa.binary(20)), [b"\x01" * 20, b"\x02" * 20]),
        ("address", pl.Series([b"\x01" * 20, b"\x02" * 20]), [b"\x01" * 20, b"\x02" * 20]),
        ("address", [b"\x01" * 20, "0x" + "02" * 20], [b"\x01" * 20, b"\x02" * 20]),
        ("bytes4", pa.array([b"abcd", b"efgh"]), [b"abcd", b"efgh"]),
        ("string", ["a", "bcd" * 20], ["a", "bcd" * 20]),
        ("string", pl.Series(["a", "bcd" * 20]), ["a", "bcd" * 20]),
        ("bytes", pa.array([b"", b"\x01" * 40]), [b"", b"\x01" * 40]),
        ("uint256[]", Each([[1, 2], []]), [[1, 2], []]),
        ("(uint256,string)", Each([(1, "a"), (2, "b")]), [(1, "a"), (2, "b")]),
    ],
    ids=lambda value: str(type(value).__name__) if not isinstance(value, str) else value,
)
def test_columns_encode_as_one_by_one(kind: str, column: Any, values: list[Any]) -> None:
    # Behind an argument of fixed size and behind one that is not.
    for other, same in (("uint256", 7), ("string", "text")):
        contract = solder.Contract([f"f({other} a, {kind} b)"], b"\xcc" * 20, solder.State())
        assert _calls(contract.f, same, column) == _one_by_one(contract.f, [(same, value) for value in values])


def test_columns_one_value_for_all_and_named_ones(board: solder.Contract) -> None:
    assert len(board.pick.calls(np.arange(3))) == 3
    assert len(board.divide.calls(7, 2)) == 1
    assert len(board.divide.calls(a=7, b=[1, 2])) == 2
    # A list for an array is one value for all.
    results = board.minmax.simulate([3, 4], workers=1)
    assert results.decode(board.minmax).integers("high") == [4]
    # Senders and values are columns too.
    calls = board.left.calls(sender=[ALICE, ALICE], gas_limit=np.array([100_000, 200_000]))
    assert board.snapshot.simulate(calls).ok


def test_columns_results_are_decoded(board: solder.Contract) -> None:
    numbers = np.arange(1000, dtype=np.int64) - 500
    results = board.scaled.simulate(numbers, [bool(n % 2) for n in range(1000)], 3)
    decoded = results.decode(board.scaled)
    expected = [(-int(n) if (int(n) + 500) % 2 else int(n)) * 3 for n in numbers]
    assert list(decoded) == ["result"]
    assert decoded.integers("result") == expected
    assert np.asarray(decoded.floats("result", decimals=1)).tolist() == [number / 10 for number in expected]
    assert decoded.decimals("result", decimals=2)[0] == Decimal(expected[0]).scaleb(-2)
    assert decoded["result"].dtype == "FixedSizeBinary(32)"
    table = pa.table(decoded)
    assert (table.num_rows, table.schema.field("result").type) == (1000, pa.binary(32))
    assert pl.DataFrame(decoded).shape == (1000, 1)
    assert "1000 rows" in repr(decoded)
    with pytest.raises(KeyError):
        decoded["colour"]


def test_columns_of_every_kind(board: solder.Contract) -> None:
    values = Each([[1, 5], [-7], [2**255 - 1, 0]])
    decoded = board.minmax.simulate(values).decode(board.minmax)
    assert list(decoded) == ["low", "high", "count"]
    assert decoded.integers("low") == [1, -7, 0]
    assert np.asarray(decoded["count"]).tolist() == [2, 1, 2]
    assert np.asarray(decoded["count"]).dtype == np.uint64
    pairs = [[[1, 2], [3, 4]], []]
    echoed = board.echo.simulate([b"\x01", b""], Each(pairs), b"abcd").decode(board.echo)
    assert list(echoed) == ["value0", "value1", "value2"]
    assert echoed["value0"].to_list() == [b"\x01", b""]
    assert echoed["value1"].to_list() == [[[n.to_bytes(32, "big") for n in pair] for pair in row] for row in pairs]
    assert pa.table(echoed)["value2"].to_pylist() == [b"abcd", b"abcd"]
    placed = board.on(board.place.transact(7, (-3, 4, "p"), sender=ALICE).state)
    points = placed.get.simulate([7, 8]).decode(placed.get)
    assert points["value"].to_list() == [{"x": -3, "y": 4, "label": "p"}, {"x": 0, "y": 0, "label": ""}]
    assert pa.table(points)["value"].to_pylist() == points["value"].to_list()
    owners = board.pick.simulate(["0x" + "11" * 20, ALICE])
    assert owners.decode(board["pick(address)"])["value"].to_list() == [b"\x11" * 20, ALICE]
    named = board.name.simulate(["a", "b"], b"").decode(board.name)
    assert all(len(word) == 32 for word in named["value"].to_list())


def test_columns_failed_calls_are_null(board: solder.Contract) -> None:
    results = board.divide.simulate(12, [3, 0, 4])
    decoded = results.decode(board.divide)
    assert decoded.integers("value") == [4, None, 3]
    assert np.isnan(np.asarray(decoded.floats("value"))).tolist() == [False, True, False]
    assert pa.table(decoded)["value"].null_count == 1
    counts = board.minmax.simulate(Each([[1], []])).decode(board.minmax)["count"]
    assert counts.to_list() == [1, None]
    with pytest.raises(BufferError, match="without nulls"):
        memoryview(counts)  # type: ignore[arg-type]
    # Nothing but a success is decoded, and what is malformed is an error unless one says otherwise.
    nobody = board.at(b"\xbb" * 20)
    empty = nobody.left.simulate(sender=[ALICE, ALICE])
    with pytest.raises(solder.InputError, match=r"\[0\].left.outputs: nothing was returned"):
        empty.decode(nobody.left)
    with pytest.raises(solder.InputError, match="keep no outputs"):
        board.divide.simulate(6, [1, 2], output=False).decode(board.divide)
    assert empty.decode(nobody.left, strict=False).integers("value") == [None, None]
    logs = board.name.simulate("a", b"", logs=True).logs
    assert logs is not None
    with pytest.raises(solder.InputError, match="no outputs"):
        board.left.decode_table(logs)


def test_columns_logs_are_decoded(board: solder.Contract) -> None:
    results = board.place.simulate([5, 6, 7], (1, -2, "p"), sender=ALICE, logs=True)
    placed = decode_logs(board.event("Placed"), results.logs, address=board.address)
    assert list(placed) == ["call", "address", "by", "id", "point"]
    assert placed["call"].to_list() == [0, 1, 2]
    assert placed.integers("id") == [5, 6, 7]
    assert placed["by"].to_list() == [ALICE] * 3
    assert placed["point"][0] == {"x": 1, "y": -2, "label": "p"}
    quiet = decode_logs(board.event("Quiet"), results.logs)
    assert quiet.integers("left") == [9, 9, 9]
    assert len(decode_logs(board.event("Placed"), results.logs, address=b"\xbb" * 20)["id"]) == 0
    with pytest.raises(solder.InputError, match="logs=True"):
        decode_logs(board.event("Placed"), board.left.simulate().logs)
    liar = solder.Abi("event Placed(address indexed by, uint256 indexed id, (int24 x, int24 y, uint8 label) point)")
    with pytest.raises(solder.InputError, match="no column"):
        decode_logs(liar.event("Placed"), results.table)


@pytest.mark.parametrize(
    ("kind", "column", "says"),
    [
        ("uint8", np.array([1, 256]), r"a\[1\]: 256 is no uint8"),
        ("uint8", np.array([-1]), r"a\[0\]: -1 is no uint8"),
        ("uint8", [1, -1], r"a\[1\]: -1 is not 0"),
        ("uint8", np.array([1.5]), "float64 is not an int"),
        ("uint256", pa.array([1, None]), r"a\[1\]: is null"),
        ("uint256", pa.array(["a"]), "a: a column of"),
        ("uint256", np.zeros((2, 2), dtype=np.int64), "2 dimensions"),
        ("uint256", np.zeros((2, 5), dtype=np.uint8), "rows of 5 bytes are no column of uint256"),
        ("address", np.arange(3), "an array of numbers is no column of address"),
        ("address", np.full((1, 32), 255, dtype=np.uint8), r"a\[0\]: 0xff.* is no address"),
        ("address", ["0xBBbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"], r"a\[0\]: wrong checksum"),
        ("bool", np.arange(3), "an array of numbers is no column of bool"),
        ("bytes4", pa.array([b"abcd", b"abc"]), r"a\[1\]"),
        ("string", pa.array([1]), "a: a column of Int64"),
        ("uint256[]", Each([[1], [-1]]), r"a\[1\]\[0\]: -1"),
        ("uint256[]", Each(5), "a: int is not a column"),
        ("uint256", {"a": 1}, "str is not an int"),
    ],
    ids=str,
)
def test_columns_bad_values_are_named(kind: str, column: Any, says: str) -> None:
    contract = solder.Contract([f"f({kind} a)"], b"\xcc" * 20, solder.State())
    with pytest.raises(solder.InputError, match=says):
        contract.f.calls(column)


def test_columns_of_different_lengths() -> None:
    contract = solder.Contract(["f(uint256 a, uint256 b)"], b"\xcc" * 20, solder.State())
    with pytest.raises(solder.InputError, match=r"f\(uint256,uint256\).b: 2 values, but a has 3"):
        contract.f.calls([1, 2, 3], [1, 2])
    with pytest.raises(solder.InputError, match="data: 3 values, but sender has 2"):
        contract.f.calls([1, 2, 3], 1, sender=[ALICE, ALICE])
    assert len(contract.f.calls([], 1)) == 0


def test_columns_reasons_of_failed_calls(board: solder.Contract) -> None:
    results = board["take(uint256)"].simulate([1, 11, 1], gas_limit=[100_000, 100_000, 21_300])
    assert board.abi.reasons(results)[:2] == [None, "TooLittle(left: 10, wanted: 11)"]
    assert board.abi.reasons(results)[2] == results.errors[2]
    assert results.status_names()[2] != "success"


def test_columns_of_pandas_and_of_plain_memory(board: solder.Contract) -> None:
    import array

    import pandas as pd

    frame = pd.DataFrame({"b": [1, 2, 3]})
    for column in (frame["b"], array.array("q", [1, 2, 3]), memoryview(array.array("H", [1, 2, 3]))):
        assert board.divide.simulate(6, column).decode(board.divide).integers("value") == [6, 3, 2]
    assert board.echo.simulate(bytearray(b"ab"), [], b"abcd").decode(board.echo)["value0"].to_list() == [b"ab"]
    # A column of results is a column of arguments.
    first = board.divide.simulate(60, [1, 2, 3]).decode(board.divide)["value"]
    assert board.divide.simulate(first, 2).decode(board.divide).integers("value") == [30, 15, 10]
