import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

KEYS = {
    "block": int,
    "fork": str,
    "transactions": int,
    "gas_used": int,
    "gas_used_ok": bool,
    "receipts_root_ok": bool | None,
    "logs_bloom_ok": bool,
    "state_digest": str,
    "serial_seconds": float,
    "serial_cpu_seconds": float,
    "error": str | None,
}
PARALLEL_KEYS = {
    "workers": int,
    "workers_used": int,
    "clamp_reason": str | None,
    "parallel_equals_serial": bool,
    "parallel_seconds": float,
    "parallel_cpu_seconds": float,
    "executions": int,
    "conflicts": int,
    "serial_fallbacks": int,
}


def test_replay_json_is_an_object_per_block(
    sample_blocks: Path, sample_names: list[str], solder_command: Callable[..., Any]
) -> None:
    ran = solder_command("replay", sample_blocks, "--json")
    assert (ran.status, ran.err) == (0, "")
    assert [report["block"] for report in ran.objects] == [int(name) for name in sample_names]
    for report in ran.objects:
        assert report.keys() == KEYS.keys()
        assert all(isinstance(report[key], kind) for key, kind in KEYS.items())
        assert report["gas_used_ok"]
        assert report["logs_bloom_ok"]
        assert report["receipts_root_ok"] is not False
        assert 0 < report["serial_seconds"] < 60
        assert len(report["state_digest"]) == 66


def test_replay_table_shows_every_check(
    sample_blocks: Path, sample_names: list[str], solder_command: Callable[..., Any]
) -> None:
    ran = solder_command("replay", sample_blocks)
    assert ran.status == 0
    assert all(name in ran.out for name in sample_names)
    assert f"{len(sample_names)} blocks" in ran.out
    assert "every check passed" in ran.out


def test_replay_folder_archive_and_single_block_agree(
    sample_blocks: Path, sample_names: list[str], tmp_path: Path, solder_command: Callable[..., Any]
) -> None:
    archive = tmp_path / "blocks.tar.xz"
    with tarfile.open(archive, "w:xz") as tar:
        tar.add(sample_blocks, "somewhere/deep")

    def digests(*paths: Path) -> list[object]:
        ran = solder_command("replay", *paths, "--json")
        assert ran.status == 0, ran.err
        return [report["state_digest"] for report in ran.objects]

    every = digests(sample_blocks)
    assert digests(archive) == every
    assert digests(*(sample_blocks / name for name in sample_names)) == every


@pytest.mark.parametrize(
    ("field", "check"),
    [("gasUsed", "gas_used_ok"), ("receiptsRoot", "receipts_root_ok"), ("logsBloom", "logs_bloom_ok")],
)
def test_replay_changed_header_field_is_that_mismatch(
    field: str,
    check: str,
    sample_blocks: Path,
    sample_names: list[str],
    tmp_path: Path,
    solder_command: Callable[..., Any],
) -> None:
    shutil.copytree(sample_blocks, tmp_path / "blocks")
    path = tmp_path / "blocks" / sample_names[-1] / "block.json"
    block = json.loads(path.read_text())
    header = block.get("result", block)
    header[field] = header[field][:-1] + ("1" if header[field][-1] == "0" else "0")
    path.write_text(json.dumps(block))
    ran = solder_command("replay", path.parent, "--json")
    assert ran.status == 1
    assert ran.objects[0][check] is False


@pytest.mark.parametrize("how", [(), ("--forced",), ("--mislead",), ("--forced", "--seed", 3)])
def test_replay_parallel_json_adds_its_keys(
    how: tuple[object, ...], sample_blocks: Path, solder_command: Callable[..., Any]
) -> None:
    ran = solder_command("replay", sample_blocks, "--json", "--repeat", 2, "--workers", 2, *how)
    assert (ran.status, ran.err) == (0, "")
    for report in ran.objects:
        assert report.keys() == KEYS.keys() | PARALLEL_KEYS.keys()
        assert all(isinstance(report[key], kind) for key, kind in PARALLEL_KEYS.items())
        assert report["parallel_equals_serial"]
        assert report["workers"] == 2
        assert 0 < report["parallel_seconds"] < 60
        assert report["executions"] >= report["transactions"] * (2 if "--mislead" in how else 1)
        fallback = report["workers_used"] == 1 and report["serial_seconds"] >= 50e-6
        assert report["serial_fallbacks"] == int(fallback)
        assert (report["workers_used"] == 1) == (report["clamp_reason"] is not None)
        if how:
            assert (report["workers_used"], report["clamp_reason"]) == (2, None)


def test_replay_parallel_table_and_schedule(
    sample_blocks: Path, sample_names: list[str], tmp_path: Path, solder_command: Callable[..., Any]
) -> None:
    file = tmp_path / "schedule.json"
    ran = solder_command("replay", sample_blocks, "--workers", 2, "--forced", "--schedule", file)
    assert ran.status == 0, ran.err
    assert all(name in ran.out for name in sample_names)
    assert "speed-up" in ran.out
    assert "re-executions" in ran.out
    assert "every check passed" in ran.out
    assert f"The schedule of {len(sample_names)} blocks is in {file}" in ran.out
    assert "ui.perfetto.dev" in ran.out
    assert json.loads(file.read_text())["traceEvents"]


def test_replay_schedule_alone_is_parallel_and_json_stays_clean(
    sample_blocks: Path, sample_names: list[str], tmp_path: Path, solder_command: Callable[..., Any]
) -> None:
    file = tmp_path / "schedule.json"
    ran = solder_command("replay", sample_blocks / sample_names[2], "--json", "--forced", "--schedule", file)
    assert ran.status == 0
    assert len(ran.objects) == 1
    assert str(file) in ran.err
    assert file.exists()


def test_replay_schedule_in_no_folder_ends_with_two(
    sample_blocks: Path, tmp_path: Path, solder_command: Callable[..., Any]
) -> None:
    ran = solder_command("replay", sample_blocks, "--schedule", tmp_path / "absent" / "schedule.json")
    assert (ran.status, ran.out) == (2, "")
    assert str(tmp_path / "absent") in ran.err
