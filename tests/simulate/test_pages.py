"""What docs/state.md and docs/simulate.md show runs, and prints what they say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SNIPPETS = [
    (name, program)
    for name in ("state.md", "simulate.md")
    for program in re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / name).read_text(), re.MULTILINE | re.DOTALL)
]


@pytest.mark.parametrize(("document", "program"), SNIPPETS)
def test_pages_snippet_prints_what_it_says(document: str, program: str) -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (document, done.stderr)
    said = re.findall(r"^ *print\(.*\)  # (.*)$", program, re.MULTILINE)
    assert said == done.stdout.splitlines()


def test_pages_have_snippets() -> None:
    assert {name for name, _ in SNIPPETS} == {"state.md", "simulate.md"}
