"""Every way out of a run, over real HTTP: one root span, no task, no socket, no noise."""

import asyncio
import gc
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tokenline.errors import AuthenticationError, StreamCutError, StreamError
from tokenline.run import Run
from tokenline.telemetry import OTelTelemetry
from tokenline_stages import Connection, connect
from tokenline_stages.simulator import Plan, SimulatorProcess
from tokenline_stages.simulator.faults import Cut, HttpError, Silence

pytestmark = [pytest.mark.anyio, pytest.mark.server]

PAYLOAD = {"model": "sim", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
PLAIN = Plan(ttft_s=0.005, inter_token_s=0.002, tokens=10)
SILENT = Plan(ttft_s=0.005, inter_token_s=0.002, tokens=10, faults=(Silence(after_tokens=3),))
CUT = Plan(ttft_s=0.005, inter_token_s=0.002, tokens=10, faults=(Cut(after_tokens=3),))
REFUSED = Plan(faults=(HttpError(status=401),))


def header(plan: Plan) -> dict[str, str]:
    return {"x-tokenline-plan": msgspec.json.encode(plan).decode()}


async def to_the_end(run: Run) -> None:
    async with run:
        assert [event async for event in run]
        assert (await run.result()).outcome == "ok"


async def cut_connection(run: Run) -> None:
    async with run:
        with pytest.raises(StreamCutError) as caught:
            await run.result()
    assert caught.value.partial is not None
    assert len(caught.value.partial.text.split()) == 3


async def refused(run: Run) -> None:
    async with run:
        with pytest.raises(AuthenticationError):
            await anext(run)


async def left_after_the_first_event(run: Run) -> None:
    async with run:
        await anext(run)
    assert run.outcome == "cancelled"


async def cancelled_from_another_task(run: Run) -> None:
    async with run:
        await anext(run)
        asyncio.get_running_loop().call_later(0.02, run.cancel)
        with pytest.raises(StreamError):
            await read_all(run)


async def task_cancelled(run: Run) -> None:
    async def use() -> None:
        async with run:
            await read_all(run)

    task = asyncio.create_task(use())
    await asyncio.sleep(0.03)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert run.outcome == "cancelled"


async def dropped(run: Run) -> None:
    run.start()
    await anext(run)


async def read_all(run: Run) -> None:
    async for _ in run:
        pass


EXITS: list[tuple[str, Plan, Callable[[Run], Awaitable[None]]]] = [
    ("ok", PLAIN, to_the_end),
    ("error", CUT, cut_connection),
    ("error", REFUSED, refused),
    ("cancelled", SILENT, left_after_the_first_event),
    ("cancelled", SILENT, cancelled_from_another_task),
    ("cancelled", SILENT, task_cancelled),
    ("abandoned", SILENT, dropped),
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


async def leave(connection: Connection, plan: Plan, use: Callable[[Run], Awaitable[None]]) -> None:
    await use(connection.run(PAYLOAD, headers=header(plan)))


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize(("outcome", "plan", "use"), EXITS, ids=[e[2].__name__ for e in EXITS])
async def test_exit(
    simulator: SimulatorProcess,
    provider: str,
    outcome: str,
    plan: Plan,
    use: Callable[[Run], Awaitable[None]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    base = simulator.url if provider == "anthropic" else simulator.openai_base_url
    telemetry, exporter = spans_to_memory()
    with caplog.at_level(logging.DEBUG, logger="opentelemetry"):
        connection = connect(
            provider, api_key="x", base_url=base, telemetry=telemetry, max_retries=0
        )
        async with connection:
            await leave(connection, PLAIN, to_the_end)
            await connection.aclose()
            gc.collect()
            sockets = open_sockets()
            exporter.clear()
            await leave(connection, plan, use)
            gc.collect()
            await asyncio.sleep(0.02)
            assert [t for t in asyncio.all_tasks() if t.get_name().startswith("tokenline")] == []
        await asyncio.sleep(0.01)
        telemetry.flush(1.0)
    roots = [span for span in exporter.get_finished_spans() if span.parent is None]
    assert [(r.attributes or {})["tokenline.outcome"] for r in roots] == [outcome]
    assert open_sockets() <= sockets
    assert "Failed to detach" not in caplog.text
