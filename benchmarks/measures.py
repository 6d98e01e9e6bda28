"""What is measured of a client, and how; imports nothing but the standard library.

The simulator runs in a process of its own. CPU is that of this process, user and system, all its
threads (`time.process_time_ns`). Stamps are `time.perf_counter_ns`: CLOCK_MONOTONIC on Linux,
which client and simulator share.
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.clients.contract import Client

Plan = Mapping[str, Any]
"""Fields of the simulator's `Plan` that differ from its defaults."""

_numbers = count()


class WrongCountError(Exception):
    """A client saw more or fewer content deltas than were sent."""


@dataclass(frozen=True, slots=True)
class Streams:
    """Streams read at the same time.

    Attributes:
        plan: what the server answers.
        streams: how many.
        spread_s: over which time their starts are spread; an inter-token time gives each stream
            a phase of its own, as streams of different users have.
    """

    plan: Plan
    streams: int = 1
    spread_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Shape:
    """How events arrive: the same streams, short and long, and what is read off them.

    The difference of their CPU times, divided by that of their events, is the cost of an event;
    what is left of the short ones is the cost of a request.
    """

    name: str
    short: Streams
    long: Streams

    def cost_us(self, short_ns: float, long_ns: float) -> tuple[float, float]:
        """CPU µs of an event, and of a request beside its events."""
        short, long = _events(self.short), _events(self.long)
        event_ns = (long_ns - short_ns) / (long - short)
        return event_ns / 1e3, (short_ns - event_ns * short) / self.short.streams / 1e3


def batch(short: int = 200, long: int = 4200) -> Shape:
    """One stream as fast as the server can, 32 events a write: several arrive in one read."""
    plan = {"ttft_s": 0.0, "inter_token_s": 0.0, "events_per_write": 32}
    return Shape("batch", Streams({**plan, "tokens": short}), Streams({**plan, "tokens": long}))


def paced(short: int = 10, long: int = 110, streams: int = 40) -> Shape:
    """Many streams at 50 events a second each, so that a read brings one event."""
    plan = {"ttft_s": 0.02, "inter_token_s": 0.02}
    return Shape(
        "paced",
        Streams({**plan, "tokens": short}, streams, 0.02),
        Streams({**plan, "tokens": long}, streams, 0.02),
    )


async def read_all(
    client: Client, what: Streams, stamps: Sequence[list[int]] | None = None
) -> list[str]:
    """Read the streams at the same time; gives their request ids.

    Raises:
        WrongCountError: a stream did not bring all its events.
    """
    ids = [f"measured-{next(_numbers)}" for _ in range(what.streams)]

    async def read(number: int) -> int:
        if what.spread_s:
            await asyncio.sleep(what.spread_s * number / what.streams)
        headers = headers_of(what.plan, ids[number])
        seen: int = await client.read(headers, None if stamps is None else stamps[number])
        return seen

    if what.streams == 1:
        counts = [await read(0)]
    else:
        counts = await asyncio.gather(*map(read, range(what.streams)))
    if set(counts) != {what.plan["tokens"]}:
        raise WrongCountError(f"saw {sorted(set(counts))} events, not {what.plan['tokens']}")
    return ids


async def cpu_ns(client: Client, what: Streams) -> int:
    """CPU time of reading the streams."""
    gc.collect()
    from_ns = time.process_time_ns()
    await read_all(client, what)
    return time.process_time_ns() - from_ns


async def first_token_ns(client: Client, requests: int) -> tuple[list[int], float]:
    """From issuing a request to its first delta, one after the other; and CPU ns of a request.

    The server answers at once with two events, 5 ms apart. One request before them does not count:
    it may have to open a connection.
    """
    plan = {"ttft_s": 0.0, "inter_token_s": 0.005, "tokens": 2}
    headers = headers_of(plan)
    await client.read(headers)
    took: list[int] = []
    gc.collect()
    cpu_from_ns = time.process_time_ns()
    for _ in range(requests):
        stamps: list[int] = []
        from_ns = time.perf_counter_ns()
        await client.read(headers, stamps)
        took.append(stamps[0] - from_ns)
    return took, (time.process_time_ns() - cpu_from_ns) / requests


async def mean_cost_us(
    client: Client, shape: Shape, least_cpu_s: float = 0.0
) -> tuple[float, float]:
    """`Shape.cost_us`, repeated until so much CPU was used; the mean over repetitions.

    The short streams are read once before: connections that a client gave up while others had their
    turn are opened anew there, not in the short streams that count, where their cost would be taken
    off the events'.
    """
    await read_all(client, shape.short)
    short_ns = long_ns = times = 0
    while not times or long_ns < least_cpu_s * 1e9:
        short_ns += await cpu_ns(client, shape.short)
        long_ns += await cpu_ns(client, shape.long)
        times += 1
    return shape.cost_us(short_ns / times, long_ns / times)


async def request_cpu_ns(client: Client, requests: int) -> float:
    """CPU of a request beside its events: answers of 2 and of 34 events, each in one write."""
    whole = {"ttft_s": 0.0, "inter_token_s": 0.0, "events_per_write": 64}
    used = []
    for tokens in (2, 34):
        headers = headers_of({**whole, "tokens": tokens})
        await client.read(headers)
        gc.collect()
        from_ns = time.process_time_ns()
        for _ in range(requests):
            await client.read(headers)
        used.append((time.process_time_ns() - from_ns) / requests)
    return used[0] - (used[1] - used[0]) / 32 * 2


def rss_bytes() -> int:
    """Resident memory of this process."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * 4096


async def open_streams_bytes(client: Client, streams: int, events_per_s: float) -> float:
    """Growth of resident memory for each of many paced streams while all are open.

    A few streams have been read before, so that imports and first connections do not count. The
    streams are left open: the process is not used again.
    """
    warm = Streams({"ttft_s": 0.0, "inter_token_s": 0.0, "tokens": 20}, 3)
    await read_all(client, warm)
    gc.collect()
    before = rss_bytes()
    stamps: list[list[int]] = [[] for _ in range(streams)]
    plan = {"ttft_s": 0.1, "inter_token_s": 1 / events_per_s, "tokens": 10_000}
    reading = asyncio.create_task(read_all(client, Streams(plan, streams, 2.0), stamps))
    loop = asyncio.get_running_loop()
    until_s = loop.time() + 20.0
    while not all(stamps):
        if loop.time() > until_s:
            raise WrongCountError(f"{sum(map(bool, stamps))} of {streams} streams are open")
        await asyncio.sleep(0.1)
    await asyncio.sleep(1.0)
    if reading.done():
        reading.result()
    return (rss_bytes() - before) / streams


def headers_of(plan: Plan, request_id: str | None = None) -> dict[str, str]:
    """Request headers that ask the simulator for a plan, and give the request an id."""
    headers = {"x-tokenline-plan": json.dumps(plan)}
    if request_id is not None:
        headers["x-request-id"] = request_id
    return headers


def quantile(values: Sequence[float], q: float) -> float:
    """The value that a share `q` of all is not above; the nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def _events(what: Streams) -> int:
    return int(what.plan["tokens"]) * what.streams
