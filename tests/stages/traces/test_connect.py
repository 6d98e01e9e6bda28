"""Traces by an argument of `connect`."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from tokenline.errors import ConfigError
from tokenline.telemetry.hook import NoTelemetry
from tokenline_stages import connect
from tokenline_stages.simulator import Plan, Simulator
from tokenline_stages.traces import MemorySink, TraceFilter, TraceRecord, TraceStore, open_reader

PLAN = Plan(ttft_s=0.0, inter_token_s=0.0, tokens=4, tool_calls=1)
CHAT: dict[str, Any] = {"model": "sim", "messages": [{"role": "user", "content": "hello"}]}
RESPONSES: dict[str, Any] = {"model": "sim", "input": "hello"}


async def _run(traces: Any, *payloads: dict[str, Any]) -> list[threading.Thread]:
    """Run the payloads; gives the threads that are left."""
    before = set(threading.enumerate())
    async with Simulator(PLAN) as simulator:
        async with connect(
            "openai",
            api_key="x",
            base_url=simulator.openai_base_url,
            telemetry=NoTelemetry(),
            traces=traces,
        ) as connection:
            for payload in payloads:
                async with connection.run(payload) as run:
                    assert (await run.result()).tool_calls
        return [thread for thread in set(threading.enumerate()) - before if _is_ours(thread)]


def _is_ours(thread: threading.Thread) -> bool:
    return thread.name.startswith("tokenline-traces")


async def _read(path: Path) -> list[TraceRecord]:
    reader = open_reader(path)
    try:
        return await reader.find(TraceFilter())
    finally:
        await reader.aclose()


@pytest.mark.parametrize("name", ["traces.db", "traces.jsonl"])
@pytest.mark.parametrize("form", [str, Path])
def test_a_path_is_written_and_closed_with_the_connection(
    name: str, form: Any, tmp_path: Path
) -> None:
    for thread in asyncio.run(_run(form(tmp_path / name), CHAT, RESPONSES)):
        thread.join(1)  # it is on its last steps
        assert not thread.is_alive()
    records = asyncio.run(_read(tmp_path / name))
    assert {record.api for record in records} == {"openai.chat", "openai.responses"}
    for record in records:
        kinds = [part["type"] for part in record.response.content]
        assert kinds == ["text", "tool_call"]
        assert record.response.finish_reason == "tool_calls"


def test_a_store_is_shared_and_stays_open() -> None:
    sink = MemorySink()
    store = TraceStore(sink)
    for _ in range(2):
        asyncio.run(_run(store, CHAT))
    assert store.flush(5)
    assert len(sink.records) == 2
    assert store.close(5)


def test_a_function_is_called() -> None:
    seen: list[str] = []
    asyncio.run(_run(lambda record: seen.append(record.outcome), CHAT))
    assert seen == ["ok"]


def test_a_place_of_no_known_form_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ConfigError, match="no traces at"):
        connect("openai", api_key="x", traces="traces.csv")
