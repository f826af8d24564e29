import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("settings", "status"),
    [({}, 0), ({"SOLDER_CI": "1"}, 1), ({"SOLDER_CI": "1", "SOLDER_NO_DATA": "1"}, 0)],
)
def test_suites_absent_data_fails_under_ci_only(settings: dict[str, str], status: int, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in {"SOLDER_CI", "SOLDER_NO_DATA"}}
    command = [sys.executable, str(ROOT / "tools" / "suites.py"), "conformance"]
    environment |= {"SOLDER_DATA": str(tmp_path / "absent"), **settings}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert done.stdout.count("SOLDER_DATA") == 1
    table = done.stdout.rstrip().splitlines()[-len(_suites()) :]
    assert all(line.split()[-5:-1] == ["0", "0", "0", "1"] for line in table)


def test_suites_forced_runs_every_executing_suite_with_each_number_of_workers(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "tools" / "suites.py"), "forced"]
    environment = os.environ | {"SOLDER_DATA": str(tmp_path / "absent"), "SOLDER_NO_DATA": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    names = [suite["name"] for suite in _suites() if suite["command"] in (["statetest"], ["blocktest"])]
    assert len(names) >= 9
    for name in names:
        assert [done.stdout.count(f"{name}, {workers} workers") for workers in (1, 2, 8)] == [1, 1, 1]
    assert "20 seeds" in done.stdout


_KEYS = ("name", "command", "path", "cases", "skipped", "failed", "why")


def _suites() -> list[dict[str, object]]:
    suites: list[dict[str, object]] = tomllib.loads((ROOT / "tests" / "suites.toml").read_text())["suite"]
    return suites


def test_suites_say_what_must_pass() -> None:
    table = tomllib.loads((ROOT / "tests" / "suites.toml").read_text())
    assert table.keys() == {"suite", "forced", "seeded"}
    assert table["forced"] == {"workers": [1, 2, 8]}
    for suite in table["seeded"]:
        assert suite.keys() - {*_KEYS} == {"list", "workers", "seeds"}
        assert suite["seeds"] >= 20
    for suite in [*_suites(), *table["seeded"]]:
        assert suite.keys() <= {*_KEYS, "list", "workers", "seeds"}
        assert isinstance(suite["cases"], int)
        assert suite["cases"] > 0
        assert ("failed" in suite) == ("why" in suite)


def test_suites_ci_calls_the_same_targets_as_people() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text()
    assert "set -euo pipefail" in text
    assert "make lint" in text
    assert "make test" in text
