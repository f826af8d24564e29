"""What the documents show works: Python snippets run, commands and make targets exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from solder.cli.group import solder as command_group

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(path for path in ROOT.glob("*.md"))


def _blocks(language: str) -> list[tuple[str, str]]:
    pattern = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [(path.name, block) for path in DOCUMENTS for block in pattern.findall(path.read_text())]


def test_documents_have_a_python_snippet() -> None:
    assert [name for name, _ in _blocks("python")].count("README.md") >= 1


@pytest.mark.parametrize(("document", "program"), _blocks("python"))
def test_documents_python_runs(document: str, program: str) -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True)  # noqa: PLW1510
    assert done.returncode == 0, (document, done.stderr)
    for line, comment in zip(
        done.stdout.splitlines(), re.findall(r"^print\(.*?\)(?: +# (.*))?$", program, re.MULTILINE), strict=True
    ):
        assert comment in ("", line), (document, line, comment)


def test_documents_commands_exist() -> None:
    text = "\n".join(path.read_text() for path in DOCUMENTS)
    named = set(re.findall(r"\bsolder ([a-z0-9]+)\b(?= |`|$)", "\n".join(re.findall(r"`[^`\n]+`", text))))
    assert named <= set(command_group.commands), named - set(command_group.commands)


def test_documents_make_targets_exist() -> None:
    text = "\n".join(path.read_text() for path in DOCUMENTS)
    named = set(re.findall(r"`make ([a-z-]+)`", text)) | set(re.findall(r"^\$ make ([a-z-]+)", text, re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named <= targets, named - targets
