"""Percentiles as observed values, with intervals from order statistics.

The p-th percentile of n sorted values is the value at rank ceil(n p): one that really occurred,
nothing interpolated. Its interval needs no assumption about the distribution: of n independent
values B = Binomial(n, p) lie at or below the true percentile, so that

    P(value at rank l <= true percentile <= value at rank u) >= P(l <= B <= u - 1)

(H. A. David and H. N. Nagaraja, Order Statistics, section 7.1). The ranks are chosen with at most
half of the error on either side. Where n is too small for one, the interval is open on that side.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np


def rank(n: int, p: float) -> int:
    """Rank (from 1) of the p-th percentile of n values, 0 < p <= 1."""
    return min(n, max(1, int(np.ceil(round(n * p, 9)))))


@lru_cache(maxsize=4096)
def interval_ranks(n: int, p: float, confidence: float) -> tuple[int | None, int | None]:
    """Ranks (from 1) between which the true p-th percentile lies with that confidence.

    Args:
        n: number of values.
        p: which percentile, 0 < p < 1.
        confidence: 0.95 for 95 %.

    Returns:
        Lower and upper rank; None on a side for which n values are too few.
    """
    first, cdf = _binomial_cdf(n, p)
    tail = (1 - confidence) / 2
    # the largest l with P(B <= l - 1) <= tail; the smallest u with P(B <= u - 1) >= 1 - tail
    low = first + int(np.searchsorted(cdf, tail, side="right"))
    high = first + int(np.searchsorted(cdf, 1 - tail, side="left")) + 1
    return (low if low >= 1 else None), (high if high <= n else None)


def values_needed(p: float, confidence: float) -> int:
    """How many values it takes until the interval of the p-th percentile is closed."""
    tail = (1 - confidence) / 2
    return int(np.ceil(np.log(tail) / np.log(max(p, 1 - p))))


def _binomial_cdf(n: int, p: float) -> tuple[int, np.ndarray]:
    """The distribution function of Binomial(n, p) where it moves, and the k it starts at."""
    spread = 12 * np.sqrt(n * p * (1 - p)) + 12
    first = max(0, int(n * p - spread))
    last = min(n, int(n * p + spread))
    steps = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, n + 1)))))  # log k!
    k = np.arange(first, last + 1)
    log_mass = steps[n] - steps[k] - steps[n - k] + k * np.log(p) + (n - k) * np.log1p(-p)
    return first, np.cumsum(np.exp(log_mass))
