"""Every way out of a run, over real HTTP, for every wire API.

One result with what had arrived, one trace record, one root span; no task, no socket, no noise.
"""

import asyncio
import gc
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tokenline.errors import (
    AuthenticationError,
    ProviderError,
    RunCancelledError,
    StallTimeoutError,
    StreamCutError,
    StreamError,
)
from tokenline.options import RunOptions
from tokenline.policy import Timeouts
from tokenline.result import Result
from tokenline.run import Run
from tokenline.telemetry import OTelTelemetry
from tokenline_stages import Connection, connect
from tokenline_stages.simulator import Plan, SimulatorProcess
from tokenline_stages.simulator.faults import Cut, ErrorEvent, HttpError, Silence
from tokenline_stages.traces import MemorySink, TraceRecord, TraceStore

pytestmark = [pytest.mark.anyio, pytest.mark.server]

HI = [{"role": "user", "content": "hi"}]
TARGETS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "chat": ("openai", "/v1", {"model": "sim", "messages": HI}),
    "responses": ("openai", "/v1", {"model": "sim", "input": HI}),
    "messages": ("anthropic", "", {"model": "sim", "max_tokens": 50, "messages": HI}),
    "gemini": ("gemini", "", {"model": "sim", "contents": [{"parts": [{"text": "hi"}]}]}),
    "ollama": ("ollama-native", "", {"model": "sim", "messages": HI}),
}
PLAIN = Plan(ttft_s=0.005, inter_token_s=0.002, tokens=10)
SILENT = Plan(ttft_s=0.005, inter_token_s=0.002, tokens=10, faults=(Silence(after_tokens=3),))
CUT = Plan(ttft_s=0.005, inter_token_s=0.002, tokens=10, faults=(Cut(after_tokens=3),))
REPORTED = Plan(ttft_s=0.005, inter_token_s=0.002, tokens=10, faults=(ErrorEvent(after_tokens=3),))
REFUSED = Plan(faults=(HttpError(status=401),))
IMPATIENT = RunOptions(timeouts=Timeouts(stall_s=0.15))


def header(plan: Plan) -> dict[str, str]:
    return {"x-tokenline-plan": msgspec.json.encode(plan).decode()}


def words(result: Result) -> int:
    return len(result.text.split())


async def to_the_end(run: Run) -> None:
    async with run:
        assert [event async for event in run]
        assert (await run.result()).outcome == "ok"
    assert words(run.snapshot()) == 10


async def fails_with(run: Run, error_type: type[StreamError]) -> None:
    async with run:
        with pytest.raises(error_type) as caught:
            await run.result()
    assert caught.value.partial is not None
    assert words(caught.value.partial) == 3


async def cut_connection(run: Run) -> None:
    await fails_with(run, StreamCutError)


async def error_in_the_stream(run: Run) -> None:
    await fails_with(run, ProviderError)


async def stalled(run: Run) -> None:
    await fails_with(run, StallTimeoutError)


async def refused(run: Run) -> None:
    async with run:
        with pytest.raises(AuthenticationError):
            await anext(run)
    assert run.snapshot().content == ()


async def three_words(run: Run) -> None:
    while words(run.snapshot()) < 3:
        await anext(run)


async def left_early(run: Run) -> None:
    async with run:
        await three_words(run)
    assert run.outcome == "cancelled"
    assert words(run.snapshot()) == 3


async def cancelled_from_another_task(run: Run) -> None:
    async with run:
        await three_words(run)
        asyncio.get_running_loop().call_later(0.02, run.cancel)
        with pytest.raises(RunCancelledError) as caught:
            await read_all(run)
    assert caught.value.partial is not None
    assert words(caught.value.partial) == 3


async def task_cancelled(run: Run) -> None:
    reached = asyncio.Event()

    async def use() -> None:
        async with run:
            await three_words(run)
            reached.set()
            await read_all(run)

    task = asyncio.create_task(use())
    await reached.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert run.outcome == "cancelled"
    assert words(run.snapshot()) == 3


async def dropped(run: Run) -> None:
    run.start()
    await three_words(run)


async def read_all(run: Run) -> None:
    async for _ in run:
        pass


EXITS: list[tuple[str, Plan, Callable[[Run], Awaitable[None]], int]] = [
    ("ok", PLAIN, to_the_end, 10),
    ("error", CUT, cut_connection, 3),
    ("error", REPORTED, error_in_the_stream, 3),
    ("error", REFUSED, refused, 0),
    ("timeout", SILENT, stalled, 3),
    ("cancelled", SILENT, left_early, 3),
    ("cancelled", SILENT, cancelled_from_another_task, 3),
    ("cancelled", SILENT, task_cancelled, 3),
    ("abandoned", SILENT, dropped, 3),
]


def open_sockets() -> int:
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found += os.readlink(entry).startswith("socket:")
        except OSError:
            continue
    return found


def spans_to_memory() -> tuple[OTelTelemetry, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return OTelTelemetry(provider), exporter


def said(record: TraceRecord) -> int:
    """How many words a trace record holds."""
    return sum(len(part["text"].split()) for part in record.response.content)


async def use_once(
    connection: Connection, target: str, plan: Plan, use: Callable[[Run], Awaitable[None]]
) -> None:
    options = IMPATIENT if use is stalled else RunOptions()
    await use(connection.run(TARGETS[target][2], headers=header(plan), options=options))


@pytest.mark.parametrize("target", list(TARGETS))
@pytest.mark.parametrize(
    ("outcome", "plan", "use", "kept"), EXITS, ids=[e[2].__name__ for e in EXITS]
)
async def test_exit(
    simulator: SimulatorProcess,
    target: str,
    outcome: str,
    plan: Plan,
    use: Callable[[Run], Awaitable[None]],
    kept: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    name, path, _ = TARGETS[target]
    telemetry, exporter = spans_to_memory()
    sink = MemorySink()
    store = TraceStore(sink)
    connection = connect(
        name, api_key="x", base_url=simulator.url + path, telemetry=telemetry, traces=store
    )
    with caplog.at_level(logging.DEBUG, logger="opentelemetry"):
        async with connection:
            await use_once(connection, target, PLAIN, to_the_end)
            await connection.aclose()
            gc.collect()
            sockets = open_sockets()
            exporter.clear()
            await use_once(connection, target, plan, use)
            gc.collect()
            await asyncio.sleep(0.02)
            assert [t for t in asyncio.all_tasks() if t.get_name().startswith("tokenline")] == []
        await asyncio.sleep(0.01)
        telemetry.flush(1.0)
    await store.aclose()
    roots = [span for span in exporter.get_finished_spans() if span.parent is None]
    assert [(r.attributes or {})["tokenline.outcome"] for r in roots] == [outcome]
    _, record = sink.records
    assert record.outcome == outcome
    assert said(record) == kept
    assert open_sockets() <= sockets
    assert "Failed to detach" not in caplog.text
