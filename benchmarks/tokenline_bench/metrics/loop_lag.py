"""Event-loop lag: how late the harness's own loop was.

    lag = time a timer fired - time it was due

A lagging loop stamps reads late and sends requests late. Timers of the loop are 1 ms coarse:
lags below 1.5 ms say nothing. `spoils` is the rule of the warning.
"""

COARSE_NS = 1_500_000
"""Lags below it are the timer's own."""

_SHARE = 0.05


def spoils(lag_ns: float, measured_ns: float) -> bool:
    """Whether such a lag could have spoiled such a time.

    That is when it passes 5 % of the time, and the timer's own coarseness.
    """
    return lag_ns > max(COARSE_NS, measured_ns * _SHARE)
