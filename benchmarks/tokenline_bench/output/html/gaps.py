"""The gaps inside the streams: between chunks, and between tokens where the server counts them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import plotly.graph_objects as go

from tokenline_bench.metrics import POOLED_METRICS
from tokenline_bench.report import Report
from tokenline_bench.results import Results

from .distributions import Series, cumulative, histogram, series_name

_MOST_VALUES = 20_000


def gap_figures(report: Report, results: Results) -> Iterator[go.Figure]:
    """Inter-token latency, or inter-chunk latency where tokens are not counted."""
    for name in ("itl", "icl"):
        series = _series(report, results, name)
        if series:
            title = POOLED_METRICS[name].title
            yield histogram(series, title)
            yield cumulative(series, title)
            return


def _series(report: Report, results: Results, name: str) -> list[Series]:
    metric = POOLED_METRICS[name]
    found = []
    for result in results.levels:
        for endpoint in report.configuration.endpoints:
            samples = [sample for sample in result.of(endpoint.name) if sample.ok]
            groups = [group[0] for group in map(metric.of, samples) if group is not None]
            if groups:
                values = np.concatenate(groups) / 1e6
                step = -(-len(values) // _MOST_VALUES)
                label = series_name(report, str(result.level.load), endpoint.name)
                found.append(Series(label, np.sort(values)[::step].tolist()))
    return found
