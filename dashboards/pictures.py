"""Draws a dashboard from what Prometheus answered, for people without a Grafana at hand.

The data is that of the panels' own queries; the drawing is Plotly's, not Grafana's. Panels lie
where Grafana puts them. Tables of traces need Tempo and show their query.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from .tools import WORK, photograph

if TYPE_CHECKING:
    from .prometheus_check import Answer

_WIDTH = 1600
_ROW_PX = 34
_HEAD_PX = 60
_TABLE_ROWS = 3
_COLUMNS = 24
_UNITS = {"s": ".3s", "percentunit": ".1%", "reqps": ".3~r", "short": ".3~s"}
_AFTER = {".3s": " s", ".3~r": " /s"}
_STYLE = """
body { margin: 0; background: #f4f5f7; font: 13px sans-serif; color: #1f2430; }
header { height: 60px; padding: 8px 12px; box-sizing: border-box; }
header b { font-size: 17px; } header p { margin: 2px 0; color: #667; }
section { position: absolute; background: #fff; border: 1px solid #dde; overflow: hidden;
  box-sizing: border-box; }
section h2 { font-size: 13px; margin: 6px 8px 0; }
section.row { background: none; border: none; border-bottom: 1px solid #bbc; }
section.stat p { font-size: 30px; text-align: center; margin: 18px 0; color: #1a6fb5; }
section pre { margin: 12px; color: #556; white-space: pre-wrap; }
"""


def draw(board: Mapping[str, Any], answers: Mapping[str, Answer], picture: Path) -> None:
    """Draw one dashboard."""
    page = WORK / f"{picture.stem}.html"
    bottom = max(panel["gridPos"]["y"] + _rows(panel) for panel in board["panels"])
    panels = "".join(_panel(n, panel, answers) for n, panel in enumerate(board["panels"]))
    page.write_text(
        f"<meta charset=utf-8><title>{escape(board['title'])}</title><style>{_STYLE}</style>"
        f"<script>{get_plotlyjs()}</script><header><b>{escape(board['title'])}</b>"
        "<p>The panels' queries, answered by Prometheus during a simulated load; drawn with"
        f" Plotly, Grafana's own drawing differs.</p></header>{panels}"
    )
    photograph(page.as_uri(), picture, _WIDTH, _HEAD_PX + bottom * _ROW_PX)


def _rows(panel: Mapping[str, Any]) -> int:
    height: int = panel["gridPos"]["h"]
    return min(height, _TABLE_ROWS) if panel["type"] == "table" else height


def _panel(number: int, panel: Mapping[str, Any], answers: Mapping[str, Answer]) -> str:
    place = panel["gridPos"]
    width = place["w"] * _WIDTH // _COLUMNS
    style = (
        f"left:{place['x'] * _WIDTH // _COLUMNS}px;top:{_HEAD_PX + place['y'] * _ROW_PX}px;"
        f"width:{width}px;height:{_rows(panel) * _ROW_PX}px"
    )
    found = [answers[t["expr"]] for t in panel.get("targets", ()) if t.get("expr") in answers]
    size = (width - 4, place["h"] * _ROW_PX - 28)
    body = _body(panel, found, size, f"p{number}")
    return (
        f"<section class={panel['type']} style={style!r}>"
        f"<h2>{escape(panel['title'])}</h2>{body}</section>"
    )


def _body(
    panel: Mapping[str, Any], answers: Sequence[Answer], size: tuple[int, int], name: str
) -> str:
    unit = _UNITS.get(panel.get("fieldConfig", {}).get("defaults", {}).get("unit", ""), ".3~s")
    match panel["type"]:
        case "stat":
            return (
                f"<p id={name}></p><script>{name}.textContent={_last(answers[0], unit)!r}</script>"
            )
        case "timeseries":
            return _html(_lines(panel, answers, unit), size, name)
        case "heatmap":
            return _html(_heat(answers[0]), size, name)
        case "table":
            return f"<pre>Tempo, TraceQL: {escape(panel['targets'][0]['query'])}</pre>"
        case _:
            return ""


def _html(figure: go.Figure, size: tuple[int, int], name: str) -> str:
    figure.update_layout(
        width=size[0],
        height=size[1],
        margin={"l": 58, "r": 8, "t": 6, "b": 24},
        template="plotly_white",
        font={"size": 10},
        legend={"orientation": "h", "y": -0.14, "font": {"size": 9}},
    )
    text: str = figure.to_html(
        include_plotlyjs=False, full_html=False, div_id=name, config={"staticPlot": True}
    )
    return text


def _lines(panel: Mapping[str, Any], answers: Sequence[Answer], unit: str) -> go.Figure:
    figure = go.Figure()
    custom = panel["fieldConfig"]["defaults"].get("custom", {})
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    for answer in answers:
        for labels, points in answer.series:
            figure.add_scatter(
                x=_times(points),
                y=[value for _, value in points],
                name=_legend(answer.legend, labels),
                mode="lines",
                line={"width": 1.2},
                stackgroup="one" if stacked else None,
            )
    return figure.update_yaxes(tickformat=unit, rangemode="tozero").update_layout(showlegend=True)


def _heat(answer: Answer) -> go.Figure:
    """Cumulative buckets to counts of each bucket."""
    rows = sorted(answer.series, key=lambda each: float(each[0]["le"].replace("+Inf", "inf")))
    below: dict[float, float] = {}
    bands = []
    for labels, points in rows:
        band = [value - below.get(at, 0.0) for at, value in points]
        below |= dict(points)
        bands.append((labels["le"], _times(points), band))
    return go.Figure(
        go.Heatmap(
            x=bands[0][1],
            y=[f"≤ {bound} s" for bound, _, _ in bands],
            z=[band for _, _, band in bands],
            colorscale="Turbo",
            showscale=False,
        )
    )


def _times(points: Sequence[tuple[float, float]]) -> list[float]:
    """Seconds since the first point: a picture need not tell when it was made."""
    return [at - points[0][0] for at, _ in points]


def _legend(form: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), form)


def _last(answer: Answer, unit: str) -> str:
    value = answer.series[0][1][-1][1]
    if unit == ".1%":
        return f"{value:.1%}"
    return f"{value:.3g}{_AFTER.get(unit, '')}"
