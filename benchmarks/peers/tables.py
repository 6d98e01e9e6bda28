"""Markdown tables of the figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .figures import first_token_p99, growth, middle, short
from .results import Results
from .roster import CLIENTS, FLOOR
from .targets import check_all

_COLUMNS = (
    ("batch", "CPU/event, batch, µs"),
    ("paced", "CPU/event, paced, µs"),
    ("paced_tls", "the same, TLS, µs"),
    ("streams", "streams a core"),
    ("first_token", "first token, ms (p99)"),
    ("request", "CPU/request, ms"),
    ("memory", "KB/stream"),
    ("cold", "cold start, s"),
)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, all columns but the first to the right; nothing if it has no rows."""
    if not rows:
        return ""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def clients_table(results: Results, only: Sequence[str] = ()) -> str:
    """Clients down, figures across: medians and, in brackets, how many times the floor's."""
    columns = [(row, title) for row, title in _COLUMNS if results.figures(row)]
    rows = []
    for name in only or CLIENTS:
        cells = [_cell(results, row, name) for row, _ in columns]
        if any(cell != "-" for cell in cells):
            rows.append([f"**{name}**" if name == "tokenline" else name, *cells])
    return table(["client", *[title for _, title in columns]], rows)


def _cell(results: Results, row: str, client: str) -> str:
    found = middle(results, row, client)
    if found is None:
        return "failed" if client in results.data["rows"][row]["failures"] else "-"
    text = f"{found.value:,.0f}" if row == "streams" else short(found.value)
    if row == "first_token":
        return f"{text} ({short(first_token_p99(results, client))})"
    floor = middle(results, row, FLOOR)
    if floor is None or client == FLOOR or row in ("memory", "request", "cold"):
        return text
    ratio = found.value / floor.value
    return f"{text} ({ratio:.1f} x)" if ratio >= 1 else f"{text} ({ratio:.2f} x)"


def spread_table(results: Results) -> str:
    """Least to greatest over rounds."""
    skipped = ("streams",)
    columns = [pair for pair in _COLUMNS if pair[0] not in skipped and results.figures(pair[0])]
    rows = []
    for name in CLIENTS:
        found = [middle(results, row, name) for row, _ in columns]
        if any(found):
            rows.append([name, *["-" if each is None else each.spread for each in found]])
    return table(["client", *[title.removesuffix(" (p99)") for _, title in columns]], rows)


def targets_table(results: Results) -> str:
    """Targets, and whether they are met."""
    rows = [
        [each.what, each.target, each.measured, "met" if each.met else "**not met**"]
        for each in check_all(results)
    ]
    return table(["what", "target", "measured", ""], rows)


def linear_table(results: Results) -> str:
    """Cost in long streams and of large tool arguments."""
    rows = []
    for name, figures in results.figures("linear").items():
        pairs = [growth(results, name, *pair) for pair in (("long", "short"), ("large", "small"))]
        if not figures:
            reason = results.data["rows"]["linear"]["failures"].get(name, "")
            rows.append([name, "-", "-", reason])
            continue
        cells = ["-" if each is None else f"{each.value:.2f} ({each.spread})" for each in pairs]
        rows.append([name, f"{figures[0]['events']:,}", *cells])
    return table(
        ["client", "events of the long stream", "event: long / 1,000", "fragment: large / small"],
        rows,
    )


def loads_table(results: Results, row: str) -> str:
    """Loads at each number of streams."""
    head = [
        "client",
        "streams",
        "events/s",
        "p50, ms",
        "p99, ms",
        "worst, ms",
        "CPU, %",
        "CPU/event, µs",
        "RSS, MB",
    ]
    head += ["server late p99, ms", "server CPU, %"]
    rows = [
        [name, *_load_cells(load)] for name, loads in results.figures(row).items() for load in loads
    ]
    return table(head, rows)


def _load_cells(load: dict[str, Any]) -> list[str]:
    return [
        f"{load['streams']}",
        f"{load['events_per_s']:,.0f}",
        short(load["p50_ms"]),
        short(load["p99_ms"]),
        short(load["max_ms"]),
        f"{load['cpu'] * 100:.0f}",
        short(load["cpu"] / load["events_per_s"] * 1e6),
        f"{load['rss_mb']:.0f}",
        short(load["server_late_ms"]),
        f"{load['server_cpu'] * 100:.0f}",
    ]
