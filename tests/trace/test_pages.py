"""What docs/traces.md shows runs, and prints what it says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "traces.md").read_text()
SNIPPETS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("program", SNIPPETS)
def test_pages_snippet_prints_what_it_says(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = re.findall(r"^ *print\(.*\)  # (.*)$", program, re.MULTILINE)
    assert said == done.stdout.splitlines()


def test_pages_tree_is_what_the_command_prints() -> None:
    (shown,) = re.findall(r"^```\n\$ solder (trace .*)\n(transaction .*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-m", "solder", *shown[0].split()], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for ours, printed in zip(shown[1].splitlines(), done.stdout.splitlines(), strict=True):
        assert printed.startswith(ours.removesuffix("...").rstrip())
    assert len(SNIPPETS) == 3
