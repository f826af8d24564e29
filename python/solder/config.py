"""What the process was told by its surroundings: one frozen object, read once and passed down.

No other module reads the environment. What a build is made of (``versions``) is told here too.
"""

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from solder import _native

MAX_WORKERS: int = _native.MAX_WORKERS
"""More threads than this are never started, whatever is asked for."""


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of a run. ``workers`` counts threads."""

    workers: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= MAX_WORKERS:
            raise ValueError(f"workers must be 1 to {MAX_WORKERS}, not {self.workers}")

    @classmethod
    def from_environment(cls) -> "Config":
        """One worker per CPU that this process may use."""
        return cls(workers=min(usable_cpus(), MAX_WORKERS))


def cache_folder() -> Path:
    """Where this user's caches are: ``$XDG_CACHE_HOME/solder``, or ``~/.cache/solder``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "solder"


def usable_cpus() -> int:
    """The CPUs that this process may use, not the ones that the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def versions() -> dict[str, str]:
    """Versions of this build and of what it stands on, by name."""
    return {**_native.versions(), "python": platform.python_version(), "platform": platform.platform()}


def show_versions() -> None:
    """Print ``versions()``, a line each: what a bug report needs."""
    table = versions()
    width = max(map(len, table))
    sys.stdout.writelines(f"{name:<{width}}  {value}\n" for name, value in table.items())
