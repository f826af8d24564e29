"""Calls timed in turns, so that whatever else the machine does meets all of them; the minimum of each counts.

A turn is several calls of one side, the first not counted: each side finds its own weights in the caches, not those
that another engine left there.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Call = Callable[[], object]

# Calls of a turn that count.
TURN = 3


@dataclass(slots=True)
class Seconds:
    """The least wall time of a call, and the least processor time of the process."""

    wall: float = float("inf")
    cpu: float = float("inf")


def alternate(
    calls: Mapping[str, Call], repeats: int, check: Callable[[str, object], None] | None = None, turn: int = TURN
) -> dict[str, Seconds]:
    """Seconds of each call, the least of ``repeats`` turns of ``turn`` calls after one that warms up.

    ``check`` sees the name and the result of every call, outside of the time; it raises where a result is wrong.
    """
    best = {name: Seconds() for name in calls}
    for round_number in range(repeats):
        # Forward and back, so that none always follows the one that has just filled the caches with its own.
        for name, call in list(calls.items())[:: 1 if round_number % 2 == 0 else -1]:
            for number in range(turn + 1):
                start, start_cpu = time.perf_counter(), time.process_time()
                result = call()
                seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
                if check is not None:
                    check(name, result)
                if number:
                    best[name].wall = min(best[name].wall, seconds)
                    best[name].cpu = min(best[name].cpu, cpu)
    return best
