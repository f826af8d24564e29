"""The command ``solder``: it parses arguments, prints, and sets the exit status; it decides nothing else.

Standard output carries results only; progress and messages go to standard error. Exit status: 0 all well, 1 a
check failed, 2 bad usage or unreadable input, 3 a fault of this machine, 130 interrupted.

``t8n`` does not pass through click: test authors start it thousands of times.
"""

from __future__ import annotations

import sys

# As in solder/__init__.py: typing and collections.abc are not imported for annotations alone.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    from solder.cli.status import guarded

    if arguments[:1] == ["t8n"]:
        from solder.cli.t8n import run_t8n

        return guarded(lambda: run_t8n(arguments[1:]))
    from solder.cli.group import run_group

    return guarded(lambda: run_group(arguments))
