"""Trace records as text on a terminal: a table of many, all there is to see of one."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tokenline_stages.traces import TraceRecord

_STYLES = {"ok": "green", "error": "red", "timeout": "red", "cancelled": "yellow"}
_ID_CHARS = 8
_COLUMNS = (
    ("id", _ID_CHARS),
    ("started (UTC)", 14),
    ("model", None),
    ("outcome", 9),
    ("TTFT s", 6),
    ("total s", 7),
    ("in", 4),
    ("out", 4),
    ("ended with", None),
)
"""Headings and least widths; None may be cut where the terminal is narrow."""

_NUMBERS = frozenset({"TTFT s", "total s", "in", "out"})
_SHOWN_CHARS = 4000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def _clean(text: str) -> str:
    """Text of strangers without what a terminal would obey."""
    return _CONTROL.sub("\ufffd", text)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _count(value: int | None, estimated: bool = False) -> str:
    return "-" if value is None else f"{'~' if estimated else ''}{value}"


def as_table(records: list[TraceRecord]) -> Table:
    """One line for each record; times in seconds, `~` before estimated counts."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading, width in _COLUMNS:
        if width is None:
            table.add_column(heading, no_wrap=True, overflow="ellipsis")
        else:
            justify: JustifyMethod = "right" if heading in _NUMBERS else "left"
            table.add_column(heading, justify=justify, no_wrap=True, min_width=width)
    for record in records:
        table.add_row(*_cells(record))
    return table


def _cells(record: TraceRecord) -> list[str | Text]:
    usage, timings = record.usage, record.timings
    ending = record.error.type if record.error else record.response.finish_reason or "-"
    return [
        record.id.removeprefix("trace-")[:_ID_CHARS],
        f"{record.started_at:%m-%d %H:%M:%S}",
        Text(_clean(record.model or "-")),
        Text(record.outcome, style=_STYLES.get(record.outcome, "red")),
        _seconds(timings.time_to_first_token_s),
        _seconds(timings.duration_s),
        _count(usage.input_tokens if usage else None, bool(usage and usage.estimated)),
        _count(usage.output_tokens if usage else None, bool(usage and usage.estimated)),
        Text(_clean(ending)),
    ]


def show_record(console: Console, record: TraceRecord) -> None:
    """Print all of one record."""
    console.print(Text(record.id, style="bold"))
    console.print(_facts(record))
    console.print(_times(record))
    if record.stages:
        console.print(_stages(record))
    console.print(Text("request", style="bold"))
    console.print(_indented(_as_json(record.request)))
    console.print(Text("response", style="bold"))
    for part in record.response.content:
        _show_part(console, part)
    if record.error is not None:
        console.print(Text(f"{record.error.type}: {_clean(record.error.message)}", style="red"))
    notes = [f"{record.redacted} redacted"] if record.redacted else []
    notes += [f"{record.cut} cut"] if record.cut else []
    notes += [] if record.content else ["content was not recorded"]
    if notes:
        console.print(Text(", ".join(notes), style="dim"))


def _facts(record: TraceRecord) -> Table:
    table = Table.grid(padding=(0, 2))
    usage = record.usage
    rows: dict[str, object] = {
        "started": f"{record.started_at:%Y-%m-%d %H:%M:%S.%f} UTC",
        "provider": f"{record.provider} ({record.api})",
        "server": record.server_address and f"{record.server_address}:{record.server_port}",
        "model": record.model,
        "asked for": record.request_model if record.request_model != record.model else None,
        "outcome": record.outcome,
        "finish": record.response.finish_reason,
        "attempts": record.attempts if record.attempts != 1 else None,
    }
    if usage is not None:
        mark = ", estimated" if usage.estimated else ""
        cached = f", {usage.cached_input_tokens} cached" if usage.cached_input_tokens else ""
        reasoning = f", {usage.reasoning_tokens} reasoning" if usage.reasoning_tokens else ""
        rows["tokens"] = (
            f"{_count(usage.input_tokens)} in{cached},"
            f" {_count(usage.output_tokens)} out{reasoning}{mark}"
        )
    ids = msgspec.structs.asdict(record.ids)
    for name, value in {**rows, **ids, **record.tags}.items():
        if value is not None:
            table.add_row(Text(_clean(name), style="dim"), Text(_clean(str(value))))
    return table


def _times(record: TraceRecord) -> Table:
    timings = record.timings
    table = Table(title="time to ...", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("headers", "first chunk", "first token", "first answer", "delivery", "end"):
        table.add_column(heading, justify="right")
    table.add_row(
        *map(
            _seconds,
            (
                timings.time_to_headers_s,
                timings.time_to_first_chunk_s,
                timings.time_to_first_token_s,
                timings.time_to_first_answer_s,
                timings.time_to_first_delivery_s,
                timings.duration_s,
            ),
        )
    )
    return table


def _stages(record: TraceRecord) -> Table:
    table = Table(
        title="stages (times in ms)", title_justify="left", box=SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("stage")
    for heading in ("in", "out", "work", "wait", "queued", "blocked", "dropped", "errors"):
        table.add_column(heading, justify="right")
    for stage in record.stages:
        times = (stage.processing_ns, stage.idle_ns, stage.queue_wait_ns, stage.blocked_ns)
        table.add_row(
            Text(_clean(stage.name)),
            str(stage.items_in),
            str(stage.items_out),
            *(f"{time / 1e6:.3f}" for time in times),
            str(stage.dropped_items),
            str(stage.errors),
        )
    return table


def _show_part(console: Console, part: Any) -> None:
    if not isinstance(part, dict):
        return
    kind = str(part.get("type", "part"))
    name = f" {part['name']}" if "name" in part else ""
    unfinished = " (incomplete)" if kind == "tool_call" and not part.get("complete") else ""
    console.print(_indented(f"[{_clean(kind + name)}{unfinished}]", style="dim"))
    text = part.get("text") or part.get("arguments")
    if isinstance(text, str):
        console.print(_indented(_clean(text)))
    elif "text" not in part and "arguments" not in part:
        console.print(_indented(_as_json(part)))


def _indented(text: str, style: str = "") -> Padding:
    shown = text[:_SHOWN_CHARS]
    if len(text) > _SHOWN_CHARS:
        shown += f" ... ({len(text)} characters; --json shows all)"
    return Padding(Text(shown, style=style), (0, 0, 0, 2))


def _as_json(value: Any) -> str:
    # In JSON every control character is escaped.
    return msgspec.json.format(msgspec.json.encode(value)).decode()
