"""Puts the page together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from html import escape
from pathlib import Path

import msgspec
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from tokenline_bench.output.rows import main_latency, title_of
from tokenline_bench.output.text import seconds, show
from tokenline_bench.report import LevelReport, Report
from tokenline_bench.results import Results

from . import tables
from .distributions import latency_figures
from .gaps import gap_figures
from .load import load_figures
from .stages import stage_figures
from .style import CSS
from .timeline import timelines

_CONFIG = {"displaylogo": False, "responsive": True}


def write_html(report: Report, path: Path, results: Results | None = None) -> None:
    """Write the page; with the requests themselves it has the charts that need them.

    Raises:
        OSError: the file cannot be written.
    """
    path.write_text(page(report, results), encoding="utf-8")


def page(report: Report, results: Results | None = None) -> str:
    """The page as text."""
    title = escape(report.title)
    body = "\n".join(_body(report, results))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{CSS}</style><script>{get_plotlyjs()}</script></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _body(report: Report, results: Results | None) -> Iterator[str]:
    yield from _head(report)
    if len(report.levels) > 1:
        yield "<h2>Load</h2>"
        yield from _figures(load_figures(report))
    yield "<h2>Time to first token, time per token</h2>"
    yield from _figures(latency_figures(report))
    if results is not None:
        yield from _figures(gap_figures(report, results))
        yield "<h2>Requests in time</h2>"
        yield from _figures(timelines(results))
    yield "<h2>Stages</h2>"
    yield from _figures(stage_figures(report, results))
    yield from _numbers(report)
    yield from _appendix(report)


def _head(report: Report) -> Iterator[str]:
    when = datetime.fromtimestamp(report.started_unix_ns / 1e9, UTC)
    loads = ", ".join(level.title for level in report.levels) or "nothing was measured"
    yield f"<h1>{escape(report.title)}</h1>"
    yield f'<p class="lead">{when:%Y-%m-%d %H:%M} UTC; {escape(loads)}</p>'
    if report.levels:
        level = _main_level(report)
        if len(report.levels) > 1:
            yield f'<p class="note">The figures at {escape(level.title)}:</p>'
        yield '<div class="cards">'
        yield from (_card(name, value) for name, value in _key_figures(level))
        yield "</div>"
    if report.knee is not None:
        yield f"<p><b>Knee:</b> {escape(report.knee)} is the highest load that met the SLO.</p>"
    if report.warnings:
        items = "".join(f"<li>{escape(warning)}</li>" for warning in report.warnings)
        yield f'<div class="warnings"><b>Before you believe the numbers</b><ul>{items}</ul></div>'


def _main_level(report: Report) -> LevelReport:
    """The level to show first: the knee, else the last one."""
    at_knee = [level for level in report.levels if level.title == report.knee]
    return at_knee[0] if at_knee else report.levels[-1]


def _card(name: str, value: str) -> str:
    return f'<div class="card"><b>{escape(value)}</b><span>{escape(name)}</span></div>'


def _key_figures(level: LevelReport) -> Iterator[tuple[str, str]]:
    endpoint = level.endpoints[0]
    metrics = endpoint.metrics
    latency = main_latency(level)
    if latency in metrics:
        yield f"{title_of(latency)}, median", f"{show(metrics[latency].median, 'ns')} ms"
        p99 = metrics[latency].at(0.99)
        few = "" if p99.closed else ", interval open"
        yield f"{title_of(latency)}, p99{few}", f"{show(p99.value, 'ns')} ms"
    if "tpot" in metrics:
        yield "TPOT, median", f"{show(metrics['tpot'].median, 'ns')} ms"
    if endpoint.output_tokens_per_s is not None:
        yield "output tokens/s", f"{endpoint.output_tokens_per_s:.1f}"
    if endpoint.goodput is not None:
        yield "met the SLO", f"{endpoint.goodput.share:.1%}"
    yield "requests that ended well", f"{endpoint.outcomes.get('ok', 0)} of {endpoint.requests}"


def _figures(figures: Iterable[go.Figure]) -> Iterator[str]:
    for figure in figures:
        chart = figure.to_html(full_html=False, include_plotlyjs=False, config=_CONFIG)
        yield f'<div class="box">{chart}</div>'


def _numbers(report: Report) -> Iterator[str]:
    yield "<h2>Numbers</h2>"
    for level in report.levels:
        for endpoint in level.endpoints:
            title = f"{endpoint.endpoint}, {level.title}, {seconds(level.duration_ns)}"
            yield f"<h3>{escape(title)}</h3>"
            yield tables.metric_table(level, endpoint, report.configuration.confidence)
            if endpoint.errors:
                yield tables.error_table(endpoint)
    notes = dict.fromkeys(note for level in report.levels for note in level.notes)
    yield from (f'<p class="note">{escape(note)}</p>' for note in notes)
    if report.comparisons:
        yield "<h2>Endpoints, measured in turns</h2>"
        yield tables.comparison_table(report.comparisons)
    yield "<h2>Set-up, apart from all of the above</h2>"
    yield tables.setup_table(report)


def _appendix(report: Report) -> Iterator[str]:
    for title, content in (
        ("What the metrics are", tables.formula_table()),
        ("The metrics under other names", tables.names_table()),
        ("Machine and versions", tables.environment_table(report)),
        ("Configuration", f'<div class="box"><pre>{escape(_configuration(report))}</pre></div>'),
    ):
        yield f"<details><summary>{title}</summary>{content}</details>"


def _configuration(report: Report) -> str:
    return msgspec.json.format(msgspec.json.encode(report.configuration), indent=2).decode()
