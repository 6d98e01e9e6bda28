"""Markdown tables of the figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .figures import Middle, first_token_p99, growth, middle, ratio, short, streams_found
from .results import Results
from .roster import CLIENTS, FLOOR, FLOORS, floor_of
from .search import BROKEN, KEPT, SERVER
from .targets import MET, check_all

_COLUMNS = (
    ("batch", "CPU/event, batch, µs"),
    ("paced", "CPU/event, paced, µs"),
    ("paced_tls", "the same, TLS, µs"),
    ("streams", "streams a core"),
    ("first_token", "first token, ms (p99)"),
    ("request", "CPU/request, ms"),
    ("memory", "KB/stream"),
    ("memory_paced", "KB/stream, 50 events/s"),
    ("cold", "cold start, s"),
)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, all columns but the first to the right; nothing if it has no rows."""
    if not rows:
        return ""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def clients_table(results: Results, only: Sequence[str] = ()) -> str:
    """Clients down, figures across: medians and, in brackets, how many times the floor's.

    That is the floor of the same API, and the median of the ratios of the rounds.
    """
    columns = [(row, title) for row, title in _COLUMNS if results.figures(row)]
    rows = []
    for name in only or CLIENTS:
        cells = [_cell(results, row, name) for row, _ in columns]
        if any(cell != "-" for cell in cells):
            rows.append([f"**{name}**" if name == "tokenline" else name, *cells])
    return table(["client", *[title for _, title in columns]], rows)


def _cell(results: Results, row: str, client: str) -> str:
    if row == "streams":
        return _streams_cell(results, client)
    found = middle(results, row, client)
    if found is None:
        return "failed" if client in results.data["rows"][row]["failures"] else "-"
    text = short(found.value)
    if row == "first_token":
        return f"{text} ({short(first_token_p99(results, client))})"
    floor = floor_of(client)
    times = None
    if client not in FLOORS.values() and row not in ("memory", "memory_paced", "request", "cold"):
        times = ratio(results, row, client, floor)
    return text if times is None else f"{text} ({_times(times.value)})"


def _streams_cell(results: Results, client: str) -> str:
    found, floor = streams_found(results, client), streams_found(results, FLOOR)
    if found is None:
        return "-"
    # The floor's number of streams is that of Chat Completions.
    if floor is None or not floor.least or client == FLOOR or floor_of(client) != FLOOR:
        return found.text
    sign = "" if floor.below is not None else "≤ "
    if found.below is None:
        sign = "" if floor.below is None else "≥ "
    return f"{found.text} ({sign}{_times(found.least / floor.least)})"


def _times(value: float) -> str:
    return f"{value:.1f} x" if value >= 1 else f"{value:.2f} x"


def spread_table(results: Results) -> str:
    """Least to greatest over rounds, and how many there were; a dash for a single one."""
    skipped = ("streams",)
    columns = [pair for pair in _COLUMNS if pair[0] not in skipped and results.figures(pair[0])]
    rows = []
    for name in CLIENTS:
        found = [middle(results, row, name) for row, _ in columns]
        if any(found):
            rows.append([name, *[_spread(each) for each in found]])
    return table(["client", *[title.removesuffix(" (p99)") for _, title in columns]], rows)


def _spread(found: Middle | None) -> str:
    if found is None or found.rounds == 1:
        return "-"
    return f"{found.spread} ({found.rounds})"


def targets_table(results: Results) -> str:
    """Targets, and whether they are met."""
    rows = [
        [each.what, each.target, each.measured, _marked(each.verdict)]
        for each in check_all(results)
    ]
    return table(["what", "target", "measured", ""], rows)


def _marked(verdict: str) -> str:
    return verdict if verdict == MET else f"**{verdict}**"


def linear_table(results: Results) -> str:
    """Cost in long streams and of large tool arguments."""
    rows = []
    for name, figures in results.figures("linear").items():
        pairs = [growth(results, name, *pair) for pair in (("long", "short"), ("large", "small"))]
        done = [each for each in figures if each is not None]
        if not done:
            reason = results.data["rows"]["linear"]["failures"].get(name, "")
            rows.append([name, "-", "-", reason])
            continue
        cells = ["-" if each is None else _growth_cell(each) for each in pairs]
        rows.append([name, f"{done[0]['events']:,}", *cells])
    return table(
        ["client", "events of the long stream", "event: long / 1,000", "fragment: large / small"],
        rows,
    )


def _growth_cell(found: Middle) -> str:
    return f"{found.value:.2f} ({found.spread})" if found.rounds > 1 else f"{found.value:.2f}"


def tries_table(results: Results) -> str:
    """Every load that the search for streams a core tried, in its order."""
    head = [
        "client",
        "streams",
        "events/s",
        "p99, ms",
        "CPU, %",
        "events due, %",
        "of them sent, %",
        "server late p99, ms",
        "server CPU, %",
        "verdict",
    ]
    rows = [
        [name, *_try_cells(load)]
        for name, found in results.figures("streams").items()
        for load in found["loads"]
    ]
    return table(head, rows)


def _try_cells(load: dict[str, Any]) -> list[str]:
    return [
        f"{load['streams']}",
        f"{load['events_per_s']:,.0f}",
        short(load["p99_ms"]),
        f"{load['cpu'] * 100:.0f}",
        f"{load['due'] * 100:.1f}",
        f"{load['sent'] * 100:.1f}",
        short(load["server_late_ms"]),
        f"{load['server_cpu'] * 100:.0f}",
        _VERDICTS[load["verdict"]],
    ]


_VERDICTS = {KEPT: "kept", BROKEN: "limit broken", SERVER: "the server was the limit"}


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
