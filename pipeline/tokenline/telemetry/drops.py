"""Losses of the whole process by signal, for the metric `tokenline.telemetry.dropped`."""

from collections.abc import Mapping

_counts: dict[str, int] = {}


def count_drops(signal: str, number: int = 1) -> None:
    """Something of `signal` was lost. Takes no lock: the garbage collector may call it."""
    _counts[signal] = _counts.get(signal, 0) + number


def drops() -> Mapping[str, int]:
    """All losses so far."""
    return dict(_counts)
