"""One request in time: its phases, then each stage of the pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import plotly.graph_objects as go

from tokenline_stages.traces import TraceRecord
from tokenline_stages.traces.record import TraceStage

from .style import BLOCKED, PHASES, WAITING, WORK, layout

_MS = 1e6
_MARKS = (
    ("headers", "headers_ns"),
    ("first chunk", "first_chunk_ns"),
    ("first token", "first_token_ns"),
    ("first answer", "first_answer_ns"),
    ("last token", "last_token_ns"),
)


def waterfall(record: TraceRecord) -> go.Figure:
    """Bars from the start of the run in milliseconds; what a stage did is in its hover text."""
    figure = go.Figure()
    names = ["request"]
    for phase, (start_ms, length_ms), color in _phases(record):
        figure.add_bar(
            y=["request"],
            base=[start_ms],
            x=[length_ms],
            orientation="h",
            name=phase,
            marker_color=color,
            hovertemplate=f"{phase}: {length_ms:.2f} ms, from {start_ms:.2f}<extra></extra>",
        )
    for stage in record.stages:
        if stage.started_ns is not None and stage.ended_ns is not None:
            names.append(stage.name)
            _add_stage(figure, stage)
    height = 130 + 26 * len(names)
    figure.update_layout(**layout("ms from the start of the run", "", height, barmode="overlay"))
    return figure.update_yaxes(categoryorder="array", categoryarray=names[::-1])


def _phases(record: TraceRecord) -> Iterator[tuple[str, tuple[float, float], str]]:
    timings = record.timings
    moments = [("set-up", 0), ("to headers", timings.request_ns)]
    reached = [(name, getattr(timings, field)) for name, field in _MARKS]
    moments += [(f"to {later}", at) for (_, at), (later, _) in pairwise(reached) if at is not None]
    moments.append(("to the end", timings.last_token_ns))
    known = sorted([(at, name) for name, at in moments if at is not None])
    ends = [at for at, _ in known[1:]] + [timings.ended_ns]
    for number, ((at, name), end) in enumerate(zip(known, ends, strict=True)):
        if end > at:
            yield name, (at / _MS, (end - at) / _MS), PHASES[number % len(PHASES)]


def _add_stage(figure: go.Figure, stage: TraceStage) -> None:
    """How long it was there, and over that its work, drawn from the left."""
    start_ns, end_ns = stage.started_ns or 0, stage.ended_ns or 0
    text = (
        f"{stage.name}: there {(end_ns - start_ns) / _MS:.2f} ms, work"
        f" {stage.processing_ns / _MS:.3f}, waiting for input {stage.idle_ns / _MS:.2f},"
        f" blocked {stage.blocked_ns / _MS:.2f}, its queue {stage.queue_wait_ns / _MS:.2f}<br>"
        f"{stage.items_in} items in, {stage.items_out} out, {stage.batches} batches"
    )
    at_ns = start_ns
    worked = f"work {stage.processing_ns / _MS:.2f} ms"
    for length_ns, color, label in (
        (max(end_ns - start_ns, 0), WAITING, worked),
        (stage.processing_ns, WORK, ""),
        (stage.blocked_ns, BLOCKED, ""),
    ):
        figure.add_bar(
            y=[stage.name],
            base=[at_ns / _MS],
            x=[length_ns / _MS],
            orientation="h",
            marker_color=color,
            text=label,
            textposition="inside",
            insidetextanchor="end",
            showlegend=False,
            hovertemplate=text + "<extra></extra>",
        )
        at_ns += 0 if color == WAITING else length_ns


LEGEND = (
    f'<p>Stages: <b style="color:{WAITING}">■</b> there, <b style="color:{WORK}">■</b> work and'
    f' <b style="color:{BLOCKED}">■</b> blocked, each summed and drawn from the left.'
    " Point at a bar for all of its figures.</p>"
)
