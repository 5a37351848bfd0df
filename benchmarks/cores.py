"""How many cores a measurement may use, and how many it has used.

Import this before NumPy, PyTorch and JAX: each makes its threads when it is loaded.
"""

import os
import time

MOST = 1.05  # process time over wall time, of who says that it runs on one core


def pin() -> str:
    """Puts this process on one core, the last; what was done, in words."""
    if not hasattr(os, "sched_setaffinity"):
        return (
            "This system cannot put a process on one core; each row is only checked: process time "
            f"over wall time is at most {MOST}."
        )
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    return (
        "The whole process runs on one core (os.sched_setaffinity), and each row is checked: "
        f"process time over wall time is at most {MOST}."
    )


def unpin() -> int:
    """Lets this process run on all cores; how many they are."""
    count = os.cpu_count() or 1
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(count))
        return len(os.sched_getaffinity(0))
    return count


class Clock:
    """Wall time and process time of what runs inside ``with``, added up."""

    def __init__(self) -> None:
        self.wall = self.process = 0.0

    def __enter__(self) -> "Clock":
        self.before = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *error: object) -> None:
        self.last = time.perf_counter() - self.before[0]
        self.wall += self.last
        self.process += time.process_time() - self.before[1]

    @property
    def cores(self) -> float:
        """Process time over wall time. Above 1 more than one thread has worked."""
        return self.process / self.wall if self.wall else 0.0
