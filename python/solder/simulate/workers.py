"""How many threads a call of the API starts."""

from solder.config import MAX_WORKERS, usable_cpus
from solder.errors import InputError

__all__ = ["checked_workers"]


def checked_workers(workers: int) -> int:
    """The number itself; for 0 one thread on each usable CPU."""
    if not 0 <= workers <= MAX_WORKERS:
        raise InputError(f"{workers} is not 0 (all CPUs) to {MAX_WORKERS}", field="workers")
    return workers or min(usable_cpus(), MAX_WORKERS)
