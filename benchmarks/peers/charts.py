"""The scaling chart: a page to explore (plotly) and a picture (SVG)."""

from __future__ import annotations

from pathlib import Path

from .drawing import Panel, Series, draw
from .results import Results

COLOURS = {
    "floor": "#6b7280",
    "tokenline": "#1d4ed8",
    "tokenline, uvloop": "#0891b2",
    "aiohttp alone": "#a16207",
    "openai SDK": "#dc2626",
    "anthropic SDK": "#ea580c",
}
_PANELS = (
    ("p99_ms", "p99 added latency, ms", True),
    ("p50_ms", "p50 added latency, ms", True),
    ("events_per_s", "events/s", False),
    ("cpu", "CPU, cores", False),
    ("rss_mb", "memory, MB", False),
)


def panels(results: Results, row: str, title: str) -> list[Panel]:
    """One panel a figure, streams across."""
    found = []
    for figure, name, logarithmic in _PANELS:
        series = [
            Series(client, COLOURS[client], [(each["streams"], each[figure]) for each in loads])
            for client, loads in results.figures(row).items()
            if loads
        ]
        found.append(Panel(f"{title}: {name}", series, logarithmic))
    return found


def write_picture(results: Results, path: Path) -> None:
    """The picture for the documentation."""
    path.write_text(draw(_rows(results)), encoding="utf-8")


def _rows(results: Results) -> list[list[Panel]]:
    """A row for each figure: on one core, and on two where that was measured."""
    columns = [panels(results, "scaling", "one core")]
    if results.figures("scaling_two"):
        columns.append(panels(results, "scaling_two", "two cores"))
    return [list(row) for row in zip(*columns, strict=True)]


def write_page(results: Results, path: Path) -> None:
    """The page; needs plotly."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    rows = _rows(results)
    titles = [panel.title for row in rows for panel in row]
    figure = make_subplots(rows=len(rows), cols=len(rows[0]), subplot_titles=titles)
    for at, row in enumerate(rows, 1):
        for column, panel in enumerate(row, 1):
            for series in panel.series:
                x, y = zip(*series.points, strict=True)
                line = go.Scatter(
                    x=x,
                    y=y,
                    name=series.name,
                    legendgroup=series.name,
                    showlegend=at == column == 1,
                    line={"color": series.colour},
                )
                figure.add_trace(line, row=at, col=column)
            if panel.logarithmic:
                figure.update_yaxes(type="log", row=at, col=column)
    figure.update_xaxes(title_text="streams")
    figure.update_layout(height=360 * len(rows), template="plotly_white")
    figure.write_html(path, include_plotlyjs=True)
