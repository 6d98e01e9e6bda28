"""What the command line shows of a finished run: TTFT breakdown, stages, waterfall.

How the times add up: from issuing the request to the end of the response, duration = provider
(the source waiting for headers and bytes) + stages (the sum of their processing) + blocked (the
source waiting for room in a queue) + other (event loop, queue hand-over, everything not in a
stage). Where stages work in tasks of their own, beside the provider's time or each other's, the
sum exceeds the duration; the difference is shown as "at the same time".

Columns: work = processing; wait = no input (the source: the provider); queued = time that batches
lay in its inbox; blocked = no room downstream; high = most items that ever lay in the inbox.
"""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from tokenline.record import LoopLag, RunRecord, StageKind, StageRecord

BAR_WIDTH = 50
_OUTSIDE = (StageKind.CONSUMER, StageKind.TRACE_EMITTER)


def ms(ns: int | None, digits: int = 3) -> str:
    """Nanoseconds as milliseconds, or a dash."""
    return "-" if ns is None else f"{ns / 1e6:.{digits}f}"


def breakdown(record: RunRecord) -> Table:
    """The five TTFT flavours, each from issuing the request, and what each step added."""
    timings = record.timings
    table = Table(
        title=f"{_title(record)}: time to ...",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for heading in ("stamp", "ms", "+ ms", "stopped by"):
        table.add_column(heading, justify="left" if heading in ("stamp", "stopped by") else "right")
    setup_ns = timings.request_ns - timings.started_ns if timings.request_ns else None
    table.add_row("(set-up before it)", ms(setup_ns), "", "client ready, request issued")
    if timings.request_ns is None:
        return table
    previous = timings.request_ns
    stamps = [
        ("headers", timings.headers_ns, "response headers received"),
        ("first chunk", timings.first_chunk_ns, "first provider event decoded"),
        ("first token", timings.first_token_ns, "first text, reasoning or tool call"),
        ("first answer token", timings.first_answer_ns, "first content, reasoning apart"),
        ("first delivery", timings.first_delivery_ns, "first content given to the caller"),
        ("end", timings.ended_ns, "response received, accumulated"),
    ]
    for name, stamp, stopped_by in sorted(stamps, key=lambda row: row[1] or timings.closed_ns):
        if stamp is None:
            table.add_row(name, "-", "-", stopped_by)
            continue
        table.add_row(name, ms(stamp - timings.request_ns), ms(stamp - previous), stopped_by)
        previous = stamp
    return table


def stage_table(record: RunRecord) -> Table:
    """Every stage with its times and its queue."""
    table = Table(
        title="stages (times in ms)", title_justify="left", box=SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("stage", no_wrap=True)
    for heading in ("in", "out", "reads", "work", "wait", "queued", "blocked", "high"):
        table.add_column(heading, justify="right", no_wrap=True)
    for stage in record.stages:
        mark = f"{stage.high_water_items}/{stage.capacity_items}" if stage.capacity_items else "-"
        table.add_row(
            stage.name,
            str(stage.items_in),
            str(stage.items_out),
            str(stage.batches),
            ms(stage.processing_ns),
            ms(stage.idle_ns, 1),
            ms(stage.queue_wait_ns),
            ms(stage.blocked_ns),
            mark,
        )
    return table


def account(record: RunRecord) -> str:
    """One line that shows how the times add up; see the module's docstring."""
    timings = record.timings
    if timings.request_ns is None:
        return "no request was sent"
    inside = [stage for stage in record.stages if stage.kind not in _OUTSIDE]
    duration = timings.ended_ns - timings.request_ns
    provider = sum(s.idle_ns for s in inside if s.kind is StageKind.SOURCE)
    stages = sum(stage.processing_ns for stage in inside)
    # Only the source's: while it waits for room, stages behind it wait for the same.
    blocked = sum(s.blocked_ns for s in inside if s.kind is StageKind.SOURCE)
    other = duration - provider - stages - blocked
    rest = f"other {ms(other)}" if other >= 0 else f"at the same time {ms(other)}"
    return (
        f"{ms(duration)} ms = provider {ms(provider)} + stages {ms(stages)}"
        f" + blocked {ms(blocked)} + {rest}"
        f" ({_percent(max(0, duration - provider), duration)} ours)"
        f"{_blocks(record.loop_lag)}"
    )


def _blocks(lag: LoopLag | None) -> str:
    if lag is None:
        return ""
    if not lag.blocks:
        return "; event loop not blocked"
    return (
        f"; event loop blocked {ms(lag.blocked_ns, 1)} ms in {lag.blocks} blocks"
        f" (longest {ms(lag.max_block_ns, 1)}, before the first token"
        f" {ms(lag.first_token_blocked_ns, 1)})"
    )


def waterfall(record: RunRecord) -> Text:
    """One line for each stage: when it was there (line) and how much it worked (number)."""
    timings = record.timings
    start = timings.request_ns or timings.started_ns
    span = max(1, timings.closed_ns - start)
    lines = Text()
    lines.append(f"{'':<14}0 ms{ms(span, 1) + ' ms':>{BAR_WIDTH - 4}}\n", style="dim")
    for stage in record.stages:
        lines.append(f"{stage.name:<14}")
        lines.append_text(_bar(stage, start, span))
        lines.append(f" {ms(stage.processing_ns)} ms\n", style="dim")
    return lines + _marks(record, start, span)


def show_run(console: Console, record: RunRecord) -> None:
    """Print all of it."""
    console.print(as_group(record))


def as_group(record: RunRecord) -> RenderableType:
    """All of it as one renderable."""
    return Group(
        breakdown(record),
        stage_table(record),
        Text(account(record)),
        Text(),
        waterfall(record),
        Text(_summary(record)),
    )


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)


def _title(record: RunRecord) -> str:
    return f"{record.info.provider} {record.response_model or record.info.model or ''}".strip()


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole > 0 else "-"


def _cell(at_ns: int, start_ns: int, span_ns: int) -> int:
    return min(BAR_WIDTH - 1, max(0, (at_ns - start_ns) * BAR_WIDTH // span_ns))


def _bar(stage: StageRecord, start_ns: int, span_ns: int) -> Text:
    first = _cell(stage.started_ns, start_ns, span_ns)
    last = _cell(stage.ended_ns, start_ns, span_ns)
    bar = Text(" " * first)
    style = "cyan" if stage.kind is StageKind.SOURCE else "green"
    bar.append("━" * (last - first + 1), style=style)
    bar.append(" " * (BAR_WIDTH - 1 - last))
    return bar


def _marks(record: RunRecord, start_ns: int, span_ns: int) -> Text:
    """Letters under the bars: when headers, chunk, token, answer and delivery came."""
    timings = record.timings
    cells: dict[int, str] = {}
    for letter, stamp in (
        ("H", timings.headers_ns),
        ("C", timings.first_chunk_ns),
        ("T", timings.first_token_ns),
        ("A", timings.first_answer_ns),
        ("D", timings.first_delivery_ns),
    ):
        if stamp is not None:
            cell = _cell(stamp, start_ns, span_ns)
            cells[cell] = cells.get(cell, "") + letter
    line = ""
    for cell in sorted(cells):
        line += " " * (cell - len(line)) + cells[cell]
    text = Text(f"{'':<14}")
    text.append(f"{line:<{BAR_WIDTH}}\n", style="yellow")
    text.append(
        f"{'':<14}H headers  C chunk  T token  A answer  D delivery\n",
        style="dim",
    )
    return text


def _summary(record: RunRecord) -> str:
    gaps = record.gaps
    parts = [f"outcome {record.outcome.value}", f"{record.chunks} content events"]
    parts.append(
        f"gap p50 {ms(gaps.p50_ns, 2)} p99 {ms(gaps.p99_ns, 2)} max {ms(gaps.max_ns, 2)} ms"
    )
    usage = record.usage
    if usage is not None and usage.output_tokens is not None:
        parts.append(f"{usage.input_tokens} in / {usage.output_tokens} out tokens")
        window = (record.timings.last_token_ns or 0) - (record.timings.first_token_ns or 0)
        if window > 0 and usage.output_tokens > 1:
            parts.append(f"{(usage.output_tokens - 1) / (window / 1e9):.1f} tokens/s")
    return ", ".join(parts)
