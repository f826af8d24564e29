"""Results in data frames: polars, pandas and pyarrow read them through Arrow's C interface, numbers without a copy."""

import gc
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import solder

ALICE, BOB, CAROL = b"\xaa" * 20, b"\xbb" * 20, b"\xcc" * 20
# Adds the first word of call data to slot 0, logs (topic: caller) the sum and returns it.
ADDER = bytes.fromhex("60003560005401806000556000523360206000a160206000f3")
NUMBERS = ("status", "gas_used", "gas_refunded")


@pytest.fixture
def results() -> solder.Results:
    state = solder.State({ALICE: {"balance": 10**18}, CAROL: {"code": ADDER, "storage": {0: 7}}})
    adding = solder.Calls(CAROL, bytes(32), sender=ALICE, fields={0: range(1, 1001)})
    return state.simulate(adding, logs=True, diffs=True)


def address(array: Any) -> int:
    """Where an array's memory begins."""
    found: int = np.asarray(array).__array_interface__["data"][0]
    return found


@pytest.mark.parametrize("name", NUMBERS)
def test_frames_pyarrow_copies_nothing(results: solder.Results, name: str) -> None:
    column = results.table.column(name)
    for array in (pa.table(results)[name].chunk(0), pa.array(column)):
        assert array.buffers()[1].address == address(column)
        assert array.to_pylist() == column.to_list()


def test_frames_pyarrow_shares_bytes_too(results: solder.Results) -> None:
    one, other = pa.table(results), pa.table(results)
    for name in ("output", "created"):
        buffers = zip(one[name].chunk(0).buffers(), other[name].chunk(0).buffers(), strict=True)
        assert all(a is b is None or a.address == b.address for a, b in buffers)
    assert results.logs is not None
    logs = pa.table(results.logs)
    assert (
        logs["address"].chunk(0).buffers()[1].address == pa.array(results.logs.column("address")).buffers()[1].address
    )


def test_frames_addresses_and_words_have_fixed_size(results: solder.Results) -> None:
    assert results.logs is not None
    assert results.diffs is not None
    assert pa.table(results).schema.field("created").type == pa.binary(20)
    logs, diffs = pa.table(results.logs), pa.table(results.diffs)
    assert logs.schema.field("address").type == diffs.schema.field("address").type == pa.binary(20)
    words = [logs.schema.field(f"topic{place}").type for place in range(4)]
    words += [diffs.schema.field(name).type for name in ("slot", "before", "after")]
    assert words == [pa.binary(32)] * 7
    assert logs["address"].to_pylist() == [CAROL] * 1000


def test_frames_polars_reads_everything(results: solder.Results) -> None:
    frame = pl.DataFrame(results)
    assert dict(frame.schema) == {
        "status": pl.UInt8,
        "gas_used": pl.UInt64,
        "gas_refunded": pl.UInt64,
        "output": pl.Binary,
        "created": pl.Binary,
        "error": pl.String,
    }
    assert frame["output"].to_list() == [(7 + number).to_bytes(32, "big") for number in range(1, 1001)]
    for name in NUMBERS:
        array = frame[name].to_numpy(allow_copy=False)
        assert array.__array_interface__["data"][0] == address(results.table.column(name))
    assert pl.Series(results.gas_used).to_list() == results.gas_used.to_list()
    logs = pl.DataFrame(results.logs)
    assert logs["topic0"].to_list() == [ALICE.rjust(32, b"\0")] * 1000
    assert logs["topic1"].null_count() == 1000
    joined = frame.with_row_index("call").with_columns(pl.col("call").cast(pl.UInt64)).join(logs, on="call")
    assert joined.select((pl.col("output") == pl.col("data")).all()).item()


def test_frames_pandas_reads_everything(results: solder.Results) -> None:
    frame = pa.table(results).to_pandas(types_mapper=pd.ArrowDtype)
    assert str(frame["gas_used"].dtype) == "uint64[pyarrow]"
    assert frame["gas_used"].sum() == int(np.asarray(results.gas_used).sum())
    assert frame["gas_used"].array._pa_array.chunk(0).buffers()[1].address == address(results.gas_used)
    assert pd.DataFrame.from_arrow(results)["output"].to_list() == results.output.to_list()
    diffs = pa.table(results.diffs).to_pandas()
    slots = diffs[diffs["field"] == "slot"]
    assert [int.from_bytes(after, "big") for after in slots["after"]] == results.integers()


def test_frames_outlive_the_results(results: solder.Results) -> None:
    expected, gas = results.output.to_list(), results.gas_used.to_list()
    table, frame, array = pa.table(results), pl.DataFrame(results), np.asarray(results.gas_used)
    state = solder.State({CAROL: {"code": ADDER}})
    del results
    gc.collect()
    for _ in range(5):
        state.simulate(solder.Calls(CAROL, bytes(32), fields={0: range(2000)}))
    assert table["output"].to_pylist() == frame["output"].to_list() == expected
    assert array.tolist() == table["gas_used"].to_pylist() == gas


def test_frames_empty_results_have_the_same_columns(results: solder.Results) -> None:
    none = solder.State().simulate([], logs=True, diffs=True)
    for one, other in ((none, results), (none.logs, results.logs), (none.diffs, results.diffs)):
        table, full = pa.table(one), pa.table(other)
        assert table.num_rows == 0
        assert table.schema.names == full.schema.names
        assert table.schema.types == full.schema.types
        assert pl.DataFrame(one).schema == pl.DataFrame(other).schema


def test_frames_of_several_batches_are_put_together(results: solder.Results) -> None:
    """The schema is the same whatever is in it: no log, a creation, a rejection."""
    state = solder.State({CAROL: {"code": bytes.fromhex("60006000a0")}})
    calls: list[dict[str, Any]] = [{"to": None, "data": b"\0"}, {"to": CAROL}, {"to": BOB, "value": 1}]
    others = [state.simulate([call], logs=True, diffs=True) for call in calls]
    assert pa.concat_tables(pa.table(one) for one in (results, *others)).num_rows == 1003
    assert pa.concat_tables(pa.table(one.logs) for one in (results, *others)).num_rows == 1001
    assert pa.concat_tables(pa.table(one.diffs) for one in (results, *others)).schema == pa.table(results.diffs).schema
    assert pl.concat([pl.DataFrame(one) for one in (results, *others)])["created"].null_count() == 1002


def test_frames_columns_go_back_into_calls(results: solder.Results) -> None:
    """What one batch gave is a column of the next: the outputs as words, without Python objects for each."""
    table = pa.table(results)
    words = np.frombuffer(table["output"].chunk(0).buffers()[2], dtype=np.uint8).reshape(-1, 32)
    state = solder.State({CAROL: {"code": ADDER, "storage": {0: 1}}})
    again = state.simulate(solder.Calls(CAROL, bytes(32), fields={0: words}))
    assert again.integers() == [(number or 0) + 1 for number in results.integers()]
