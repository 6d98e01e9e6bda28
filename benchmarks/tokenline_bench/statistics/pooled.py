"""Values that come in groups, one group a request: gaps between chunks, times of tokens.

Values of one request resemble each other, so that a thousand gaps of ten requests tell less than
a thousand independent ones. Intervals come from drawing whole requests again (cluster bootstrap:
A. C. Davison and D. V. Hinkley, Bootstrap Methods, section 3.8).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor

import numpy as np

from tokenline_bench.metrics import Integers

from .bootstrap import SEED, bounds
from .distribution import PERCENTILES, Distribution, Percentile, find_outliers

_DRAWS = 300
_FEWEST_REQUESTS = 10
_MOST_VALUES = 200_000


def describe_pooled(
    groups: Sequence[tuple[Integers, float]],
    unit: str,
    *,
    confidence: float = 0.95,
    percentiles: Sequence[float] = PERCENTILES,
) -> Distribution | None:
    """Summarize the values of all requests together; None without any.

    Args:
        groups: the values of each request, and the weight that each of them has.
        unit: their unit.
        confidence: of the intervals.
        percentiles: which ones, 0 to 1.
    """
    groups = [group for group in groups if len(group[0])]
    if not groups:
        return None
    pool = _Pool(groups)
    drawn = pool.draw(percentiles) if len(groups) >= _FEWEST_REQUESTS else None
    mean_low, mean_high = _bounds_of(drawn, len(percentiles), confidence)
    outliers = find_outliers(pool.ordered)
    return Distribution(
        unit=unit,
        n=len(pool.ordered),
        requests=len(groups),
        mean=pool.mean(),
        mean_low=mean_low,
        mean_high=mean_high,
        stdev=float(pool.ordered.std(ddof=1)) if len(pool.ordered) > 1 else 0.0,
        minimum=pool.ordered[0].item(),
        maximum=pool.ordered[-1].item(),
        percentiles=tuple(
            Percentile(p, pool.percentile(p), *_whole_bounds_of(drawn, place, confidence))
            for place, p in enumerate(percentiles)
        ),
        outliers=len(outliers),
        farthest=tuple(outliers[:10]),
    )


def _bounds_of(
    drawn: np.ndarray | None, place: int, confidence: float
) -> tuple[float | None, float | None]:
    return (None, None) if drawn is None else bounds(drawn[:, place], confidence)


def _whole_bounds_of(
    drawn: np.ndarray | None, place: int, confidence: float
) -> tuple[int | None, int | None]:
    """The same of values that are whole: nothing in between is told."""
    low, high = _bounds_of(drawn, place, confidence)
    return (None if low is None else floor(low)), (None if high is None else ceil(high))


class _Pool:
    """All values in order, each with its weight and the request it came from."""

    def __init__(self, groups: Sequence[tuple[Integers, float]]) -> None:
        values = np.concatenate([group for group, _ in groups])
        sizes = [len(group) for group, _ in groups]
        owners = np.repeat(np.arange(len(groups)), sizes)
        order = np.argsort(values, kind="stable")
        self.ordered = values[order]
        self._owners = owners[order]
        self._weights = np.array([weight for _, weight in groups])[self._owners]
        self._sums = np.array([group.sum() * weight for group, weight in groups])
        self._totals = np.array([len(group) * weight for group, weight in groups])

    def mean(self) -> float:
        return float(self._sums.sum() / self._totals.sum())

    def percentile(self, p: float) -> int:
        """The value up to which a share `p` of the weight lies."""
        return int(self._at(self.ordered, np.cumsum(self._weights), p))

    def draw(self, percentiles: Sequence[float]) -> np.ndarray:
        """Percentiles and mean (last) of pools made of requests drawn again."""
        ordered, owners, weights = self._thinned()
        rng = np.random.default_rng(SEED)
        groups = len(self._totals)
        drawn = np.empty((_DRAWS, len(percentiles) + 1))
        for number in range(_DRAWS):
            times = np.bincount(rng.integers(0, groups, groups), minlength=groups)
            reached = np.cumsum(times[owners] * weights)
            drawn[number, :-1] = [self._at(ordered, reached, p) for p in percentiles]
            drawn[number, -1] = (times * self._sums).sum() / (times * self._totals).sum()
        return drawn

    def _thinned(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Every k-th value where there are very many: bounds need no more."""
        step = -(-len(self.ordered) // _MOST_VALUES)
        return self.ordered[::step], self._owners[::step], self._weights[::step]

    @staticmethod
    def _at(ordered: np.ndarray, reached: np.ndarray, p: float) -> float:
        place = int(np.searchsorted(reached, p * reached[-1] * (1 - 1e-12)))
        return float(ordered[min(place, len(ordered) - 1)])
