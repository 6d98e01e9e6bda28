"""When requests of an open loop come: a seeded schedule that nothing that happens can move.

Intervals of mean 1 are drawn (1; exponential; gamma of shape k and scale 1/k) and summed up to
s_1, s_2, ...; request n comes when the integral of the rate reaches s_n. For a rate r that grows
evenly from 0 over a ramp T the integral is r t^2 / 2T up to T, then r (t - T / 2).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random

from .spec import OpenLoop

_NS = 1e9


def draw_intervals(load: OpenLoop, seed: int) -> Iterator[float]:
    """Intervals of mean 1 without end."""
    rng = Random(f"arrivals:{seed}")
    match load.arrivals:
        case "constant":
            while True:
                yield 1.0
        case "poisson":
            while True:
                yield rng.expovariate(1.0)
        case "gamma":
            shape = load.burstiness
            while True:
                yield rng.gammavariate(shape, 1 / shape)


def time_of(total: float, load: OpenLoop) -> float:
    """The time, in seconds, at which the integral of the rate reaches `total`."""
    ramp, rate = load.ramp_s, load.rate_per_s
    if total < rate * ramp / 2:
        return math.sqrt(2 * ramp * total / rate)
    return total / rate + ramp / 2


def schedule_ns(load: OpenLoop, seed: int) -> Iterator[int]:
    """Arrival times without end, nanoseconds from the start; the first request comes at 0."""
    total = 0.0
    for interval in draw_intervals(load, seed):
        yield round(time_of(total, load) * _NS)
        total += interval
