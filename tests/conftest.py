"""What several tests share: the sample blocks, the data folder, and the command line in this process."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from solder.cli import main

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """A shell's background job ignores the interrupt, and so would every program that a test starts and interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did. ``objects`` are the JSON lines of its standard output."""

    status: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def solder_command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs ``solder ARGUMENTS...`` in this process."""

    def run(*arguments: object) -> Ran:
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(status, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def solder_process() -> Callable[..., Ran]:
    """Runs ``python -m solder ARGUMENTS...`` as its own process."""

    def run(*arguments: object, stdin: str | None = None, cwd: Path | None = None) -> Ran:
        command = [sys.executable, "-m", "solder", *map(str, arguments)]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, cwd=cwd, timeout=60)
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def sample_blocks() -> Path:
    """The folder of sample blocks that comes with the source."""
    return ROOT / "examples" / "blocks"


@pytest.fixture(scope="session")
def sample_names(sample_blocks: Path) -> list[str]:
    """The block folders in it, by number."""
    return sorted((path.name for path in sample_blocks.iterdir() if path.is_dir()), key=int)


@pytest.fixture(scope="session")
def data_file() -> Callable[[str], Path]:
    """A file under SOLDER_DATA. Where it is absent the test is skipped; in CI it fails, unless absence is meant."""
    folder = Path(os.environ.get("SOLDER_DATA", ROOT.parent / "shared" / "data"))

    def find(name: str) -> Path:
        path = folder / name
        if not path.exists():
            meant = os.environ.get("SOLDER_CI") != "1" or os.environ.get("SOLDER_NO_DATA") == "1"
            (pytest.skip if meant else pytest.fail)(f"no {path} (SOLDER_DATA)")
        return path

    return find
