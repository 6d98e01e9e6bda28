"""The process of one client: reads commands, answers with figures, stays alive in between.

    python -m benchmarks.peers.worker SPEC

SPEC and every line in and out are JSON. Imports the standard library and the client's packages.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.clients.contract import Client, ClientSpec
from benchmarks.descriptors import allow_all
from benchmarks.latency import Window, measure_load
from benchmarks.measures import (
    Shape,
    Streams,
    batch,
    first_token_ns,
    headers_of,
    mean_cost_us,
    open_streams_bytes,
    paced,
    request_cpu_ns,
    rss_bytes,
)

_FLAT_OUT = {"ttft_s": 0.0, "inter_token_s": 0.0, "events_per_write": 32}


async def _batch(client: Client, _url: str, events: int, least_cpu_s: float) -> float:
    return (await mean_cost_us(client, batch(long=events), least_cpu_s))[0]


async def _paced(client: Client, _url: str, events: int, streams: int) -> float:
    return (await mean_cost_us(client, paced(long=events, streams=streams)))[0]


async def _first_token(client: Client, _url: str, requests: int) -> list[float]:
    took_ns, _ = await first_token_ns(client, requests)
    return [took / 1e6 for took in took_ns]


async def _request(client: Client, _url: str, requests: int) -> float:
    return await request_cpu_ns(client, requests) / 1e6


async def _memory(client: Client, _url: str, streams: int, events_per_s: float) -> float:
    return await open_streams_bytes(client, streams, events_per_s) / 1000


async def _load(client: Client, url: str, streams: int, **window: float) -> dict[str, Any]:
    found: dict[str, Any] = (await measure_load(client, url, streams, Window(**window))).as_json()
    return found


async def _length(client: Client, _url: str, events: int, least_cpu_s: float) -> float:
    """µs of an event in a stream of so many, after the first 200."""
    short = Streams({**_FLAT_OUT, "tokens": 200})
    long = Streams({**_FLAT_OUT, "tokens": 200 + events})
    event_us: float = (await mean_cost_us(client, Shape("length", short, long), least_cpu_s))[0]
    return event_us


async def _arguments(
    client: Client, _url: str, size: int, fragments: int, least_cpu_s: float
) -> float:
    """µs of a fragment of a tool call's arguments, what the request costs left out."""
    short = headers_of({**_FLAT_OUT, "tokens": 0})
    one, all_ = [
        await _mean_cpu_ns(client, {**short, "x-arguments": wanted}, least_cpu_s)
        for wanted in ("50/1", f"{size}/{fragments}")
    ]
    return (all_ - one) / (fragments - 1) / 1e3


async def _mean_cpu_ns(client: Client, headers: dict[str, str], least_cpu_s: float) -> float:
    """CPU of a request, repeated until so much was used."""
    gc.collect()
    used_ns = times = 0
    while not times or used_ns < least_cpu_s * 1e9:
        from_ns = time.process_time_ns()
        await client.read(headers)
        used_ns += time.process_time_ns() - from_ns
        times += 1
    return used_ns / times


async def _never_read(client: Any, _url: str, streams: int, seconds: list[float]) -> list[float]:
    """KB of resident memory for each stream that nobody reads, after so many seconds each."""
    await client.read(headers_of({**_FLAT_OUT, "tokens": 20}))
    before = rss_bytes()
    headers = headers_of({**_FLAT_OUT, "tokens": 100_000})
    holding = [asyncio.create_task(client.hold(headers)) for _ in range(streams)]
    found = []
    for wait_s in seconds:
        await asyncio.sleep(wait_s)
        found.append((rss_bytes() - before) / streams / 1000)
    for task in holding:
        task.cancel()
    return found


MEASURES: dict[str, Callable[..., Awaitable[Any]]] = {
    "batch": _batch,
    "paced": _paced,
    "first_token": _first_token,
    "request": _request,
    "memory": _memory,
    "load": _load,
    "length": _length,
    "arguments": _arguments,
    "never_read": _never_read,
}


class Worker:
    """Clients of one kind, one for each address, and what is asked of them."""

    def __init__(self, spec: ClientSpec, control_url: str) -> None:
        self._spec = spec
        self._control_url = control_url
        self._clients: dict[str, Client] = {}

    async def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        """Run one measure."""
        url = command["url"]
        if url not in self._clients:
            client = self._clients[url] = self._spec.make(url)
            for _ in range(3):  # imports, connections, caches
                await client.read(headers_of({**_FLAT_OUT, "tokens": 50}))
        measure = MEASURES[command["measure"]]
        try:
            value = await measure(self._clients[url], self._control_url, **command["options"])
        except Exception as error:  # one figure lost, not the run
            return {"error": f"{type(error).__name__}: {error}"}
        return {"value": value}


async def _serve(worker: Worker, output: Any) -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        answer = await worker.answer(json.loads(line))
        output.write(json.dumps(answer) + "\n")
        output.flush()


def _run(spec: ClientSpec, main: Awaitable[None]) -> None:
    async def run() -> None:
        await main

    if spec.loop == "uvloop":
        import uvloop

        uvloop.run(run())
    else:
        asyncio.run(run())


def main() -> None:
    """Serve until standard input ends."""
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what packages print is not mixed with answers
    settings = json.loads(sys.argv[1])
    if settings["core"] is not None:
        os.sched_setaffinity(0, {settings["core"]})
    allow_all()
    spec = ClientSpec(**settings["spec"])
    _run(spec, _serve(Worker(spec, settings["control_url"]), output))
    os._exit(0)  # streams may be open, and clean-up is not what is measured


if __name__ == "__main__":
    main()
