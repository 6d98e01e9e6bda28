"""Durations drawn from a seeded distribution, in seconds; the truth a benchmark is checked against.

Each has `draw(rng)` and `quantile(p)`, the true quantile for the same parameters.
"""

import math
from random import Random
from statistics import NormalDist

import msgspec

from tokenline.errors import ConfigError


class _Distribution(msgspec.Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True):
    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"{name} is {value}; give a finite number, 0 or more")


class Uniform(_Distribution, tag="uniform", frozen=True):
    """Every duration between two bounds is equally likely."""

    low_s: float
    high_s: float

    def draw(self, rng: Random) -> float:
        """One duration."""
        return rng.uniform(self.low_s, self.high_s)

    def quantile(self, p: float) -> float:
        """The duration that a share `p` of draws does not exceed."""
        return self.low_s + p * (self.high_s - self.low_s)


class Bimodal(_Distribution, tag="bimodal", frozen=True):
    """One of two durations: a cache hit or a miss, a warm or a cold server.

    `slow_share` is the probability of `slow_s`, 0 to 1.
    """

    fast_s: float
    slow_s: float
    slow_share: float

    def draw(self, rng: Random) -> float:
        """One duration."""
        return self.slow_s if rng.random() < self.slow_share else self.fast_s

    def quantile(self, p: float) -> float:
        """The duration that a share `p` of draws does not exceed."""
        return self.fast_s if p <= 1 - self.slow_share else self.slow_s


class LogNormal(_Distribution, tag="lognormal", frozen=True):
    """Most durations near the median, some several times longer.

    `sigma` is the standard deviation of the logarithm: 0.5 is mild, 1 has a long tail.
    """

    median_s: float
    sigma: float

    def draw(self, rng: Random) -> float:
        """One duration."""
        return self.median_s * math.exp(rng.gauss(0.0, self.sigma))

    def quantile(self, p: float) -> float:
        """The duration that a share `p` of draws does not exceed, 0 < p < 1."""
        if self.sigma == 0:
            return self.median_s
        return self.median_s * math.exp(NormalDist(0.0, self.sigma).inv_cdf(p))


class Pareto(_Distribution, tag="pareto", frozen=True):
    """A heavy tail: `P(x > t) = (minimum_s / t) ** alpha`, cut at `maximum_s`."""

    minimum_s: float
    alpha: float
    maximum_s: float = 60.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alpha == 0:
            raise ConfigError("alpha is 0; give a number above 0")

    def draw(self, rng: Random) -> float:
        """One duration."""
        return min(self.maximum_s, self.minimum_s * rng.paretovariate(self.alpha))

    def quantile(self, p: float) -> float:
        """The duration that a share `p` of draws does not exceed, 0 <= p < 1."""
        return float(min(self.maximum_s, self.minimum_s * (1 - p) ** (-1 / self.alpha)))


Distribution = Uniform | Bimodal | LogNormal | Pareto
Duration = float | Distribution
"""Seconds: a constant, or a distribution to draw from."""


def draw(duration: Duration, rng: Random) -> float:
    """One value of a duration, in seconds."""
    return duration if isinstance(duration, int | float) else duration.draw(rng)
