"""The report's numbers as CSV: one row a metric, endpoint and level."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from tokenline_bench.report import EndpointReport, LevelReport, Report
from tokenline_bench.statistics import Distribution
from tokenline_bench.statistics.distribution import PERCENTILES

_HEADINGS = (
    *("level", "load", "endpoint", "metric", "unit", "n", "mean", "mean_low", "mean_high"),
    *("stdev", "minimum", "maximum", "outliers"),
    *(f"p{p * 100:g}{end}" for p in PERCENTILES for end in ("", "_low", "_high")),
)

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_csv(report: Report, path: Path) -> None:
    """Write the file. Raises `OSError`."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_HEADINGS)
        for level in report.levels:
            for endpoint in level.endpoints:
                writer.writerows(_rows(level, endpoint))


def _rows(level: LevelReport, endpoint: EndpointReport) -> Iterator[list[object]]:
    place = [level.number, _as_words(level.title), _as_words(endpoint.endpoint)]
    for name, found in endpoint.metrics.items():
        yield [*place, name, *_numbers(found)]
    yield [*place, "requests_per_s", "1/s", endpoint.requests, endpoint.requests_per_s]
    yield [*place, "error_share", "share", endpoint.requests, endpoint.error_share]
    if endpoint.output_tokens_per_s is not None:
        rate = endpoint.output_tokens_per_s
        yield [*place, "output_tokens_per_s", "tokens/s", endpoint.requests, rate]
    if endpoint.goodput is not None:
        good = endpoint.goodput
        yield [*place, "goodput_per_s", "1/s", good.judged, good.per_s]
        yield [*place, "good_share", "share", good.judged, good.share, good.low, good.high]


def _as_words(text: str) -> str:
    """Text that spreadsheets do not take for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _numbers(found: Distribution) -> Iterator[object]:
    yield from (found.unit, found.n, found.mean, found.mean_low, found.mean_high)
    yield from (found.stdev, found.minimum, found.maximum, found.outliers)
    for percentile in found.percentiles:
        yield from (percentile.value, percentile.low, percentile.high)
