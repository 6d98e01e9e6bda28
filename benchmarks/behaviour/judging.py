"""From what the user saw and what the server did to a row of the table."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tokenline_stages.simulator import Entry

from .peers.observing import Observation
from .scenarios import INPUT_TOKENS, LINGER_S, WATCH_S, Scenario

_CLASSES = re.compile(r"^(?:[\w.]+(?:Error|Exception|Exception -)[: ]+)+")
"""Names of exceptions that a message begins with."""

PROMPT_MS = 50.0
"""What is later than this is set in bold."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one client made of one scenario.

    Attributes:
        client: its title.
        sees: what the user sees.
        text: characters that the reading loop got, of those sent.
        kept: what the library itself has of a broken answer.
        noticed_ms: from the fault to the user's `except` or the loop's end.
        closed_ms: from leaving to the closed connection, as the server saw it; None if there
            was nothing to close.
        closed: the same in words.
        tasks_left: tasks of the library a second later.
        requests: how many it sent.
        observation: everything the client's process said.
    """

    client: str
    sees: str
    text: str
    kept: str
    noticed_ms: float | None
    closed_ms: float | None
    closed: str
    tasks_left: int
    requests: int
    observation: Observation


def judge(scenario: Scenario, client: str, seen: Observation, entries: list[Entry]) -> Row:
    """One row; `entries` are all requests of this scenario."""
    if not entries:
        return Row(client, _error(seen), "", "", None, None, "", len(seen.tasks_left), 0, seen)
    last = entries[-1]
    over = scenario.fault_at == "end"  # the server had closed it, or was about to
    closed_ms, closed = (None, "") if over else _closing(seen, last)
    return Row(
        client=client,
        sees=_sees(scenario, seen, last),
        text=f"{len(seen.text)} / {len(last.text)}",
        kept=_kept(seen, last),
        noticed_ms=_noticed_ms(scenario, seen, entries),
        closed_ms=closed_ms,
        closed=closed,
        tasks_left=len(seen.tasks_left),
        requests=len(entries),
        observation=seen,
    )


def _sees(scenario: Scenario, seen: Observation, last: Entry) -> str:
    if scenario.action in ("leave", "drop", "cancel"):
        return _error(seen) if seen.error not in (None, "asyncio.CancelledError") else "left"
    if seen.outcome == "waiting":
        return f"nothing in {WATCH_S:g} s"
    if scenario.tools:
        return _call(seen)
    if seen.outcome == "raised":
        return _error(seen)
    whole = last.outcome == "complete" and not last.faults
    if whole and seen.text == last.text:
        return "the whole answer"
    return f"**a normal end** (finish reason `{seen.finish_reason}`)"


def _call(seen: Observation) -> str:
    if seen.executed:
        return f"**runs** `{seen.executed[0]}`"
    if seen.outcome == "raised":
        return _error(seen)
    gives = f"gives `{', '.join(seen.calls)}`" if seen.calls else "gives no call"
    repaired = any(call.startswith("{") for call in seen.calls)  # an object, not the cut text
    return f"{f'**{gives}**' if repaired else gives}; finish reason `{seen.finish_reason}`"


def _error(seen: Observation) -> str:
    name = str(seen.error).rpartition(".")[2]
    package = str(seen.error).partition(".")[0]
    words = _plain(seen.message or "")
    return f"`{package}` `{name}`: {words}" if words else f"`{package}` `{name}`"


def _plain(message: str) -> str:
    """A message without ports and ids, cut to a table's width."""
    text = re.sub(r"127\.0\.0\.1:\d+|req_\w+", "...", message).replace("|", "/")
    text = _CLASSES.sub("", text).removeprefix("- ")
    return text if len(text) <= 70 else text[:70].rstrip() + "..."


def _kept(seen: Observation, last: Entry) -> str:
    if seen.outcome == "ended" and not seen.kept_text:
        return ""
    parts = []
    if seen.kept_text:
        parts.append("text" if seen.kept_text == last.text else f"{len(seen.kept_text)} characters")
    if str(INPUT_TOKENS) in (seen.kept_usage or ""):
        parts.append("usage")
    elif re.search(r"tokens'?[=:] ?[1-9]", seen.kept_usage or ""):
        parts.append("a count of its own")
    return " and ".join(parts) or "nothing"


def _noticed_ms(scenario: Scenario, seen: Observation, entries: list[Entry]) -> float | None:
    if scenario.fault_at is None or seen.noticed_ns is None:
        return None
    fault_ns = _fault_ns(scenario.fault_at, entries)
    return None if fault_ns is None else (seen.noticed_ns - fault_ns) / 1e6


def _fault_ns(fault_at: str, entries: list[Entry]) -> int | None:
    last = entries[-1]
    match fault_at:
        case "end":
            return last.ended_ns
        case "write" if last.sent_ns:
            return last.sent_ns[-1]
        case "content" if last.token_ns:
            return last.token_ns[-1]
        case _:
            return entries[0].received_ns


def _closing(seen: Observation, last: Entry) -> tuple[float | None, str]:
    left_ns = seen.left_ns if seen.left_ns is not None else seen.noticed_ns
    if last.outcome == "open":
        return None, f"**not within {LINGER_S:g} s**"
    if last.outcome != "client_gone" or last.ended_ns is None or left_ns is None:
        return None, ""
    closed_ms = (last.ended_ns - left_ns) / 1e6
    words = f"{max(closed_ms, 0.0):.1f} ms"
    return closed_ms, words if closed_ms <= PROMPT_MS else f"**{words}**"
