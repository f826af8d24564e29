"""docs/pytest.md: its test files pass or fail as it says, and a failure shows what it shows."""

import re
import shutil
from pathlib import Path

import pytest

# Loaded before the inner runs: they forget what they load first, and classes would come twice.
import solder.pytest_plugin.failures
import solder.pytest_plugin.gas
import solder.pytest_plugin.sources  # noqa: F401

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parent.parent.parent
TEXT = (ROOT / "docs" / "pytest.md").read_text()
FILES = dict(re.findall(r"^```python (\S+)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
FAILURE, SNAPSHOT = re.findall(r"^```text\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture
def project(pytester: pytest.Pytester, sample_blocks: Path) -> pytest.Pytester:
    shutil.copy(ROOT / "examples" / "contracts" / "counter.json", pytester.path)
    (pytester.path / "block").symlink_to(sample_blocks / "19933122")
    for name in ("codes.bin", "block_hashes.bincode"):
        (pytester.path / name).symlink_to(sample_blocks / name)
    for name, content in FILES.items():
        # The last fixture of the page is only shown.
        (pytester.path / name).write_text(content.split("\n\n\n@pytest.fixture(scope")[0])
    return pytester


def run(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return project.runpytest_inprocess("-q", "-p", "no:cacheprovider", *arguments)


def test_page_tests_pass(project: pytest.Pytester) -> None:
    assert set(FILES) == {"test_counter.py", "test_unlucky.py", "test_state.py"}
    run(project, "--update-gas-snapshots", "test_counter.py", "test_state.py").assert_outcomes(passed=5)
    run(project, "test_counter.py").assert_outcomes(passed=3)


def test_page_failure_is_shown_so(project: pytest.Pytester) -> None:
    result = run(project, "test_unlucky.py")
    result.assert_outcomes(failed=1)
    assert FAILURE in "\n".join(result.stdout.lines) + "\n"


def test_page_changed_gas_is_shown_so(project: pytest.Pytester) -> None:
    run(project, "--update-gas-snapshots", "test_counter.py").assert_outcomes(passed=3)
    path = project.path / "test_counter.py"
    path.write_text(
        path.read_text().replace("transact(3)", "transact(259)").replace("(8, 8)", "(264, 264)").replace("[3]", "[259]")
    )
    result = run(project, "test_counter.py")
    result.assert_outcomes(failed=1, passed=2)
    assert SNAPSHOT in "\n".join(result.stdout.lines) + "\n"
