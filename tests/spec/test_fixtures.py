"""Official fixtures on the command line, whole and damaged. The suites themselves run by `make conformance`."""

import json
import lzma
import random
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import solder

STATE = "fixtures/state/eest_v5.4.0_state_tests.tar.xz"
BLOCKS = "fixtures/blockchain/eest_v5.4.0_blockchain_pytests.tar.xz"
MAX_FIXTURE_BYTES = 60_000
MUTATIONS = 200


def _small_fixture(archive: Path, folder: Path) -> Path:
    """Unpack the first fixture of a handy size."""
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and member.name.endswith(".json") and 4_000 < member.size < MAX_FIXTURE_BYTES:
                file = tar.extractfile(member)
                assert file is not None
                path = folder / "fixture.json"
                path.write_bytes(file.read())
                return path
    raise AssertionError(f"{archive}: no small fixture")


@pytest.fixture(scope="session")
def state_fixture(data_file: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _small_fixture(data_file(STATE), tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def block_fixture(data_file: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _small_fixture(data_file(BLOCKS), tmp_path_factory.mktemp("blocks"))


def test_fixtures_json_is_an_object_per_case(state_fixture: Path, solder_command: Callable[..., Any]) -> None:
    ran = solder_command("statetest", state_fixture, "--json")
    assert ran.status == 0, ran.err
    *cases, counts = ran.objects
    assert counts == {"passed": len(cases), "failed": 0, "skipped": 0}
    assert len({(case["name"], case["fork"]) for case in cases}) == len(cases) > 0
    assert all(case.keys() == {"name", "fork", "pass", "error"} for case in cases)
    assert len({case["name"] for case in cases}) == len(cases)


def test_fixtures_fork_and_filter_choose(state_fixture: Path, solder_command: Callable[..., Any]) -> None:
    every = solder_command("statetest", state_fixture, "--json").objects[:-1]
    fork = every[0]["fork"]
    chosen = solder_command("statetest", state_fixture, "--json", "--fork", fork).objects[:-1]
    assert {case["name"] for case in chosen} == {case["name"] for case in every if case["fork"] == fork}
    one = solder_command("statetest", state_fixture, "--json", "--filter", every[0]["name"]).objects[:-1]
    assert every[0]["name"] in {case["name"] for case in one}
    nothing = solder_command("statetest", state_fixture, "--filter", "no such case")
    assert nothing.status == 2


def test_fixtures_text_names_the_slowest(
    state_fixture: Path, block_fixture: Path, solder_command: Callable[..., Any]
) -> None:
    ran = solder_command("statetest", state_fixture)
    assert "passed, 0 failed" in ran.out
    assert "slowest cases:" in ran.out
    ran = solder_command("blocktest", block_fixture)
    assert (ran.status, "passed, 0 failed" in ran.out) == (0, True), ran.out


def test_fixtures_python_api(state_fixture: Path) -> None:
    suite = solder.run_statetests([state_fixture], config=solder.Config(workers=1))
    tally = solder.Tally()
    for case in suite:
        assert isinstance(case, solder.CaseResult)
        tally.add(case)
    assert (tally.failed, tally.total) == (0, suite.cases_done)
    assert suite.files_done == suite.files_total == 1
    with pytest.raises(TypeError):
        solder.run_statetests(str(state_fixture))


@pytest.mark.parametrize("kind", ["statetest", "blocktest"])
@pytest.mark.parametrize("how", [("--workers", 1), ("--workers", 2), ("--workers", 8), ("--seed", 5, "--seed", 6)])
def test_fixtures_forced_runs_each_transaction_twice(
    kind: str,
    how: tuple[object, ...],
    state_fixture: Path,
    block_fixture: Path,
    solder_command: Callable[..., Any],
) -> None:
    path = state_fixture if kind == "statetest" else block_fixture
    *cases, counts = solder_command(kind, path, "--json").objects
    ran = solder_command(kind, path, "--json", "--forced", *how)
    assert ran.status == 0, ran.err
    *forced, more = ran.objects
    assert sorted(forced, key=str) == sorted(cases, key=str)
    assert {key: more[key] for key in counts} == counts
    assert more.keys() == counts.keys() | {"executions", "transactions"}
    assert more["executions"] >= 2 * more["transactions"] > 0


def test_fixtures_workers_are_told_in_text(state_fixture: Path, solder_command: Callable[..., Any]) -> None:
    ran = solder_command("statetest", state_fixture, "--workers", 2)
    assert ran.status == 0
    assert "executions of" in ran.out


def test_fixtures_list_of_cases_chooses(
    block_fixture: Path, tmp_path: Path, solder_command: Callable[..., Any]
) -> None:
    names = list(json.loads(block_fixture.read_text()))
    plain, lines, packed = tmp_path / "plain.txt", tmp_path / "lines.jsonl", tmp_path / "lines.jsonl.xz"
    plain.write_text(f"{names[0]}\nno such case\n")
    lines.write_text(json.dumps({"test": names[0], "net": "Osaka"}) + "\n")
    packed.write_bytes(lzma.compress(lines.read_bytes()))
    for path in (plain, lines, packed):
        ran = solder_command("blocktest", block_fixture, "--json", "--cases", path)
        assert [case["name"] for case in ran.objects[:-1]] == names[:1]
    for number, text in enumerate(('{"name": 1}', '{"test": 1}', '{"test"', "")):
        bad = tmp_path / f"bad{number}"
        bad.write_text(text)
        ran = solder_command("blocktest", block_fixture, "--cases", bad)
        assert (ran.status, ran.out) == (2, "")
        assert str(bad) in ran.err
    packed.write_bytes(packed.read_bytes()[:-9])
    assert solder_command("blocktest", block_fixture, "--cases", packed).status == 2


def test_fixtures_interrupt_stops_within_a_second(data_file: Callable[[str], Path]) -> None:
    archive = data_file(STATE)
    command = [sys.executable, "-m", "solder", "statetest", str(archive)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(1.5)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130
        assert time.monotonic() - start < 1.0
        assert process.stderr is not None
        assert process.stderr.read().endswith("solder: interrupted\n")


def _change(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("0x") and len(value) > 2:
        return value[:-1] + ("1" if value[-1] != "1" else "2")
    return "0x01"


def test_fixtures_changed_root_is_named_with_both_values(
    state_fixture: Path, tmp_path: Path, solder_command: Callable[..., Any]
) -> None:
    for field in ("hash", "logs"):
        document = json.loads(state_fixture.read_text())
        case = next(iter(document.values()))
        post = next(iter(case["post"].values()))[0]
        post[field] = _change(post[field])
        path = tmp_path / f"{field}.json"
        path.write_text(json.dumps(document))
        ran = solder_command("statetest", path, "--json", "--trace")
        assert ran.status == 1
        failed = [entry for entry in ran.objects[:-1] if entry["pass"] is False]
        assert len(failed) == 1
        assert post[field] in failed[0]["error"]
        steps = [json.loads(line) for line in ran.err.splitlines()]
        assert steps
        assert "pass" in steps[-1] or "gasUsed" in steps[-1] or "stateRoot" in steps[-1]


@pytest.mark.parametrize("kind", ["statetest", "blocktest"])
def test_fixtures_mutated_are_reported(
    kind: str, state_fixture: Path, block_fixture: Path, tmp_path: Path, solder_command: Callable[..., Any]
) -> None:
    source = state_fixture if kind == "statetest" else block_fixture
    assert solder_command(kind, source).status == 0
    draw, text = random.Random(kind), source.read_text()
    quiet = []
    for number in range(MUTATIONS):
        document = json.loads(text)
        case = document[draw.choice(list(document))]
        container, key = draw.choice([place for place in _places(case) if "_info" not in place[2]])[:2]
        how = draw.choice(("change", "drop", "mistype"))
        if how == "drop" and isinstance(container, dict):
            del container[key]
        elif how == "mistype":
            container[key] = draw.choice((7.5, [], {}, None, "0xzz", "0x" + "f" * 99))
        else:
            container[key] = _change(container[key])
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(document))
        ran = solder_command(kind, path, "--json")
        assert ran.status in (0, 1, 2), (key, how, ran.status, ran.err)
        assert "Traceback" not in ran.err
        if ran.status == 0:
            quiet.append(f"{key}: {how}")
    # Some values have no say in a case (a comment, a default restated); most do.
    assert len(quiet) < MUTATIONS // 3, quiet


def _places(value: Any, path: str = "") -> list[tuple[Any, Any, str]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = []
    for key, inner in pairs:
        here = f"{path}.{key}"
        found += [(value, key, here), *_places(inner, here)]
    return found
