import subprocess
import sys
from pathlib import Path

import pytest

import solder

ROOT = Path(__file__).resolve().parent.parent


def test_api_names_are_all_there() -> None:
    for name in solder.__all__:
        assert getattr(solder, name) is not None
    assert len(solder.__all__) == len(set(solder.__all__)) <= 40
    assert sorted(solder.__all__) == sorted(solder._MODULE_OF)


def test_api_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        solder.no_such_name  # noqa: B018


def test_api_every_public_name_has_a_docstring() -> None:
    bare = [name for name in solder.__all__ if not getattr(solder, name).__doc__]
    assert bare == []


def test_api_import_is_lazy() -> None:
    program = (
        "import sys, solder; heavy = {'click', 'rich', 'solder._native', 'dataclasses', 'json'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_api_import_time_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    program = (
        "import time; start = time.perf_counter(); import solder; solder.execute_block;"
        "print(time.perf_counter() - start)"
    )
    seconds = [
        float(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)
        for _ in range(5)
    ]
    with capsys.disabled():
        print(f"\nimport solder, native module loaded: {min(seconds) * 1e3:.1f} ms")
    assert min(seconds) > 0


def test_api_versions_name_the_build(capsys: pytest.CaptureFixture[str]) -> None:
    table = solder.versions()
    assert {"solder", "revm", "rustc", "target", "profile", "python", "platform"} <= table.keys()
    assert table["solder"] == solder.__version__
    solder.show_versions()
    assert table["revm"] in capsys.readouterr().out
