"""Event-loop lag: how late the harness's own loop was.

    lag = time a timer fired - time it was due

A lagging loop stamps reads late and sends requests late. Timers of the loop are 1 ms coarse:
lags below 1.5 ms say nothing. `spoils` is the rule of the warning.
"""

from collections.abc import Sequence

COARSE_NS = 1_500_000
"""Lags below it are the timer's own."""

_SHARE = 0.05


def spoils(lags_ns: Sequence[int], measured_ns: int | None) -> int | None:
    """The 99th percentile of lag in ns, if it could have spoiled a median of `measured_ns`.

    That is when it passes 5 % of the median, and the timer's own coarseness.
    """
    if not lags_ns or measured_ns is None:
        return None
    p99_ns = sorted(lags_ns)[min(len(lags_ns) - 1, len(lags_ns) * 99 // 100)]
    return p99_ns if p99_ns > max(COARSE_NS, measured_ns * _SHARE) else None
