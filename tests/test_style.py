"""The house's measures: length of files, no forbidden names, a SAFETY line for every unsafe."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("python", "crates", "tests", "tools", "benches")
MAX_LINES = 600
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "misc", "core", "types", "models", "managers", "v2"}
# Files that are longer, with the reason. This list only shrinks.
LONG_FILES: dict[str, str] = {"python/solder/_native.pyi": "one native module has one stub"}


def _sources() -> list[Path]:
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".pyi", ".rs"}]
    return sorted(path for path in found if "target" not in path.parts)


def test_style_files_are_short() -> None:
    long = {str(path.relative_to(ROOT)) for path in _sources() if len(path.read_text().splitlines()) > MAX_LINES}
    assert long == LONG_FILES.keys()


def test_style_names_say_something() -> None:
    bad = [str(path.relative_to(ROOT)) for path in _sources() if FORBIDDEN_NAMES & {path.stem, *path.parts[-3:-1]}]
    assert bad == []


def test_style_every_module_says_what_it_is_for() -> None:
    opening = {".py": ('"""', "import", "from"), ".pyi": ('"""',), ".rs": ("//!",)}
    bare = [
        str(path.relative_to(ROOT))
        for path in _sources()
        if not path.read_text().startswith(opening[path.suffix] if "tests" in path.parts else opening[path.suffix][:1])
    ]
    assert bare == []


def test_style_every_unsafe_has_its_reason() -> None:
    bare = []
    for path in _sources():
        if path.suffix != ".rs":
            continue
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            if re.search(r"\bunsafe\s*(\{|impl)", line) and "SAFETY:" not in "\n".join(
                lines[max(0, number - 4) : number]
            ):
                bare.append(f"{path.relative_to(ROOT)}:{number + 1}")
    assert bare == []


def test_style_no_path_of_one_machine() -> None:
    needles = ("/" + "work/", "/" + "root/", "/" + "tmp/")
    found = [
        f"{path.relative_to(ROOT)}: {needle}" for path in _sources() for needle in needles if needle in path.read_text()
    ]
    assert found == []
