"""The tables of the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from tokenline_bench.metrics import POOLED_METRICS, REQUEST_METRICS, PooledMetric, RequestMetric
from tokenline_bench.metrics.names import TABLE
from tokenline_bench.output.rows import shown_metrics, title_of
from tokenline_bench.output.text import (
    show,
    show_change_interval,
    show_interval,
    shown_unit,
    signed_percent,
)
from tokenline_bench.report import Comparison, EndpointReport, LevelReport, Report


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], text: Sequence[int] = (0,)
) -> str:
    """An HTML table; columns in `text` hold words, the others numbers."""

    def cell(tag: str, place: int, value: str) -> str:
        mark = ' class="text"' if place in text else ""
        return f"<{tag}{mark}>{escape(value)}</{tag}>"

    def line(tag: str, values: Sequence[str]) -> str:
        return "<tr>" + "".join(cell(tag, n, value) for n, value in enumerate(values)) + "</tr>"

    body = "".join(line("td", row) for row in rows)
    return f'<div class="box"><table>{line("th", headings)}{body}</table></div>'


def metric_table(level: LevelReport, endpoint: EndpointReport, confidence: float) -> str:
    """All metrics of an endpoint at a level."""
    interval = f"({confidence:.0%} interval)"
    headings = ("metric", "unit", "mean", f"p50 {interval}", "p90", "p95", f"p99 {interval}")
    rows = []
    for name in shown_metrics(level, endpoint):
        found = endpoint.metrics[name]
        unit = found.unit
        farthest = ", ".join(show(value, unit) for value in found.farthest[:3])
        rows.append(
            (
                title_of(name),
                shown_unit(unit),
                show(found.mean, unit),
                show_interval(found.at(0.5), unit),
                show(found.at(0.9).value, unit),
                show(found.at(0.95).value, unit),
                show_interval(found.at(0.99), unit),
                show(found.maximum, unit),
                f"{found.outliers} ({farthest})" if found.outliers else "0",
                str(found.n),
            )
        )
    return table((*headings, "max", "outliers (farthest)", "n"), rows)


def error_table(endpoint: EndpointReport) -> str:
    """Errors by type."""
    rows = [(e.type, str(e.status or "-"), str(e.count), e.example) for e in endpoint.errors]
    return table(("error", "status", "count", "the first one"), rows, text=(0, 3))


def setup_table(report: Report) -> str:
    """What it took to get ready."""
    rows = [
        (
            setup.endpoint,
            setup.address or "-",
            *(
                show(value, "ns")
                for value in (
                    setup.client_ns,
                    setup.resolve_ns,
                    setup.connect_ns,
                    setup.tls_ns,
                    setup.cold_ttft_ns,
                )
            ),
        )
        for setup in report.setup
    ]
    headings = ("endpoint", "address", "client", "name", "connect", "TLS", "first TTFT (ms)")
    return table(headings, rows, text=(0, 1))


def comparison_table(comparisons: Sequence[Comparison]) -> str:
    """Changes with intervals and effect sizes."""
    rows = []
    for each in comparisons:
        found = each.change
        unit = "tokens/s" if each.higher_is_better else "ns"
        rows.append(
            (
                f"{title_of(each.metric)} {found.statistic}",
                each.level,
                f"{each.before}: {show(found.before, unit)}",
                f"{each.after}: {show(found.after, unit)}",
                signed_percent(found.relative),
                show_change_interval(found),
                f"{found.effect:+.2f}",
            )
        )
    headings = ("metric", "load", "before", "after", "change", "interval", "Cliff's delta")
    return table(headings, rows, text=(0, 1))


def formula_table() -> str:
    """What each metric is."""
    metrics: list[RequestMetric | PooledMetric] = list(REQUEST_METRICS.values())
    metrics += POOLED_METRICS.values()
    rows = [(metric.name, metric.title, metric.formula) for metric in metrics]
    return table(("name", "metric", "formula"), rows, text=(0, 1, 2))


def names_table() -> str:
    """The metrics under other tools' names."""
    rows = [(n.metric, n.aiperf, n.guidellm, n.vllm, n.mlperf, n.difference) for n in TABLE]
    headings = ("here", "AIPerf", "GuideLLM", "vLLM bench", "MLPerf", "difference")
    return table(headings, rows, text=range(6))


def environment_table(report: Report) -> str:
    """Machine and versions."""
    return table(("what", "value"), list(report.environment.items()), text=(0, 1))
