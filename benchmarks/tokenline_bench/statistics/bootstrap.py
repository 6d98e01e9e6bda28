"""Bootstrap: intervals by drawing again from what was measured (B. Efron, 1979)."""

from __future__ import annotations

import numpy as np

SEED = 20_240_229
DRAWS = 1000
_ENTRIES = 4_000_000  # drawn at once, so that memory stays bounded


def mean_interval(
    values: np.ndarray, confidence: float, draws: int = DRAWS
) -> tuple[float | None, float | None]:
    """Bounds of the mean; both None with fewer than two values."""
    n = len(values)
    if n < 2:
        return None, None
    rng = np.random.default_rng(SEED)
    means = np.empty(draws)
    step = max(1, _ENTRIES // n)
    for start in range(0, draws, step):
        count = min(step, draws - start)
        means[start : start + count] = values[rng.integers(0, n, (count, n))].mean(axis=1)
    return bounds(means, confidence)


def bounds(draws: np.ndarray, confidence: float) -> tuple[float, float]:
    """The middle share `confidence` of what was drawn."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, (tail, 1 - tail))
    return float(low), float(high)
