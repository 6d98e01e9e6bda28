"""Values as people read them."""

from __future__ import annotations

from tokenline_bench.metrics import Unit
from tokenline_bench.statistics import Change, Percentile, values_to_compare

_NAMES = {"ns": "ms"}


def show(value: float | None, unit: Unit | str, digits: int | None = None) -> str:
    """A value in its shown unit: times in milliseconds, without the unit's name."""
    if value is None:
        return "-"
    if unit == "ns":
        value = value / 1e6
    if unit == "share":
        return f"{value:.1%}"
    return f"{value:.{_digits(value) if digits is None else digits}f}"


def show_interval(percentile: Percentile, unit: Unit | str) -> str:
    """A percentile with its interval, which may be open on a side or on both."""
    return f"{show(percentile.value, unit)} ({_interval(percentile, unit)})"


def _interval(percentile: Percentile, unit: Unit | str) -> str:
    if percentile.low is None:
        return "open" if percentile.high is None else f"<= {show(percentile.high, unit)}"
    low = show(percentile.low, unit)
    return f">= {low}" if percentile.high is None else f"{low} to {show(percentile.high, unit)}"


def show_change_interval(change: Change) -> str:
    """The interval of a relative change, or how many requests on each side would give one."""
    needed = values_to_compare(change.statistic)
    if change.low is None and min(change.n_before, change.n_after) < needed:
        return f"takes {needed} each"
    return f"{signed_percent(change.low)} to {signed_percent(change.high)}"


def shown_unit(unit: Unit | str) -> str:
    """The unit that `show` shows values in."""
    return _NAMES.get(unit, unit)


def seconds(ns: float) -> str:
    """A long time in seconds."""
    return f"{ns / 1e9:.1f} s"


def signed_percent(share: float | None) -> str:
    """A relative change."""
    return "..." if share is None else f"{share:+.1%}"


def _digits(value: float) -> int:
    size = abs(value)
    if size >= 1000:
        return 0
    return 1 if size >= 100 else 2
