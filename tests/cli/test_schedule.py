import json
import random
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import solder

KEYS = [
    "workers", "utilisation", "critical_path_seconds", "limit", "predicted_speedup", "measured_speedup", "sharing",
    "hottest",
]  # fmt: skip
WORKERS = ["2", "4", "8", "16", "32"]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def saved(sample_blocks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample blocks' schedules with two workers, as `solder replay` saves them."""
    from solder.cli import main

    path = tmp_path_factory.mktemp("schedule") / "schedule.json"
    replay = ["replay", str(sample_blocks), "--workers", "2", "--forced", "--schedule", str(path), "--json"]
    assert main(replay) == 0
    return path


@pytest.fixture(scope="module")
def scheduled_block(sample_blocks: Path) -> Any:
    block, state = solder.load_block(str(sample_blocks / "4370000"))
    return solder.execute_block(block, state, workers=2, forced=True, schedule=True)


def test_schedule_json_has_its_keys(saved: Path, solder_command: Callable[..., Any]) -> None:
    ran = solder_command("schedule", saved, "--json")
    assert (ran.status, ran.err) == (0, "")
    (summary,) = ran.objects
    assert list(summary) == KEYS
    assert list(summary["limit"]) == list(summary["predicted_speedup"]) == WORKERS
    assert summary["workers"] == 2
    assert 0 < summary["utilisation"] <= 1
    assert 0 < summary["critical_path_seconds"] < 60
    assert summary["measured_speedup"] > 0
    assert list(summary["sharing"]) == ["executions", "commits"]
    assert all(ratio > 0 for ratio in summary["sharing"].values())
    limits = list(summary["limit"].values())
    assert limits == sorted(limits)
    assert len(summary["hottest"]) == 10
    for hot in summary["hottest"]:
        assert hot["field"] in {"balance", "nonce", "code", "existence", "slot"}
        assert (hot["slot"] is None) == (hot["field"] != "slot")
        assert len(hot["address"]) == 42


def test_schedule_text_says_the_same(saved: Path, solder_command: Callable[..., Any]) -> None:
    (summary,) = solder_command("schedule", saved, "--json").objects
    ran = solder_command("schedule", saved)
    assert (ran.status, ran.err) == (0, "")
    lines = {line.split()[0]: line for line in ran.out.splitlines() if line}
    assert lines["blocks"].split()[1] == "6"
    assert f"{summary['utilisation']:.1%}" in lines["utilisation"]
    assert f"{summary['measured_speedup']:.2f}x" in lines["measured"]
    sharing = next(line for line in ran.out.splitlines() if line.startswith("sharing "))
    assert f"executions {summary['sharing']['executions']:.2f}x" in sharing
    assert f"commits {summary['sharing']['commits']:.2f}x" in sharing
    assert [cell for cell in ran.out.splitlines() if cell.startswith("workers ")][1].split()[1:] == WORKERS
    assert f"{summary['predicted_speedup']['8']:.2f}x" in ran.out
    assert summary["hottest"][0]["address"] in ran.out


def test_schedule_filters_choose_blocks(saved: Path, solder_command: Callable[..., Any]) -> None:
    blocks = solder.Schedule.load(str(saved)).blocks
    large = [block for block in blocks if block["gas_used"] >= 4_000_000 and block["transactions"] >= 8]
    assert 0 < len(large) < len(blocks)
    ran = solder_command("schedule", saved, "--min-gas", 4_000_000, "--min-transactions", 8)
    assert ran.status == 0
    assert ran.out.split()[1] == str(len(large))
    for option in ("--min-gas", "--min-transactions"):
        ran = solder_command("schedule", saved, option, 10**30)
        assert (ran.status, ran.out) == (2, "")
        assert "no block passes" in ran.err


def test_schedule_file_is_a_trace(saved: Path, sample_names: list[str]) -> None:
    events = json.loads(saved.read_text())["traceEvents"]
    names = [event["args"]["name"] for event in events if event["name"] == "process_name"]
    assert [name.split()[1].rstrip(",") for name in names] == sample_names
    slices = [event for event in events if event["ph"] == "X"]
    assert {"execute", "commit", "collect"} <= {event["cat"] for event in slices}
    assert all(event["dur"] >= 0 and event["ts"] >= 0 for event in slices)
    assert {event["name"] for event in events if event["ph"] == "C"} >= {"executing workers", "committed transactions"}


def test_schedule_picture_is_well_formed(
    saved: Path, tmp_path: Path, sample_names: list[str], solder_command: Callable[..., Any]
) -> None:
    printed = solder_command("schedule", saved, "--svg")
    assert (printed.status, printed.err) == (0, "")
    assert ET.fromstring(printed.out).tag == f"{SVG}svg"  # noqa: S314 - our own output
    path = tmp_path / "one.svg"
    ran = solder_command("schedule", saved, "--block", sample_names[2], "--svg", path)
    assert (ran.status, ran.out) == (0, "")
    root = ET.parse(path).getroot()  # noqa: S314
    assert root.findtext(f"{SVG}title", "").startswith(f"Block {sample_names[2]} on 2 workers")
    assert [node for node in root.iter() if node.tag == f"{SVG}script"] == []
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--svg", "--json"), "exclude"),
        (("--block", "1"), "--svg"),
        (("--block", "1", "--svg"), "no block 1"),
        (("--block", str(10**30), "--svg"), "no block"),
        (("--svg", "absent/one.svg"), "absent"),
        (("--min-gas", "-1"), "min-gas"),
    ],
)
def test_schedule_bad_use_ends_with_two(
    arguments: tuple[str, ...], told: str, saved: Path, solder_command: Callable[..., Any]
) -> None:
    ran = solder_command("schedule", saved, *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert told in ran.err


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"traceEvents": []}', '{"solder": {"version": 99}}', "\x00"])
def test_schedule_foreign_file_is_told(text: str, tmp_path: Path, solder_command: Callable[..., Any]) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    ran = solder_command("schedule", path)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith(f"solder: {path}: ")


def test_schedule_absent_file_ends_with_two(tmp_path: Path, solder_command: Callable[..., Any]) -> None:
    ran = solder_command("schedule", tmp_path / "absent.json")
    assert (ran.status, ran.out) == (2, "")
    assert str(tmp_path / "absent.json") in ran.err


@pytest.mark.parametrize("seed", range(20))
def test_schedule_damaged_file_is_no_traceback(
    seed: int, saved: Path, tmp_path: Path, solder_command: Callable[..., Any]
) -> None:
    draw = random.Random(seed)
    raw = bytearray(saved.read_bytes())
    start = raw.index(b'"solder"')
    for _ in range(draw.randrange(1, 4)):
        raw[draw.randrange(start, len(raw))] = draw.randrange(256)
    path = tmp_path / "damaged.json"
    path.write_bytes(raw[: draw.choice((len(raw), draw.randrange(start, len(raw))))])
    ran = solder_command("schedule", path, "--json")
    assert ran.status in (0, 2)
    assert ran.err.startswith(f"solder: {path}: ") if ran.status else ran.objects


def test_schedule_counts_as_the_engine_does(sample_blocks: Path) -> None:
    block, state = solder.load_block(str(sample_blocks / "4370000"))
    runs = (solder.execute_block(block, state, workers=3, seed=seed, schedule=True) for seed in range(32))
    # Attempts that stopped to wait are what is not counted.
    ran = next(run for run in runs if run.counters is not None and run.counters["parked"] > 0)
    assert ran.counters is not None
    assert ran.schedule is not None
    (told,) = ran.schedule.blocks
    assert told["executions"] == ran.counters["executions"]
    assert told["conflicts"] == ran.counters["conflicts"]


def test_schedule_of_one_block(scheduled_block: Any, tmp_path: Path) -> None:
    schedule = scheduled_block.schedule
    assert len(schedule) >= 2 * len(scheduled_block.receipts)
    assert repr(schedule) == f"<Schedule of block 4370000, 2 workers, {len(schedule)} spans>"
    (told,) = schedule.blocks
    assert told["transactions"] == len(scheduled_block.receipts)
    assert told["gas_used"] == scheduled_block.gas_used
    assert told["executions"] == scheduled_block.counters["executions"]
    assert told["conflicts"] == scheduled_block.counters["conflicts"]
    schedule.save(tmp_path / "one.json")
    again = solder.Schedule.load(str(tmp_path / "one.json"))
    assert again.summary() == schedule.summary()
    assert again.blocks == schedule.blocks
    assert list(schedule.summary()) == KEYS
    assert ET.fromstring(schedule._repr_svg_()).tag == f"{SVG}svg"  # noqa: S314


def test_schedule_of_one_run_does_not_know_what_sharing_costs(
    scheduled_block: Any, tmp_path: Path, solder_command: Callable[..., Any]
) -> None:
    assert scheduled_block.schedule.summary()["sharing"] == {"executions": None, "commits": None}
    scheduled_block.schedule.save(tmp_path / "one.json")
    ran = solder_command("schedule", tmp_path / "one.json")
    assert ran.status == 0
    assert "needs a record of several workers and one of one" in ran.out


def test_schedule_of_one_block_measures_no_serial_time(scheduled_block: Any) -> None:
    assert scheduled_block.schedule.summary()["measured_speedup"] is None
    assert scheduled_block.schedule.summary()["predicted_speedup"]["8"] > 0


def test_schedule_save_fails_whole(scheduled_block: Any, tmp_path: Path) -> None:
    with pytest.raises(solder.InputError, match="absent"):
        scheduled_block.schedule.save(tmp_path / "absent" / "one.json")
    assert list(tmp_path.iterdir()) == []


def test_schedule_unknown_block_is_told(scheduled_block: Any) -> None:
    with pytest.raises(solder.InputError, match="no block 7"):
        scheduled_block.schedule.svg(7)
