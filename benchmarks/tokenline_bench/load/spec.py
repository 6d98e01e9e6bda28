"""How requests come: the forms of load."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from tokenline.errors import ConfigError
from tokenline_bench.limits import check_number

Arrivals: TypeAlias = Literal["constant", "poisson", "gamma"]
_MOST = 1_000_000
_LEAST = 1e-6  # a request in eleven days
_LEAST_SHAPE = 0.01  # below, nearly all requests of a gamma schedule come at once
_MOST_HALVINGS = 64


class _Load(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    pass


class ClosedLoop(_Load, frozen=True, kw_only=True, tag="closed", forbid_unknown_fields=True):
    """A set number of users; each sends its next request when its last one is answered.

    Attributes:
        concurrency: users, all endpoints together.
        ramp_s: they start spread over this time.
    """

    concurrency: int
    ramp_s: float = 0.0

    def __post_init__(self) -> None:
        check_number("concurrency", self.concurrency, _MOST, least=1)
        check_number("ramp_s", self.ramp_s, _MOST)

    @property
    def value(self) -> float:
        """What a sweep varies."""
        return self.concurrency

    def __str__(self) -> str:
        return f"concurrency {self.concurrency}"


class OpenLoop(_Load, frozen=True, kw_only=True, tag="open", forbid_unknown_fields=True):
    """Requests come at set times, whether or not earlier ones were answered.

    Attributes:
        rate_per_s: requests per second, all endpoints together.
        arrivals: how they are spread. `constant`: evenly. `poisson`: independent users.
            `gamma`: bursty.
        burstiness: of `gamma`, the shape of its intervals: below 1 bursty, 1 Poisson, above even.
        ramp_s: the rate grows from 0 over this time.
        max_concurrency: most requests under way; others wait, and the wait counts.
    """

    rate_per_s: float
    arrivals: Arrivals = "poisson"
    burstiness: float = 1.0
    ramp_s: float = 0.0
    max_concurrency: int | None = None

    def __post_init__(self) -> None:
        check_number("rate_per_s", self.rate_per_s, _MOST, least=_LEAST)
        check_number("burstiness", self.burstiness, _MOST, least=_LEAST_SHAPE)
        check_number("ramp_s", self.ramp_s, _MOST)
        check_number("max_concurrency", self.max_concurrency, _MOST, least=1)

    @property
    def value(self) -> float:
        """What a sweep varies."""
        return self.rate_per_s

    def __str__(self) -> str:
        shape = f" {self.burstiness:g}" if self.arrivals == "gamma" else ""
        return f"{self.rate_per_s:g} requests/s, {self.arrivals}{shape}"


class TimedTrace(_Load, frozen=True, kw_only=True, tag="trace", forbid_unknown_fields=True):
    """Requests come at the times that the work itself gives.

    Attributes:
        speed: 2 is twice as fast as recorded.
        max_concurrency: most requests under way; others wait, and the wait counts.
    """

    speed: float = 1.0
    max_concurrency: int | None = None

    def __post_init__(self) -> None:
        check_number("speed", self.speed, _MOST, least=_LEAST)
        check_number("max_concurrency", self.max_concurrency, _MOST, least=1)

    @property
    def value(self) -> float:
        """What a sweep varies."""
        return self.speed

    def __str__(self) -> str:
        return f"trace, speed {self.speed:g}"


Load: TypeAlias = ClosedLoop | OpenLoop | TimedTrace
"""One level of load."""


class Search(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Look for the knee: the highest load that still meets the SLO.

    The load is doubled from `low` until the SLO is missed or `high` is reached, then the interval
    between the last good and the first bad level is halved.

    Attributes:
        template: the load; its concurrency, rate or speed is replaced.
        low: where to begin.
        high: where to stop.
        halvings: how often the interval is halved.
    """

    template: Load
    low: float
    high: float
    halvings: int = 3

    def __post_init__(self) -> None:
        check_number("low", self.low, _MOST, least=_LEAST)
        check_number("high", self.high, _MOST, least=_LEAST)
        if self.high < self.low:
            raise ConfigError(f"a search from {self.low:g} to {self.high:g}; give the lower first")
        check_number("halvings", self.halvings, _MOST_HALVINGS)


def with_value(load: Load, value: float) -> Load:
    """The same load with another concurrency, rate or speed."""
    match load:
        case ClosedLoop():
            return msgspec.structs.replace(load, concurrency=max(1, round(value)))
        case OpenLoop():
            return msgspec.structs.replace(load, rate_per_s=value)
        case TimedTrace():
            return msgspec.structs.replace(load, speed=value)
