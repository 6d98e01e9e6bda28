"""What the harness itself adds to a TTFT, measured against a local simulator.

    own share of a request = measured TTFT - (first token sent - request received)

The second term is the simulator's own account of the same request, taken with the same clock.
What is left is ours and the loopback's: building the request, sending, reading, decoding. Reports
lower the lower bounds of percentiles by it, so that intervals hold for the server too; how is told
in `tokenline_bench.statistics.distribution.OwnShare`.
"""

from __future__ import annotations

import asyncio
import time
from urllib.request import urlopen

import msgspec

from tokenline_bench.config import Endpoint, FixedPrompt
from tokenline_bench.load.client import Client
from tokenline_bench.load.measure import Measurement, Order
from tokenline_bench.work.sources import open_work
from tokenline_stages.simulator import Plan, SimulatorProcess

REQUESTS = 368
"""As many as it takes until, 39 times of 40, the largest is not below the true 99th percentile."""

_WARMUP = 10


class _Entry(msgspec.Struct):
    request_id: str
    received_ns: int
    token_ns: list[int] = []


async def measure_own_share(requests: int = REQUESTS) -> tuple[int, ...]:
    """Nanoseconds that the harness adds, one value a request."""
    simulator = SimulatorProcess(Plan(ttft_s=0.003, inter_token_s=0.0, tokens=1))
    await asyncio.to_thread(simulator.start)
    try:
        measured = await _measure(simulator.openai_base_url, requests)
        sent = await asyncio.to_thread(_read_ledger, simulator.url)
    finally:
        await asyncio.to_thread(simulator.stop)
    both = zip(measured, sent, strict=True)
    return tuple(max(0, ttft - server) for ttft, server in both)[_WARMUP:]


async def _measure(base_url: str, requests: int) -> list[int]:
    client = Client(Endpoint(model="calibration", base_url=base_url, api_key="none"))
    turn = open_work(FixedPrompt(text="hello"), 0).conversation(0).turns[0]
    found = []
    for number in range(requests + _WARMUP):
        order = Order("calibration", -3, number, 0, 0, time.perf_counter_ns())
        sample = await Measurement(lambda: client.run(turn), order).take()
        found.append(sample.since_request(sample.first_token_ns) or 0)
    await client.aclose()
    return found


def _read_ledger(url: str) -> list[int]:
    """From the request's arrival to its first token, for each request in order."""
    with urlopen(f"{url}/ledger") as response:
        entries = msgspec.json.decode(response.read(), type=list[_Entry])
    return [_answer_ns(url, entry.request_id) for entry in entries]


def _answer_ns(url: str, request_id: str) -> int:
    with urlopen(f"{url}/ledger/{request_id}") as response:
        entry = msgspec.json.decode(response.read(), type=_Entry)
    return entry.token_ns[0] - entry.received_ns
