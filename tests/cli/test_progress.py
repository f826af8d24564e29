import sys

import pytest

from solder.cli import progress
from solder.cli.progress import Progress


def test_progress_is_a_plain_line_where_no_terminal_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    with Progress("statetest", "files") as shown:
        shown.update(1, 4, "10 cases")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("statetest: 1/4 files 10 cases after ")
    assert "\x1b" not in captured.err


def test_progress_is_quiet_between_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "rich.progress", raising=False)
    with Progress("statetest", "files") as shown:
        for done in range(1000):
            shown.update(done, 1000)
    assert capsys.readouterr().err == ""
    assert "rich.progress" not in sys.modules


def test_progress_is_a_bar_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress("replay", "blocks") as shown:
        shown.update(2, 4, "46147")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "replay" in captured.err
