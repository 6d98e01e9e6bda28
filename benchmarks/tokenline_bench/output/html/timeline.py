"""Every request as a line in time: waiting for its turn, for the first token, streaming."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import plotly.graph_objects as go

from tokenline_bench.results import LevelResult, Results
from tokenline_bench.sample import Sample

from .style import FAILED, FIRST, STREAMED, WAITED, layout

MOST = 800
"""Requests that are drawn of each level."""

_MARKERS = {"error": "x", "timeout": "x", "cancelled": "triangle-left", "unfinished": "line-ns"}


def timelines(results: Results) -> Iterator[go.Figure]:
    """One figure for each level."""
    for result in results.levels:
        if result.samples:
            yield _timeline(result)


def _timeline(result: LevelResult) -> go.Figure:
    samples = sorted(result.samples, key=lambda sample: sample.scheduled_ns)
    step = -(-len(samples) // MOST)
    drawn = samples[::step]
    figure = go.Figure()
    start_ns = result.level.start_ns
    for name, shade, pieces in (
        (
            "due, not yet sent",
            WAITED,
            [(s.scheduled_ns, s.request_ns or s.ended_ns) for s in drawn],
        ),
        ("until the first token", FIRST, [_waiting(s) for s in drawn]),
        ("streaming", STREAMED, [(s.first_token_ns, s.last_token_ns) for s in drawn]),
    ):
        figure.add_scatter(**_lines(pieces, start_ns, name, shade))
    figure.add_scatter(**_endings(drawn, start_ns))
    every = f" (every {step}th)" if step > 1 else ""
    title = f"Requests in time, {result.level.load}{every}"
    height = min(900, 220 + 3 * len(drawn))
    figure.update_layout(**layout(title, "seconds from the start", "request", height))
    figure.update_yaxes(autorange="reversed")
    return figure


def _waiting(sample: Sample) -> tuple[int | None, int | None]:
    end = sample.first_token_ns if sample.first_token_ns is not None else sample.ended_ns
    return sample.request_ns, end


def _lines(
    pieces: Sequence[tuple[int | None, int | None]], start_ns: int, name: str, shade: str
) -> dict[str, object]:
    x: list[float | None] = []
    y: list[int | None] = []
    for number, (begin, end) in enumerate(pieces):
        if begin is None or end is None or end < begin:
            continue
        x += [(begin - start_ns) / 1e9, (end - start_ns) / 1e9, None]
        y += [number, number, None]
    return {
        "x": x,
        "y": y,
        "mode": "lines",
        "name": name,
        "line": {"color": shade, "width": 2},
        "hovertemplate": f"request %{{y}}: %{{x:.3f}} s<extra>{name}</extra>",
    }


def _endings(samples: Sequence[Sample], start_ns: int) -> dict[str, object]:
    failed = [(number, s) for number, s in enumerate(samples) if not s.ok]
    return {
        "x": [(sample.ended_ns - start_ns) / 1e9 for _, sample in failed],
        "y": [number for number, _ in failed],
        "mode": "markers",
        "name": "did not end well",
        "marker": {
            "color": FAILED,
            "size": 7,
            "symbol": [_MARKERS.get(sample.outcome.value, "x") for _, sample in failed],
        },
        "text": [s.failure.type if s.failure else s.outcome.value for _, s in failed],
        "hovertemplate": "request %{y}: %{text}<extra></extra>",
        "showlegend": bool(failed),
    }
