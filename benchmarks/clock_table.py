"""Errors of clocks: what was observed of a run, by how much it missed the truth, and a table."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from tokenline.events import CONTENT_EVENTS
from tokenline.record import RunRecord
from tokenline.run import Run

STAMPS = ("headers", "first chunk", "first token", "first answer", "first delivery")
MS_NS = 1e6


@dataclass(slots=True)
class Observed:
    """One run: its record and the receive time of every content event."""

    record: RunRecord
    content_ns: list[int]


@dataclass(slots=True)
class Errors:
    """Ours minus the server's, ms, by what was measured; of one request or of many.

    Attributes:
        rows: name of what was measured to its errors.
        events: when the server wrote each content event, and when it was ours, ns.
    """

    rows: dict[str, list[float]] = field(default_factory=dict)
    events: list[tuple[int, int]] = field(default_factory=list)

    def add(self, name: str, ours_ns: int, truth_ns: int) -> None:
        """One more."""
        self.rows.setdefault(name, []).append((ours_ns - truth_ns) / MS_NS)

    def add_events(self, ours_ns: Sequence[int], truth_ns: Sequence[int]) -> None:
        """Every content event of one response, and the gaps between them."""
        for ours, truth in zip(ours_ns, truth_ns, strict=True):
            self.add("every event", ours, truth)
            self.events.append((truth, ours))
        for at in range(1, len(ours_ns)):
            gap = ours_ns[at] - ours_ns[at - 1]
            self.add("gap", gap, truth_ns[at] - truth_ns[at - 1])

    def add_stamps(self, record: RunRecord, truths: Mapping[str, int]) -> None:
        """The stamps of one response.

        Raises:
            RuntimeError: one was not measured.
        """
        timings = record.timings
        ours = (
            timings.headers_ns,
            timings.first_chunk_ns,
            timings.first_token_ns,
            timings.first_answer_ns,
            timings.first_delivery_ns,
        )
        for name, stamp_ns in zip(STAMPS, ours, strict=True):
            if stamp_ns is None:
                raise RuntimeError(f"{name} was not measured")
            self.add(name, stamp_ns, truths[name])

    def merge(self, other: Errors) -> None:
        """Take over what another holds."""
        self.events += other.events
        for name, values in other.rows.items():
            self.rows.setdefault(name, []).extend(values)


async def observe(run: Run) -> Observed:
    """Read one stream to its end."""
    async with run:
        content_ns = [event.recv_ns async for event in run if type(event) in CONTENT_EVENTS]
    if run.record is None:
        raise RuntimeError("the run has no record")
    return Observed(run.record, content_ns)


def payload_for(model: str = "sim") -> dict[str, Any]:
    """A small request that every chat API takes."""
    messages = [{"role": "user", "content": "hello"}]
    return {"model": model, "max_tokens": 4096, "messages": messages}


def quantile(values: Sequence[float], q: float) -> float:
    """The value below which a share `q` lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def show(title: str, errors: Errors) -> Table:
    """Errors in ms."""
    table = Table(title=f"{title}: ours minus the server's, ms", title_justify="left")
    for heading in ("what", "n", "least", "median", "p99", "most"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for name, values in errors.rows.items():
        figures = (min(values), statistics.median(values), quantile(values, 0.99), max(values))
        table.add_row(name, str(len(values)), *(f"{value:.3f}" for value in figures))
    return table
