"""What there is to say of one metric's values: percentiles, mean, spread, outliers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec
import numpy as np

from tokenline_bench.metrics import Integers

from .bootstrap import mean_interval
from .order import interval_ranks, rank, values_needed

Number: TypeAlias = int | float
"""Times stay whole nanoseconds, in JSON too."""

PERCENTILES = (0.5, 0.9, 0.95, 0.99)
_FENCE = 3.0
_MOST_SPARED = 0.05
_SHOWN_OUTLIERS = 10


class Percentile(msgspec.Struct, frozen=True):
    """A percentile with its interval.

    Attributes:
        p: which one, 0 to 1.
        value: its estimate, an observed value.
        low: lower bound; None where the values are too few to give one.
        high: upper bound; None where the values are too few to give one.
        widened_by: what `low` was lowered by beyond sampling: the harness's own share, ns.
    """

    p: float
    value: Number
    low: Number | None = None
    high: Number | None = None
    widened_by: Number = 0

    @property
    def closed(self) -> bool:
        """Whether there were values enough for both bounds."""
        return self.low is not None and self.high is not None


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """Summary of a metric's values, all of them: outliers are shown, never dropped.

    Attributes:
        unit: of the values.
        n: how many values.
        requests: how many requests they came from.
        mean: their mean.
        mean_low: lower bound of the mean's interval.
        mean_high: upper bound.
        stdev: standard deviation.
        minimum: least.
        maximum: largest.
        percentiles: with intervals.
        outliers: how many lie more than three interquartile ranges outside the middle half.
        farthest: up to ten of these, farthest first.
    """

    unit: str
    n: int
    requests: int
    mean: float
    mean_low: float | None
    mean_high: float | None
    stdev: float
    minimum: Number
    maximum: Number
    percentiles: tuple[Percentile, ...]
    outliers: int = 0
    farthest: tuple[Number, ...] = ()

    def at(self, p: float) -> Percentile:
        """The percentile `p`; `LookupError` if it was not computed."""
        for percentile in self.percentiles:
            if percentile.p == p:
                return percentile
        raise LookupError(f"percentile {p} was not computed")

    @property
    def median(self) -> float:
        """The 50th percentile."""
        return self.at(0.5).value


class OwnShare(msgspec.Struct, frozen=True):
    """What of each value may be the harness's own time; lower bounds are lowered by it.

    A value x of the server with y of the harness is measured as v = x + y. Two bounds hold whatever
    the distributions, and however x and y depend on each other; the higher one is taken:

        percentile p of x >= percentile p of v - largest y
        percentile p of x >= percentile p - s of v - percentile 1 - s of y

    The second one is for the odd slow moment in a calibration: s is 5 %, or half of the tail. The
    same percentile of both will not do: where half of all requests take the same time, their p50
    is the slowest of these, and has in it the largest y of that half.

    Attributes:
        lags: for each value, how late the harness may have been with that very request.
        calibration: what the harness adds to any request, one value for each that was tried.
    """

    lags: Sequence[int]
    calibration: Sequence[int]


def describe(
    values: Sequence[float] | Integers,
    unit: str,
    *,
    confidence: float = 0.95,
    percentiles: Sequence[float] = PERCENTILES,
    own: OwnShare | None = None,
) -> Distribution | None:
    """Summarize one value a request; None without any.

    Args:
        values: one for each request, in any order.
        unit: their unit.
        confidence: of the intervals.
        percentiles: which ones, 0 to 1.
        own: the harness's own share, so that intervals hold for the server too.
    """
    found = np.asarray(values)
    n = len(found)
    if not n:
        return None
    ordered = np.sort(found)
    least = np.sort(found - np.asarray(own.lags)) if own is not None else ordered
    low, high = mean_interval(ordered, confidence)
    outliers = find_outliers(ordered)
    return Distribution(
        unit=unit,
        n=n,
        requests=n,
        mean=float(ordered.mean()),
        mean_low=low,
        mean_high=high,
        stdev=float(ordered.std(ddof=1)) if n > 1 else 0.0,
        minimum=ordered[0].item(),
        maximum=ordered[-1].item(),
        percentiles=tuple(_percentile(ordered, least, p, confidence, own) for p in percentiles),
        outliers=len(outliers),
        farthest=tuple(outliers[:_SHOWN_OUTLIERS]),
    )


def _percentile(
    ordered: np.ndarray, least: np.ndarray, p: float, confidence: float, own: OwnShare | None
) -> Percentile:
    n = len(ordered)
    low, high = interval_ranks(n, p, confidence)
    lowest = None
    widened_by = 0.0
    if low is not None:
        calibration = sorted(own.calibration) if own is not None else []
        lowest = max(0, _lower_bound(least, p, confidence, calibration))
        widened_by = ordered[low - 1].item() - lowest
    return Percentile(
        p=p,
        value=ordered[rank(n, p) - 1].item(),
        low=lowest,
        high=None if high is None else ordered[high - 1].item(),
        widened_by=widened_by,
    )


def _lower_bound(
    least: np.ndarray, p: float, confidence: float, calibration: Sequence[int]
) -> Number:
    """The higher of the two bounds told in `OwnShare`; there must be values enough for one."""
    low, _ = interval_ranks(len(least), p, confidence)
    assert low is not None
    bound: Number = least[low - 1].item() - max(calibration, default=0)
    spared = min(_MOST_SPARED, p / 2, (1 - p) / 2)
    further, _ = interval_ranks(len(least), p - spared, confidence)
    _, high = interval_ranks(len(calibration), 1 - spared, confidence)
    if further is None or high is None:
        return bound
    other: Number = least[further - 1].item() - calibration[high - 1]
    return max(bound, other)


def find_outliers(ordered: np.ndarray) -> list[float]:
    """Values more than three interquartile ranges outside the middle half, farthest first."""
    n = len(ordered)
    lower, upper = ordered[rank(n, 0.25) - 1], ordered[rank(n, 0.75) - 1]
    reach = _FENCE * (upper - lower)
    middle = ordered[rank(n, 0.5) - 1]
    outside = ordered[(ordered < lower - reach) | (ordered > upper + reach)]
    farthest_first = outside[np.argsort(-np.abs(outside - middle), kind="stable")]
    return [value.item() for value in farthest_first]


def size_warning(n: int, p: float, confidence: float) -> str | None:
    """What to say where n values are too few for the p-th percentile's interval."""
    needed = values_needed(p, confidence)
    if n >= needed:
        return None
    few, gap = "may be any of them", "is open"
    if p > 0.5:
        few, gap = "is one of the slowest few", "has no upper bound"
    return f"p{p * 100:g} of {n} requests {few}: its interval {gap}; {needed} requests close it"
