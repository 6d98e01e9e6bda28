"""Medians, spreads and ratios of a row's figures."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

from benchmarks.measures import quantile

from .results import Results

_DOUBT = 0.05
"""Chance that a median lies outside the interval that is given for it."""


@dataclass(frozen=True, slots=True)
class Middle:
    """The median over rounds, their range, and the interval where the true median is.

    Attributes:
        value: median.
        least: of all rounds.
        greatest: of all rounds.
        low: lower end of the interval, at 95 %; of fewer than six rounds all are in it.
        high: upper end.
        rounds: how many there were.
    """

    value: float
    least: float
    greatest: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Middle:
        """Of at least one round."""
        ordered = sorted(values)
        at = _rank(len(ordered))
        low, high = ordered[at], ordered[-1 - at]
        return cls(statistics.median(values), ordered[0], ordered[-1], low, high, len(values))

    @property
    def spread(self) -> str:
        """Least to greatest; a dash where nothing was repeated."""
        return f"{short(self.least)}-{short(self.greatest)}" if self.rounds > 1 else "-"


def _rank(rounds: int) -> int:
    """How many of the least and of the greatest rounds can be left out of the interval.

    A round is below the true median as often as above it, whatever its distribution: the chance
    that k or fewer of n are below it is a sum of binomial coefficients (the sign test).
    """
    below, found = 0.0, 0
    for at in range(rounds):
        below += comb(rounds, at) / 2**rounds
        if 2 * below > _DOUBT:
            break
        found = at
    return found


def short(value: float) -> str:
    """Three significant digits, no exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def by_round(results: Results, row: str, client: str) -> list[float | None]:
    """A client's figure in each round; None for those it took no part in."""
    found: Any = results.figures(row).get(client) or []
    return [None if each is None else _one(row, each) for each in found]


def _one(row: str, figure: Any) -> float:
    if row == "first_token":
        return statistics.median(figure)
    if row == "cold":
        return float(figure[0])
    return float(figure)


def middle(results: Results, row: str, client: str) -> Middle | None:
    """A client's figure in a row; None where there is none."""
    values = [each for each in by_round(results, row, client) if each is not None]
    return Middle.of(values) if values else None


def _pairs(results: Results, row: str, client: str, other: str) -> list[tuple[float, float]]:
    """Figures of both in the rounds that both took part in."""
    both = zip(by_round(results, row, client), by_round(results, row, other), strict=False)
    return [(own, theirs) for own, theirs in both if own is not None and theirs is not None]


def ratio(results: Results, row: str, client: str, other: str) -> Middle | None:
    """A client's figure in each round by the other's in the same round."""
    values = [own / theirs for own, theirs in _pairs(results, row, client, other)]
    return Middle.of(values) if values else None


def difference(results: Results, row: str, client: str, other: str) -> Middle | None:
    """A client's figure in each round less the other's in the same round."""
    values = [own - theirs for own, theirs in _pairs(results, row, client, other)]
    return Middle.of(values) if values else None


def first_token_p99(results: Results, client: str) -> float:
    """99th percentile over the requests of all rounds, ms."""
    rounds = results.figures("first_token")[client]
    return quantile([each for one in rounds if one is not None for each in one], 0.99)


def growth(results: Results, client: str, over: str, under: str) -> Middle | None:
    """Ratio of two figures of the row `linear`, each round by itself."""
    found = results.figures("linear").get(client) or []
    ratios = [each[over] / each[under] for each in found if each is not None]
    return Middle.of(ratios) if ratios else None


@dataclass(frozen=True, slots=True)
class Found:
    """What the search for streams a core found.

    Attributes:
        least: streams that kept the limit.
        below: the least number that did not; None where the server was the limit.
    """

    least: int
    below: int | None

    @property
    def text(self) -> str:
        """The number; with a sign where it is a lower bound."""
        return f"{self.least:,}" if self.below is not None else f"≥ {self.least:,}"


def streams_found(results: Results, client: str) -> Found | None:
    """A client's figure in the row `streams`."""
    found: Any = results.figures("streams").get(client)
    if not found:
        return None
    return Found(found["streams"], None if found.get("by_server") else found.get("missed"))


def streams_ratio(own: Found, other: Found) -> tuple[float | None, float | None]:
    """Bounds of the ratio: each number lies between what was kept and what was not.

    None where a lower bound alone is known: of ours for the upper end, of theirs for the lower.
    """
    low = own.least / other.below if other.below else None
    high = own.below / other.least if own.below and other.least else None
    return low, high
