"""Progress on standard error: a bar on a terminal, a plain line every few seconds elsewhere."""

import sys
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

REDRAW_SECONDS = 0.1
LINE_SECONDS = 5.0


class Progress(AbstractContextManager["Progress"]):
    """Shows how far a run has come. ``unit`` names what is counted (files, blocks)."""

    def __init__(self, label: str, unit: str) -> None:
        self._label = label
        self._unit = unit
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._start = time.monotonic()
        self._next = self._start

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            self._bar = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn(self._unit),
                TextColumn("{task.fields[note]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task(self._label, total=None, note="")
            self._bar.start()
        else:
            self._next = self._start + LINE_SECONDS
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int, total: int, note: str = "") -> None:
        """Say that ``done`` of ``total`` are done; cheap enough to be called for each case."""
        now = time.monotonic()
        if now < self._next:
            return
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=total, note=note)
            self._next = now + REDRAW_SECONDS
        else:
            elapsed = now - self._start
            left = elapsed * (total - done) / done if done else 0.0
            eta = f", about {left:.0f} s left" if done and total > done else ""
            sys.stderr.write(f"{self._label}: {done}/{total} {self._unit} {note} after {elapsed:.0f} s{eta}\n")
            sys.stderr.flush()
            self._next = now + LINE_SECONDS
