"""What two sets of values differ by: relative change and effect size, both with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import msgspec
import numpy as np

from .bootstrap import SEED, bounds
from .order import rank

_DRAWS = 1000
_FEWEST = 8
_BEYOND = 5


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """From one set of values to another.

    Attributes:
        statistic: which one is compared: `p50`, `p90`, `p99`, `mean` ...
        before: its value in the first set.
        after: its value in the second.
        relative: after / before - 1.
        low: lower bound of `relative`; None with fewer than `values_to_compare` on a side.
        high: upper bound of `relative`.
        effect: Cliff's delta, -1 to 1: the chance that a value of the second set is larger than
            one of the first, minus the chance that it is smaller. About 0.15 is small, 0.33
            medium, 0.47 large (J. Romano and others, 2006).
        effect_low: lower bound of `effect`.
        effect_high: upper bound of `effect`.
        n_before: values in the first set.
        n_after: values in the second.
    """

    statistic: str
    before: float
    after: float
    relative: float
    low: float | None
    high: float | None
    effect: float
    effect_low: float | None
    effect_high: float | None
    n_before: int
    n_after: int

    @property
    def certain(self) -> bool:
        """Whether the interval excludes that nothing changed."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def change(
    before: Sequence[float],
    after: Sequence[float],
    statistic: str = "p50",
    *,
    confidence: float = 0.95,
) -> Change | None:
    """Compare one statistic of two sets; None if either is empty or the first one is 0.

    Args:
        before: values of the first set, one a request.
        after: values of the second.
        statistic: `mean`, or `p` and a percentage.
        confidence: of the intervals.

    Raises:
        ValueError: no such statistic.
    """
    a, b = np.sort(np.asarray(before, float)), np.sort(np.asarray(after, float))
    p = _percentage(statistic)
    if not len(a) or not len(b) or _statistic(a, p) == 0:
        return None
    low, high, effect_low, effect_high = _intervals(a, b, p, confidence)
    if min(len(a), len(b)) < values_to_compare(statistic):
        low = high = None
    return Change(
        statistic=statistic,
        before=_statistic(a, p),
        after=_statistic(b, p),
        relative=_statistic(b, p) / _statistic(a, p) - 1,
        low=low,
        high=high,
        effect=cliffs_delta(a, b),
        effect_low=effect_low,
        effect_high=effect_high,
        n_before=len(a),
        n_after=len(b),
    )


def values_to_compare(statistic: str) -> int:
    """How many values each side needs until draws tell how much a statistic varies.

    A percentile needs five values beyond it: with fewer, drawing again gives the same few largest
    values again and again, and intervals that are much too narrow.

    Raises:
        ValueError: no such statistic.
    """
    p = _percentage(statistic)
    return _FEWEST if p is None else ceil(round(_BEYOND / min(p, 1 - p), 6))


def statistic_of(values: Sequence[float], statistic: str) -> float:
    """A statistic of values in any order, as `change` compares it.

    Raises:
        ValueError: no such statistic.
    """
    return _statistic(np.sort(np.asarray(values, float)), _percentage(statistic))


def cliffs_delta(before: np.ndarray, after: np.ndarray) -> float:
    """Cliff's delta of two sorted sets; see `Change.effect`."""
    below = np.searchsorted(before, after, side="left").sum()
    above = len(before) * len(after) - np.searchsorted(before, after, side="right").sum()
    return float(below - above) / (len(before) * len(after))


def _percentage(statistic: str) -> float | None:
    if statistic == "mean":
        return None
    try:
        share = float(statistic.removeprefix("p")) / 100
    except ValueError:
        share = 0.0
    if not statistic.startswith("p") or not 0 < share < 1:
        raise ValueError(f"no statistic {statistic!r}; give mean, p50, p90, p99 ...")
    return share


def _statistic(ordered: np.ndarray, p: float | None) -> float:
    return float(ordered.mean() if p is None else ordered[rank(len(ordered), p) - 1])


def _intervals(
    a: np.ndarray, b: np.ndarray, p: float | None, confidence: float
) -> tuple[float | None, float | None, float | None, float | None]:
    if min(len(a), len(b)) < _FEWEST:
        return None, None, None, None
    rng = np.random.default_rng(SEED)
    relative, effect = np.empty(_DRAWS), np.empty(_DRAWS)
    for number in range(_DRAWS):
        drawn_a = np.sort(a[rng.integers(0, len(a), len(a))])
        drawn_b = np.sort(b[rng.integers(0, len(b), len(b))])
        below = _statistic(drawn_a, p)
        relative[number] = _statistic(drawn_b, p) / below - 1 if below else np.nan
        effect[number] = cliffs_delta(drawn_a, drawn_b)
    finite = relative[np.isfinite(relative)]  # a first set with zeros in it may draw 0
    if len(finite) < _DRAWS / 2:
        return None, None, *bounds(effect, confidence)
    return (*bounds(finite, confidence), *bounds(effect, confidence))
