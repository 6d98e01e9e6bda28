"""Medians and spreads of a row's figures."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from benchmarks.measures import quantile

from .results import Results


@dataclass(frozen=True, slots=True)
class Middle:
    """The median over rounds, the least and the greatest."""

    value: float
    least: float
    greatest: float

    @property
    def spread(self) -> str:
        """Least to greatest."""
        return f"{short(self.least)}-{short(self.greatest)}"


def short(value: float) -> str:
    """Three significant digits, no exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def middle(results: Results, row: str, client: str) -> Middle | None:
    """A client's figure in a row; None where there is none."""
    found: Any = results.figures(row).get(client)
    if not found:
        return None
    if row == "streams":
        value = float(found["streams"])
        return Middle(value, value, value)
    values = [_one(row, each) for each in found]
    return Middle(statistics.median(values), min(values), max(values))


def _one(row: str, figure: Any) -> float:
    if row == "first_token":
        return statistics.median(figure)
    if row == "cold":
        return float(figure[0])
    return float(figure)


def first_token_p99(results: Results, client: str) -> float:
    """99th percentile over the requests of all rounds, ms."""
    rounds = results.figures("first_token")[client]
    return quantile([each for one in rounds for each in one], 0.99)


def growth(results: Results, client: str, over: str, under: str) -> Middle | None:
    """Ratio of two figures of the row `linear`, each round by itself."""
    found = results.figures("linear").get(client)
    if not found:
        return None
    ratios = [each[over] / each[under] for each in found]
    return Middle(statistics.median(ratios), min(ratios), max(ratios))
