"""Intervals of shares: how many of so many, and what two of them differ by."""

from math import hypot
from statistics import NormalDist


def wilson_interval(count: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """Bounds of a share (E. B. Wilson, 1927); (0, 1) of nothing."""
    if not of:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = count / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * ((share * (1 - share) + z * z / (4 * of)) / of) ** 0.5
    low = middle - half if count else 0.0
    return max(0.0, low), (min(1.0, middle + half) if count < of else 1.0)


def difference_interval(
    before: tuple[int, int], after: tuple[int, int], confidence: float = 0.95
) -> tuple[float, float]:
    """Bounds of a share less an earlier one (R. G. Newcombe, 1998, method 10).

    Args:
        before: how many of so many, at first.
        after: how many of so many, then.
        confidence: of the interval.
    """
    old, new = (count / of if of else 0.0 for count, of in (before, after))
    old_low, old_high = wilson_interval(*before, confidence)
    new_low, new_high = wilson_interval(*after, confidence)
    difference = new - old
    return (
        difference - hypot(new - new_low, old_high - old),
        difference + hypot(new_high - new, old - old_low),
    )
