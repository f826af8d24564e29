"""Layers point down, in Python and in Rust."""

import ast
import re
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python" / "solder"

# A module may import from layers below its own, and from its own folder.
LAYER = {
    "_native": 0,
    "errors": 1,
    "config": 1,
    "simulate": 2,
    "trace": 2,
    "state": 3,
    "chain": 4,
    "contract": 4,
    "engine": 5,
    "spec": 6,
    "coprocessors": 7,
    "profile": 7,
    "cli": 8,
    "__main__": 9,
    "pytest_plugin": 9,
}
# The engine's folders, in the order in which they may be used.
ENGINE_LAYER = {"error": 0, "chain": 1, "state": 2, "trie": 3, "trace": 3, "evm": 4, "parallel": 5, "block": 6}


def _modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(parts).removesuffix(".__init__"), path


def _imports(path: Path) -> set[str]:
    """Modules of the package that a file names, without the leading ``solder.``."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == "solder"}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "solder":
                found |= {f"solder.{alias.name}" for alias in node.names}
            elif node.module and node.module.startswith("solder."):
                # What is taken out of a package may be a module of it.
                folder = PACKAGE.joinpath(*node.module.split(".")[1:])
                modules = {alias.name for alias in node.names if (folder / f"{alias.name}.py").exists()}
                found |= {f"{node.module}.{name}" for name in modules}
                if len(modules) < len(node.names):
                    found.add(node.module)
    return {name.removeprefix("solder.") for name in found}


def test_layers_every_module_has_one() -> None:
    tops = {name.split(".")[0] for name, _ in _modules()} - {"__init__"}
    assert tops == LAYER.keys() - {"_native"}


def test_layers_python_points_down() -> None:
    upward = []
    for name, path in _modules():
        if name == "__init__":
            continue  # the facade names everything, lazily
        top = name.split(".")[0]
        upward += [
            f"{name} -> {other}"
            for other in _imports(path)
            if other.split(".")[0] != top and LAYER[other.split(".")[0]] >= LAYER[top]
        ]
    assert upward == []


def test_layers_python_has_no_cycle() -> None:
    known = dict(_modules())
    graph = {name: _imports(path) & known.keys() - {name} for name, path in known.items() if name != "__init__"}
    assert list(TopologicalSorter(graph).static_order())


def test_layers_a_folder_has_three_files() -> None:
    thin = [
        folder.name
        for folder in PACKAGE.iterdir()
        if folder.is_dir() and folder.name != "__pycache__" and len(list(folder.rglob("*.py"))) < 3
    ]
    assert thin == []


def test_layers_only_config_reads_the_environment() -> None:
    readers = [name for name, path in _modules() if re.search(r"os\.(environ|getenv)", path.read_text())]
    assert set(readers) <= {"config"}


def _crate(name: str) -> set[str]:
    manifest = tomllib.loads((ROOT / "crates" / name / "Cargo.toml").read_text())
    return set(manifest["dependencies"])


def test_layers_crates_point_down() -> None:
    engine, spec, python = _crate("engine"), _crate("spec"), _crate("python")
    assert not any(name.startswith(("solder-", "pyo3")) for name in engine | _crate("ai") | _crate("abi"))
    assert "solder-engine" in spec
    assert not {"pyo3", "solder-python"} & spec
    assert {"solder-engine", "solder-spec", "pyo3"} <= python
    assert {name for name in _crate("simulate") if name.startswith(("solder-", "pyo3"))} == {"solder-engine"}
    assert {name for name in _crate("remote") if name.startswith(("solder-", "pyo3"))} == {"solder-engine"}
    assert {name for name in _crate("schedule") if name.startswith(("solder-", "pyo3"))} == {"solder-engine"}


def test_layers_engine_points_down() -> None:
    source = ROOT / "crates" / "engine" / "src"
    upward = []
    for path in sorted(source.rglob("*.rs")):
        top = path.relative_to(source).parts[0].removesuffix(".rs")
        if top == "lib":
            continue
        code = path.read_text().split("#[cfg(test)]")[0]
        code = "\n".join(line for line in code.splitlines() if not line.lstrip().startswith("//"))
        upward += [
            f"{path.relative_to(source)} -> {other}"
            for other in sorted(set(re.findall(r"\bcrate::(\w+)", code)))
            if other in ENGINE_LAYER and other != top and ENGINE_LAYER[other] >= ENGINE_LAYER[top]
        ]
    assert upward == []
