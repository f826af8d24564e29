"""Exit statuses, and the one place where an exception becomes one."""

from __future__ import annotations

import os
import sys

from solder.errors import Fault, InputError, RejectedInput

# As in solder/__init__.py: typing and collections.abc are not imported for annotations alone.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

OK = 0
CHECK_FAILED = 1
BAD_INPUT = 2
FAULT = 3
INTERRUPTED = 130


def guarded(command: Callable[[], int]) -> int:
    """Run ``command``; a typed failure becomes a line on standard error and its exit status."""
    try:
        status = command()
        sys.stdout.flush()
    except InputError as error:
        return _complain(error, BAD_INPUT)
    except RejectedInput as error:
        return _complain(error, CHECK_FAILED)
    except Fault as error:
        return _complain(f"{_blame(error)}: {error}", FAULT)
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output went away (`| head`): nothing is left to say, at exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CHECK_FAILED
    except OSError as error:
        return _complain(error, BAD_INPUT)
    return status


def _blame(error: Fault) -> str:
    return "the node failed" if error.code.startswith("Fault.REMOTE_") else "fault (of ours, please report it)"


def _complain(message: object, status: int) -> int:
    sys.stderr.write(f"solder: {message}\n")
    return status
