"""Puts the page together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from tokenline_stages.traces import TraceRecord

from . import figures
from .style import CSS
from .waterfall import LEGEND, waterfall

SLOWEST = 20
_DRAWN = 8
_HEADS = (
    "start, UTC",
    "model",
    "outcome",
    "id",
    "first token",
    "headers",
    "longest gap",
    "duration",
    "loop blocked before",
    "output tokens",
    "attempts",
)
_TEXT_COLUMNS = 4
# A chart that was hidden when it was drawn does not know its width.
_ON_TOGGLE = (
    "ontoggle=\"this.querySelectorAll('.js-plotly-plot').forEach(c => Plotly.Plots.resize(c))\""
)
_CONFIG = {"displaylogo": False, "displayModeBar": False, "responsive": True}


def write_report(records: Sequence[TraceRecord], path: Path, title: str) -> None:
    """Write the page; raises `OSError` if that fails."""
    path.write_text(page(records, title), encoding="utf-8")


def page(records: Sequence[TraceRecord], title: str) -> str:
    """The page as text, for at least one record."""
    body = "\n".join(_body(records, title))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}</style><script>{get_plotlyjs()}</script>"
        f"</head><body><main>{body}</main></body></html>\n"
    )


def _body(records: Sequence[TraceRecord], title: str) -> Iterator[str]:
    first, last = min(r.started_at for r in records), max(r.started_at for r in records)
    span = f"{first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC"
    yield f"<h1>{escape(title)}</h1><p>{len(records)} requests, {span}</p>"
    yield _cards(records)
    yield "<h2>Time to first token</h2>"
    yield "<p>From issuing the request to the first text, reasoning or tool call.</p>"
    yield _drawn(figures.first_token_shares(records))
    yield _drawn(figures.first_tokens_in_time(records))
    yield "<h2>Where the time to the first token goes</h2>"
    yield "<p>What each step added, until the consumer's code had the first content.</p>"
    yield _drawn(figures.first_token_steps(records))
    yield "<h2>Stages of the pipeline</h2>"
    yield "<p>The provider's time and the consumer's own code are in none of these.</p>"
    yield _drawn(figures.stage_times(records))
    yield "<h2>Gaps between chunks</h2>"
    yield "<p>One point for each stream; stalls are at the top.</p>"
    yield _drawn(figures.gaps(records))
    yield from _slowest(records)


def _cards(records: Sequence[TraceRecord]) -> str:
    first_tokens = _known([r.timings.time_to_first_token_s for r in records])
    longest = _known([r.timings.chunk_gap_max_s for r in records])
    blocked = sum((r.timings.loop_blocked_s or 0) > 0 for r in records)
    outcomes = Counter(r.outcome for r in records)
    cards = [
        ("first token, median", _seconds(_quantile(first_tokens, 0.5))),
        ("first token, p95", _seconds(_quantile(first_tokens, 0.95))),
        ("first token, p99", _seconds(_quantile(first_tokens, 0.99))),
        ("longest gap, p95", _seconds(_quantile(longest, 0.95))),
        ("of them with a blocked loop", f"{blocked / len(records):.0%}"),
        *((escape(outcome), str(count)) for outcome, count in outcomes.most_common()),
    ]
    inner = "".join(
        f'<div class="card"><b>{value}</b><span>{name}</span></div>' for name, value in cards
    )
    return f'<div class="cards">{inner}</div>'


def _slowest(records: Sequence[TraceRecord]) -> Iterator[str]:
    timed = [r for r in records if r.timings.time_to_first_token_s is not None]
    slowest = sorted(timed, key=lambda r: -(r.timings.time_to_first_token_s or 0))[:SLOWEST]
    if not slowest:
        return
    yield "<h2>Slowest first tokens</h2>"
    yield _table(slowest)
    yield "<h2>Waterfalls</h2>"
    yield LEGEND
    for number, record in enumerate(slowest[:_DRAWN]):
        yield _waterfall(record, opened=number == 0)
    typical = sorted(timed, key=lambda r: r.timings.time_to_first_token_s or 0)[len(timed) // 2]
    if typical not in slowest[:_DRAWN]:
        yield _waterfall(typical, opened=True, remark="a typical one: ")


def _table(records: Sequence[TraceRecord]) -> str:
    head = "".join(f'<th class="{_kind(n)}">{name}</th>' for n, name in enumerate(_HEADS))
    rows = "".join(f"<tr>{_cells(record)}</tr>" for record in records)
    return f'<div class="box"><table><tr>{head}</tr>{rows}</table></div>'


def _cells(record: TraceRecord) -> str:
    timings, usage = record.timings, record.usage
    tokens = usage.output_tokens if usage is not None else None
    cells = (
        f"{record.started_at:%m-%d %H:%M:%S}",
        f"{escape(record.provider)} {escape(record.model or '')}",
        escape(record.outcome),
        f"<code>{escape(record.id.removeprefix('trace-')[:13])}</code>",
        _seconds(timings.time_to_first_token_s),
        _seconds(timings.time_to_headers_s),
        _seconds(timings.chunk_gap_max_s),
        _seconds(timings.duration_s),
        _seconds(timings.loop_blocked_before_first_token_s),
        "-" if tokens is None else str(tokens),
        str(record.attempts),
    )
    return "".join(f'<td class="{_kind(n)}">{cell}</td>' for n, cell in enumerate(cells))


def _kind(column: int) -> str:
    return "text" if column < _TEXT_COLUMNS else "number"


def _waterfall(record: TraceRecord, *, opened: bool, remark: str = "") -> str:
    first = _seconds(record.timings.time_to_first_token_s)
    title = (
        f"{remark}{escape(record.provider)} {escape(record.model or '')}, first token after"
        f" {first}, {escape(record.outcome)}, <code>{escape(record.id)}</code>"
    )
    state = " open" if opened else ""
    drawn = _drawn(waterfall(record))
    return f"<details{state} {_ON_TOGGLE}><summary>{title}</summary>{drawn}</details>"


def _drawn(figure: go.Figure) -> str:
    html = figure.to_html(include_plotlyjs=False, full_html=False, config=_CONFIG)
    return f'<div class="box">{html}</div>'


def _known(values: Sequence[float | None]) -> list[float]:
    return sorted(value for value in values if value is not None)


def _quantile(ordered: Sequence[float], q: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else None


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f} s" if value >= 1 else f"{value * 1000:.1f} ms"
