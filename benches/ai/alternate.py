"""Calls timed in turns, so that whatever else the machine does meets all of them; the minimum of each counts."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Call = Callable[[], object]


@dataclass(slots=True)
class Seconds:
    """The least wall time of a call, and the least processor time of the process."""

    wall: float = float("inf")
    cpu: float = float("inf")


def alternate(
    calls: Mapping[str, Call], repeats: int, check: Callable[[str, object], None] | None = None
) -> dict[str, Seconds]:
    """Seconds of each call, the least of ``repeats`` rounds after one that warms up.

    ``check`` sees the name and the result of every call, outside of the time; it raises where a result is wrong.
    """
    best = {name: Seconds() for name in calls}
    for number in range(repeats + 1):
        for name, call in calls.items():
            start, start_cpu = time.perf_counter(), time.process_time()
            result = call()
            seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
            if check is not None:
                check(name, result)
            if number:
                best[name].wall = min(best[name].wall, seconds)
                best[name].cpu = min(best[name].cpu, cpu)
    return best
