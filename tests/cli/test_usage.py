import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COMMANDS = ("call", "model", "simulate", "replay", "schedule", "statetest", "blocktest", "vectortest", "t8n")


@pytest.mark.parametrize("command", COMMANDS)
def test_usage_help_has_examples(command: str, solder_command: Callable[..., Any]) -> None:
    ran = solder_command(command, "--help")
    assert ran.status == 0
    assert "Examples:" in ran.out
    assert f"solder {command}" in ran.out


def test_usage_help_lists_the_commands(solder_process: Callable[..., Any]) -> None:
    ran = solder_process("--help")
    assert ran.status == 0
    assert all(re.search(rf"^  {name} ", ran.out, re.MULTILINE) for name in (*COMMANDS, "versions"))


def test_usage_versions(solder_command: Callable[..., Any]) -> None:
    ran = solder_command("versions")
    assert (ran.status, ran.err) == (0, "")
    assert re.search(r"^revm +43\.", ran.out, re.MULTILINE)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("no-such-command",),
        ("replay",),
        ("replay", "--no-such-option", "x"),
        ("replay", "--repeat", "0", "x"),
        ("replay", "--repeat", "many", "x"),
        ("replay", "--workers", "-1", "x"),
        ("replay", "--workers", "129", "x"),
        ("replay", "--seed", "-1", "x"),
        ("replay", "--seed", str(2**64), "x"),
        ("replay", "--schedule", "x"),
        ("statetest",),
        ("statetest", "--workers", "129", "x"),
        ("statetest", "--threads", "0", "x"),
        ("blocktest", "--seed", "many", "x"),
        ("blocktest", "--cases", "no-such-list", "x"),
        ("vectortest", "x"),
        ("vectortest", "--kind", "colour", "x"),
        ("t8n", "--no.such.flag"),
        ("t8n", "--state.chainid", "moon"),
        ("t8n", "--input.alloc"),
        ("t8n", "--trace=perhaps"),
        ("t8n", "stray"),
    ],
)
def test_usage_bad_arguments_end_with_two(arguments: tuple[str, ...], solder_command: Callable[..., Any]) -> None:
    ran = solder_command(*arguments)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err


@pytest.mark.parametrize("command", ["replay", "statetest", "blocktest"])
def test_usage_absent_path_ends_with_two(command: str, tmp_path: Path, solder_command: Callable[..., Any]) -> None:
    ran = solder_command(command, tmp_path / "absent")
    assert (ran.status, ran.out) == (2, "")
    assert str(tmp_path / "absent") in ran.err


@pytest.mark.parametrize("command", ["replay", "statetest", "blocktest"])
def test_usage_empty_folder_ends_with_two(command: str, tmp_path: Path, solder_command: Callable[..., Any]) -> None:
    ran = solder_command(command, tmp_path)
    assert (ran.status, ran.out) == (2, "")


@pytest.mark.parametrize("command", ["statetest", "blocktest"])
def test_usage_unknown_fork_ends_with_two(command: str, tmp_path: Path, solder_command: Callable[..., Any]) -> None:
    ran = solder_command(command, tmp_path, "--fork", "Moon")
    assert (ran.status, ran.out) == (2, "")
    assert "Moon" in ran.err


def test_usage_reader_that_leaves_is_no_traceback(sample_blocks: Path) -> None:
    command = f"{sys.executable} -m solder replay {sample_blocks} --json | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)  # noqa: S607
    assert done.stderr == ""


def test_usage_interrupt_is_no_traceback(sample_blocks: Path) -> None:
    command = [sys.executable, "-m", "solder", "replay", str(sample_blocks), "--repeat", "1000000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        time.sleep(1.0)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130
        assert time.monotonic() - start < 1.0
        assert process.stderr is not None
        assert process.stderr.read() == "solder: interrupted\n"
