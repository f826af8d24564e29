"""Every format, against what go-ethereum made of the same: the scenarios, and the sample blocks."""

import json
from pathlib import Path
from typing import Any

import pytest

import solder
from solder.trace import trace_block

from .record import LIGHT, RECORDED, TRACERS, digest, is_kept, ours, state_of
from .scenarios import SCENARIOS

RECORD: dict[str, Any] = json.loads(RECORDED.read_text())


def _shown(key: str, value: Any) -> Any:
    return value if is_kept(key, value) else digest(value)


def test_geth_record_is_of_these_scenarios() -> None:
    assert RECORD["scenarios"].keys() == SCENARIOS.keys()
    assert all({"raw", *TRACERS} == found.keys() for found in RECORD["scenarios"].values())


@pytest.mark.parametrize("key", TRACERS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_geth_scenario(name: str, key: str) -> None:
    scenario, recorded = SCENARIOS[name], RECORD["scenarios"][name]
    tx = solder.Transaction.decode(bytes.fromhex(recorded["raw"][2:]))
    found = ours(state_of(scenario).trace(tx), key)
    assert _shown(key, found) == recorded[key]


def test_geth_order_of_fields() -> None:
    """Not only the values: geth's JSON is read by people too."""
    recorded = RECORD["scenarios"]["calls_and_logs"]
    tx = solder.Transaction.decode(bytes.fromhex(recorded["raw"][2:]))
    trace = state_of(SCENARIOS["calls_and_logs"]).trace(tx)
    for key in LIGHT:
        name, settings = TRACERS[key]
        assert trace.json(name, settings) == json.dumps(recorded[key], separators=(",", ":"))


@pytest.mark.parametrize("name", RECORD["blocks"])
def test_geth_block(name: str, sample_blocks: Path) -> None:
    recorded = RECORD["blocks"][name]
    block, state = solder.load_block(sample_blocks / name)
    assert len(recorded) == len(block.transactions)
    for index, (trace, row) in enumerate(zip(trace_block(block, state), recorded, strict=True)):
        assert {key: digest(ours(trace, key)) for key in LIGHT} == row, index
