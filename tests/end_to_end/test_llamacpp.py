"""Streams from llama.cpp's own server, which nobody here wrote."""

import asyncio
import os
import re
from typing import Any

import pytest

from tests.end_to_end.llamacpp import LlamaServer
from tests.end_to_end.tiny_models import SCRIPTS, TEXT_MARK
from tokenline.events import MessageStart, TextDelta, ToolCallDelta
from tokenline.run import Run
from tokenline.telemetry import NoTelemetry
from tokenline_stages import Connection, connect
from tokenline_stages.cli import main

pytestmark = [pytest.mark.anyio, pytest.mark.server]

SAID = b"".join(
    bytes([step]) if isinstance(step, int) else step.encode() for step in SCRIPTS[TEXT_MARK][:-1]
).decode()
HELLO = [{"role": "user", "content": "hello"}]
TOOLS = {
    "look_up": {"place": {"type": "string"}, "days": {"type": "integer"}},
    "tell_time": {"zone": {"type": "string"}},
}


def to(server: LlamaServer, provider: str) -> Connection:
    base = server.url if provider == "anthropic" else f"{server.url}/v1"
    return connect(provider, api_key="x", base_url=base, telemetry=NoTelemetry())


def schema(name: str) -> dict[str, Any]:
    return {"type": "object", "properties": TOOLS[name], "required": list(TOOLS[name])}


CHAT = {"model": "tiny", "messages": HELLO, "temperature": 0, "max_tokens": 80}
RESPONSES = {"model": "tiny", "input": HELLO, "temperature": 0, "max_output_tokens": 80}
WITH_TOOLS: dict[str, dict[str, Any]] = {
    "openai": {
        **CHAT,
        "tools": [
            {"type": "function", "function": {"name": n, "parameters": schema(n)}} for n in TOOLS
        ],
        "parallel_tool_calls": True,
    },
    "anthropic": {**CHAT, "tools": [{"name": n, "input_schema": schema(n)} for n in TOOLS]},
}


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_text_with_an_emoji_split_over_tokens(
    scripted_llama: LlamaServer, provider: str
) -> None:
    async with to(scripted_llama, provider).run(CHAT) as run:
        pieces = [piece async for piece in run.text_stream()]
        result = await run.result()
    assert "".join(pieces) == SAID == result.text
    assert "🚀" in SAID
    assert len(pieces) > 3
    assert result.finish_reason == "stop"
    assert result.usage is not None
    assert result.usage.output_tokens


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_parallel_tool_calls_in_fragments(scripted_llama: LlamaServer, provider: str) -> None:
    async with to(scripted_llama, provider).run(WITH_TOOLS[provider]) as run:
        deltas = [event async for event in run if isinstance(event, ToolCallDelta)]
        result = await run.result()
    assert len(deltas) > 4
    called = [(call.name, call.parsed) for call in result.tool_calls if call.complete]
    # The server's grammar steers the model back to its first call, so it says that one again.
    assert called.count(("look_up", {"place": "Oslo", "days": 2})) >= 1
    assert len(called) > 1
    assert all(name in TOOLS for name, _ in called)


async def test_fifty_random_streams_on_messages(random_llama: LlamaServer) -> None:
    """Random bytes; the server leaves out `message_start` when a stream begins mid-character."""
    connection = to(random_llama, "anthropic")
    payload = {"model": "tiny", "messages": HELLO, "max_tokens": 12, "temperature": 1.5}

    async def read(seed: int) -> int:
        async with connection.run({**payload, "seed": seed}) as run:
            events = [event async for event in run]
            result = await run.result()
        assert [event.seq for event in events] == list(range(len(events)))
        assert isinstance(events[0], MessageStart)
        assert result.raw_finish_reason in {"max_tokens", "end_turn"}
        return sum(isinstance(event, TextDelta) for event in events)

    counts = []
    for start in range(0, 48, 4):
        counts += await asyncio.gather(*(read(start + i) for i in range(4)))
    counts += [await read(48), await read(49)]
    assert len(counts) == 50
    await connection.aclose()


async def leave_after_first_event(run: Run) -> None:
    async with run:
        await anext(run)


async def test_leaving_cancels_the_servers_work(random_llama: LlamaServer) -> None:
    before = len(re.findall("cancel task", random_llama.log()))
    payload = {"model": "tiny", "messages": HELLO, "max_tokens": 3000, "ignore_eos": True}
    await leave_after_first_event(to(random_llama, "openai").run(payload))
    for _ in range(200):
        if len(re.findall("cancel task", random_llama.log())) > before:
            return
        await asyncio.sleep(0.01)
    pytest.fail("the server did not notice: " + random_llama.log()[-500:])


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_chat_command_from_the_environment(
    scripted_llama: LlamaServer,
    provider: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name in list(os.environ):
        if name.startswith(("OTEL", "OPENAI", "ANTHROPIC")):
            monkeypatch.delenv(name)
    base = scripted_llama.url if provider == "anthropic" else f"{scripted_llama.url}/v1"
    monkeypatch.setenv(f"{provider.upper()}_BASE_URL", base)
    monkeypatch.setenv(f"{provider.upper()}_API_KEY", "x")
    with pytest.raises(SystemExit) as ended:
        main(["chat", "--provider", provider, "--model", "tiny", "hello"])
    assert ended.value.code in (0, None)
    shown = capfd.readouterr()
    assert shown.out.strip()
    assert "first token" in shown.err
