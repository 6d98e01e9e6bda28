"""Added latency under load: from the server's write of each event to the client's hands.

Streams start over a while and all end together; what counts is a window in which all are open:
it begins when the last has started and settled and ends before the first one ends.
Imports nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import time
import urllib.request
from dataclasses import asdict, dataclass, replace
from itertools import count
from typing import Any

from benchmarks.clients.contract import Client
from benchmarks.measures import WrongCountError, headers_of, quantile, rss_bytes

EVENTS_PER_S = 50
MOST_STARTS_PER_S = 500
_TTFT_S = 0.02
_ASK_S = 0.1
"""So long before the window the server is asked for its CPU time: the answer is there by then."""

_numbers = count()


@dataclass(frozen=True, slots=True)
class Window:
    """When streams start and what is looked at, seconds.

    Attributes:
        ramp_s: over which time they start; longer for more than `MOST_STARTS_PER_S` allows.
        settle_s: then nothing counts for so long.
        measure_s: then everything does.
        tail_s: so long the streams go on after that.
    """

    ramp_s: float = 0.6
    settle_s: float = 0.4
    measure_s: float = 1.5
    tail_s: float = 0.1

    def of(self, streams: int) -> Window:
        """The window for so many streams: open streams are what is looked at, not the opening."""
        return replace(self, ramp_s=max(self.ramp_s, streams / MOST_STARTS_PER_S))

    @property
    def total_s(self) -> float:
        """From the first start to the common end."""
        return self.ramp_s + self.settle_s + self.measure_s + self.tail_s


@dataclass(frozen=True, slots=True)
class Load:
    """What was seen in the window.

    Attributes:
        streams: how many were open.
        events_per_s: events that reached the client.
        p50_ms: added latency, median.
        p99_ms: added latency, 99th percentile.
        max_ms: added latency, worst.
        cpu: share of one core that the client used.
        rss_mb: resident memory of the client, 10^6 bytes.
        server_late_ms: how late the server was against its plan, 99th percentile.
        server_cpu: share of one core that the server used.
        due: events due in the window by the plans of the streams that the client had opened,
            as a share of those of all streams: below 1 where it opened them late.
        sent: events that the server wrote in the window, as a share of those due.
    """

    streams: int
    events_per_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu: float
    rss_mb: float
    server_late_ms: float
    server_cpu: float
    due: float
    sent: float

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


async def measure_load(client: Client, control_url: str, streams: int, window: Window) -> Load:
    """Open the streams and look at them.

    Args:
        client: reads them.
        control_url: plain address of the server, for stamps.
        streams: how many.
        window: when.

    Raises:
        WrongCountError: a stream did not bring all its events, or none came in the window.
    """
    gc.collect()
    window = window.of(streams)
    reading = _Reading(client, streams, window)
    from_ns = time.perf_counter_ns() + round((window.ramp_s + window.settle_s) * 1e9)
    to_ns = from_ns + round(window.measure_s * 1e9)
    # In a thread: a loop that is behind would look at the clock too late.
    looking = asyncio.create_task(asyncio.to_thread(_look, control_url, from_ns, to_ns))
    await asyncio.gather(*[reading.read(number) for number in range(streams)])
    usage = await looking
    entries = await asyncio.to_thread(reading.ledger, control_url)
    return reading.seen(entries, usage)


@dataclass(frozen=True, slots=True)
class _Usage:
    """The window as it was, and what was used in it."""

    from_ns: int
    to_ns: int
    cpu_ns: int
    server_cpu: float
    resident: int


def _look(control_url: str, from_ns: int, to_ns: int) -> _Usage:
    """Sleep until the window begins and until it ends; note what was used between."""
    _sleep_until(from_ns - round(_ASK_S * 1e9))
    before = _get(f"{control_url}/usage")
    _sleep_until(from_ns)
    began_ns, used_ns = time.perf_counter_ns(), time.process_time_ns()
    _sleep_until(to_ns)
    ended_ns, used_ns = time.perf_counter_ns(), time.process_time_ns() - used_ns
    after = _get(f"{control_url}/usage")
    server_cpu = (after["cpu_ns"] - before["cpu_ns"]) / (after["at_ns"] - before["at_ns"])
    share = used_ns / (ended_ns - began_ns)
    # A thread that woke late saw a longer time; events count until the planned end all the same.
    used_ns = round(share * (to_ns - began_ns))
    return _Usage(began_ns, to_ns, used_ns, server_cpu, rss_bytes())


def _sleep_until(at_ns: int) -> None:
    time.sleep(max(0, at_ns - time.perf_counter_ns()) / 1e9)


class _Reading:
    """The streams of one window."""

    def __init__(self, client: Client, streams: int, window: Window) -> None:
        self._client = client
        self._streams = streams
        self._window = window
        self._stamps: list[list[int]] = [[] for _ in range(streams)]
        self._ids = [f"load-{os.getpid()}-{next(_numbers)}" for _ in range(streams)]

    async def read(self, number: int) -> None:
        """One stream, from its start to the common end."""
        window = self._window
        offset_s = window.ramp_s * number / self._streams
        await asyncio.sleep(offset_s)
        tokens = int((window.total_s - offset_s - _TTFT_S) * EVENTS_PER_S)
        plan = {"ttft_s": _TTFT_S, "inter_token_s": 1 / EVENTS_PER_S, "tokens": tokens}
        stamps = self._stamps[number]
        seen = await self._client.read(headers_of(plan, self._ids[number]), stamps)
        if seen != tokens or len(stamps) != tokens:
            raise WrongCountError(f"saw {seen} events, not {tokens}")

    def ledger(self, control_url: str) -> list[dict[str, list[int]]]:
        """The server's stamps."""
        return [_get(f"{control_url}/ledger/{id_}") for id_ in self._ids]

    def seen(self, entries: list[dict[str, list[int]]], usage: _Usage) -> Load:
        """What there was in the window, by the stamps of both sides."""
        from_ns, to_ns = usage.from_ns, usage.to_ns
        took_ns = to_ns - from_ns
        added, late = self._pair(entries, from_ns, to_ns)
        if not added:
            raise WrongCountError("no event was sent while all streams were open")
        got = sum(from_ns <= at < to_ns for each in self._stamps for at in each)
        due = sum(from_ns <= at < to_ns for entry in entries for at in entry["due_ns"])
        asked = self._streams * EVENTS_PER_S * took_ns / 1e9
        return Load(
            streams=self._streams,
            events_per_s=got / took_ns * 1e9,
            p50_ms=quantile(added, 0.5) / 1e6,
            p99_ms=quantile(added, 0.99) / 1e6,
            max_ms=max(added) / 1e6,
            cpu=usage.cpu_ns / took_ns,
            rss_mb=usage.resident / 1e6,
            server_late_ms=quantile(late, 0.99) / 1e6,
            server_cpu=usage.server_cpu,
            due=due / asked,
            sent=len(added) / due if due else 0.0,
        )

    def _pair(
        self, entries: list[dict[str, list[int]]], from_ns: int, to_ns: int
    ) -> tuple[list[int], list[int]]:
        """Added latency and the server's lateness of all events written in the window, ns."""
        added, late = [], []
        for stamps, entry in zip(self._stamps, entries, strict=True):
            events = zip(stamps, entry["token_ns"], entry["due_ns"], strict=True)
            for got, sent, due in events:
                if from_ns <= sent < to_ns:
                    added.append(got - sent)
                    late.append(sent - due)
        return added, late


def _get(url: str) -> Any:
    with urllib.request.urlopen(url) as response:
        return json.load(response)
