"""The whole pipeline takes time in proportion to what comes: long streams, large arguments.

Eight times as much may take at most twelve times as long. Linear work takes eight times, a buffer
that is copied or parsed anew at each event up to 64. Thread time, the least of several rounds: a
busy machine only adds.
"""

import asyncio
import time
from collections.abc import Callable

import msgspec
import pytest

from tokenline.telemetry import NoTelemetry
from tokenline.testing import ScriptedSource
from tokenline_stages import connect

ROUNDS = 3
FACTOR = 8
MOST_GROWTH = 12.0
FRAGMENT = '{\\"a\\": [1, 2, 3'


def chunk(delta: object, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: " + msgspec.json.encode({"id": "c", "model": "m", "choices": [choice]}) + b"\n\n"


def texts(count: int) -> list[bytes]:
    """One event a read."""
    return [*[chunk({"content": "word "})] * count, chunk({}, "stop"), b"data: [DONE]\n\n"]


def arguments(count: int) -> list[bytes]:
    """Fragments of one tool call's arguments, eight a read."""
    function = {"name": "write", "arguments": '{"text": "'}
    first = {"index": 0, "id": "call", "type": "function", "function": function}
    more = chunk({"tool_calls": [{"index": 0, "function": {"arguments": FRAGMENT}}]})
    last = chunk({"tool_calls": [{"index": 0, "function": {"arguments": '"}'}}]})
    return [
        chunk({"tool_calls": [first]}),
        *[more * 8] * (count // 8),
        last + chunk({}, "tool_calls") + b"data: [DONE]\n\n",
    ]


async def took_s(reads: list[bytes]) -> float:
    async with connect("openai", api_key="x", telemetry=NoTelemetry()) as connection:
        payload = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
        pipeline = connection.pipeline(payload).edit().source(ScriptedSource(reads)).build()
        from_ns = time.thread_time_ns()
        async with pipeline.run(payload) as run:
            async for _ in run:
                pass
            await run.result()
        return (time.thread_time_ns() - from_ns) / 1e9


@pytest.mark.parametrize(("make", "count"), [(texts, 1_000), (arguments, 8_000)])
def test_time_is_linear(make: Callable[[int], list[bytes]], count: int) -> None:
    short, long = make(count), make(count * FACTOR)
    least_s = [min(asyncio.run(took_s(reads)) for _ in range(ROUNDS)) for reads in (short, long)]
    assert least_s[1] / least_s[0] <= MOST_GROWTH, least_s
