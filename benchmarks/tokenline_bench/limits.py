"""Bounds of numbers: what is no number, endless or absurd is a mistake, told in one line."""

from __future__ import annotations

from tokenline.errors import ConfigError

MOST_REQUESTS = 10_000_000
MOST_TOKENS = 10_000_000
MOST_S = 10_000_000.0
MOST_PROCESSES = 1024
MOST_SEED = 2**53
MOST_WORDS_PER_TOKEN = 10.0


def check_number(
    name: str,
    value: float | None,
    most: float,
    *,
    least: float = 0.0,
    above: float | None = None,
) -> None:
    """Raise `ConfigError` unless `value` is None or a number from `least` (or above `above`)."""
    if value is None:
        return
    low = value >= least if above is None else value > above
    if not (low and value <= most):  # so that nan is outside too
        start = f"{least:.12g}" if above is None else f"more than {above:.12g}"
        raise ConfigError(f"{name} is {_shown(value)}; give {start} up to {most:.12g}")


def _shown(value: float) -> str:
    try:
        return f"{value:.13g}"
    except OverflowError:  # an integer beyond all floats
        return f"a number of {len(str(abs(value)))} digits"
