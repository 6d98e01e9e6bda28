"""The clocks of a run; the only place that reads time besides what is given one of these."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Two clocks: a monotonic one for every duration, a wall clock for the anchor only.

    Attributes:
        now_ns: monotonic time in ns. `CLOCK_MONOTONIC` on Linux: comparable between processes.
        wall_ns: nanoseconds since the epoch.
    """

    now_ns: Callable[[], int] = time.perf_counter_ns
    wall_ns: Callable[[], int] = time.time_ns


SYSTEM_CLOCK = Clock()
