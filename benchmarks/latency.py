"""Added latency under load: from the server's write of each event to the client's hands.

Streams start over a while and all end together; what counts is the window in which all are open.
Imports nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import time
import urllib.request
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

from benchmarks.clients.contract import Client
from benchmarks.measures import WrongCountError, headers_of, quantile, rss_bytes

EVENTS_PER_S = 50
_TTFT_S = 0.02

_numbers = count()


@dataclass(frozen=True, slots=True)
class Window:
    """When streams start and what is looked at, seconds.

    Attributes:
        ramp_s: over which time they start.
        settle_s: then nothing counts for so long.
        measure_s: then everything does.
    """

    ramp_s: float = 0.6
    settle_s: float = 0.4
    measure_s: float = 1.5

    @property
    def total_s(self) -> float:
        """From the first start to the end."""
        return self.ramp_s + self.settle_s + self.measure_s


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
        WrongCountError: a stream did not bring all its events.
    """
    gc.collect()
    reading = _Reading(client, streams, window)
    start_ns = time.perf_counter_ns()
    tasks = [asyncio.create_task(reading.read(number)) for number in range(streams)]
    await asyncio.sleep(window.ramp_s + window.settle_s)
    from_ns, used_ns = time.perf_counter_ns(), time.process_time_ns()
    server_ns = await asyncio.to_thread(_used_ns, control_url)
    await asyncio.sleep(window.measure_s)
    to_ns, used_ns = time.perf_counter_ns(), time.process_time_ns() - used_ns
    resident = rss_bytes()
    server_ns = await asyncio.to_thread(_used_ns, control_url) - server_ns
    await asyncio.gather(*tasks)
    entries = await asyncio.to_thread(reading.ledger, control_url)
    end_ns = min(to_ns, start_ns + round(window.total_s * 1e9) - 40_000_000)
    added, late = reading.pair(entries, from_ns, end_ns)
    if not added:
        raise WrongCountError("no event was sent while all streams were open")
    took_ns = to_ns - from_ns
    got = sum(from_ns <= at <= to_ns for each in reading.stamps for at in each)
    return Load(
        streams=streams,
        events_per_s=got / took_ns * 1e9,
        p50_ms=quantile(added, 0.5) / 1e6,
        p99_ms=quantile(added, 0.99) / 1e6,
        max_ms=max(added) / 1e6,
        cpu=used_ns / took_ns,
        rss_mb=resident / 1e6,
        server_late_ms=quantile(late, 0.99) / 1e6,
        server_cpu=server_ns / took_ns,
    )


class _Reading:
    """The streams of one window."""

    def __init__(self, client: Client, streams: int, window: Window) -> None:
        self._client = client
        self._streams = streams
        self._window = window
        self.stamps: list[list[int]] = [[] for _ in range(streams)]
        self._ids = [f"load-{os.getpid()}-{next(_numbers)}" for _ in range(streams)]

    async def read(self, number: int) -> None:
        """One stream, from its start to the common end."""
        window = self._window
        offset_s = window.ramp_s * number / self._streams
        await asyncio.sleep(offset_s)
        tokens = int((window.total_s - offset_s - _TTFT_S) * EVENTS_PER_S)
        plan = {"ttft_s": _TTFT_S, "inter_token_s": 1 / EVENTS_PER_S, "tokens": tokens}
        stamps = self.stamps[number]
        seen = await self._client.read(headers_of(plan, self._ids[number]), stamps)
        if seen != tokens or len(stamps) != tokens:
            raise WrongCountError(f"saw {seen} events, not {tokens}")

    def ledger(self, control_url: str) -> list[dict[str, list[int]]]:
        """The server's stamps."""
        return [_get(f"{control_url}/ledger/{id_}") for id_ in self._ids]

    def pair(
        self, entries: list[dict[str, list[int]]], from_ns: int, to_ns: int
    ) -> tuple[list[int], list[int]]:
        """Added latency and the server's lateness of all events written in the window, ns."""
        added, late = [], []
        for stamps, entry in zip(self.stamps, entries, strict=True):
            events = zip(stamps, entry["token_ns"], entry["due_ns"], strict=True)
            for got, sent, due in events:
                if from_ns <= sent <= to_ns:
                    added.append(got - sent)
                    late.append(sent - due)
        return added, late


def _get(url: str) -> Any:
    with urllib.request.urlopen(url) as response:
        return json.load(response)


def _used_ns(control_url: str) -> int:
    used: int = _get(f"{control_url}/usage")["cpu_ns"]
    return used
