"""The pages for people who come from elsewhere: every block runs, one program a page, and prints what it says.

In two of them the blocks of the other package are a second program, which must print the same. It needs that package:
``make bench-simulate`` installs pyrevm; titanoboa is nowhere required.
"""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GUIDES = ("from-pyrevm.md", "from-titanoboa.md", "async.md")
BLOCK = re.compile(r"^```(python[^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def program(page: str, language: str) -> str:
    """All blocks of a page in one language."""
    text = (ROOT / "docs" / page).read_text()
    return "\n".join(block for name, block in BLOCK.findall(text) if name == language)


def printed(source: str) -> list[str]:
    done = subprocess.run([sys.executable, "-W", "error", "-c", source], cwd=ROOT, capture_output=True, text=True)  # noqa: PLW1510
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def promised(source: str) -> list[str]:
    return re.findall(r"^ *print\(.*\)  # (.*)$", source, re.MULTILINE)


@pytest.mark.parametrize("page", GUIDES)
def test_guides_print_what_they_say(page: str) -> None:
    source = program(page, "python")
    assert promised(source)
    assert printed(source) == promised(source)


@pytest.mark.parametrize(("package", "module"), [("pyrevm", "pyrevm"), ("titanoboa", "boa")])
def test_guides_other_package_prints_the_same(package: str, module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"no {package}")
    theirs, ours = program(f"from-{package}.md", f"python {package}"), program(f"from-{package}.md", "python")
    assert printed(theirs) == promised(theirs) == promised(ours)
    assert len(promised(ours)) >= 9


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_guides_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "docs" / page).read_text())
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []


def test_guides_the_index_has_every_page() -> None:
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    text = (ROOT / "docs" / "README.md").read_text()
    assert {page for page in pages if f"]({page})" not in text} == set()
