"""Which texts of a request and an answer are counted, and where the counts show up."""

import asyncio
import threading
from typing import Any

import pytest
import tiktoken

from tokenline.errors import ConfigError
from tokenline.events import ToolKind
from tokenline.record import Outcome
from tokenline.result import (
    BlockPart,
    Choice,
    ReasoningPart,
    RefusalPart,
    Result,
    TextPart,
    ToolCall,
)
from tokenline.telemetry.hook import NoTelemetry
from tokenline_stages import connect
from tokenline_stages.simulator import Plan, Simulator
from tokenline_stages.token_count import (
    ByteCounter,
    CountedUsage,
    TiktokenCounter,
    as_estimator,
    input_texts,
    overhead_tokens,
)
from tokenline_stages.traces import MemorySink, TraceStore

BYTES = tiktoken.Encoding(
    name="bytes",
    pat_str=r"\w+|\W+",
    mergeable_ranks={bytes([i]): i for i in range(256)} | {b"he": 256, b"ll": 257, b"hell": 258},
    special_tokens={"<|end|>": 300},
)
"""A vocabulary made by hand: every byte, and three pairs."""


class Words:
    """One token for each word."""

    def __init__(self) -> None:
        self.models: set[str | None] = set()

    def count(self, text: str, model: str | None) -> int:
        self.models.add(model)
        return len(text.split())


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), ("four", 1), ("fives", 2), ("é" * 4, 2), ("\ud83d", 1)]
)
def test_bytes_by_four(text: str, tokens: int) -> None:
    assert ByteCounter().count(text, None) == tokens


def test_tiktoken_with_a_given_encoding() -> None:
    counter = TiktokenCounter(BYTES)
    assert counter.count("hello", "any") == 2
    assert counter.count("<|end|>", None) == 7  # text is text, whatever it looks like


def test_tiktoken_loads_once_for_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def get_encoding(name: str) -> tiktoken.Encoding:
        loaded.append(name)
        return BYTES

    monkeypatch.setattr(tiktoken, "get_encoding", get_encoding)
    counter = TiktokenCounter()
    threads = [threading.Thread(target=counter.count, args=("hello", "gpt-4")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.count("hello", "somebody-elses-model") == 2
    assert set(loaded) == {"cl100k_base", "o200k_base"}
    assert TiktokenCounter("p50k_base").count("hello", "gpt-4") == 2
    assert "p50k_base" in loaded


def test_without_tiktoken_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tiktoken", None)
    with pytest.raises(ConfigError, match=r"install tokenline\[tiktoken\]"):
        TiktokenCounter()


TOOLS = [{"name": "f", "description": "finds things"}]
PAYLOADS: list[Any] = [
    pytest.param(
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": [{"type": "text", "text": "what is this"}]},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {"id": "call_1", "function": {"name": "f", "arguments": '{"a": 1}'}}
                    ],
                },
                {"role": "tool", "tool_call_id": "call_1", "content": "forty two"},
            ],
        },
        ["be brief", "what is this", "f", '{"a": 1}', "forty two"],
        15,
        id="chat",
    ),
    pytest.param(
        {
            "system": [{"type": "text", "text": "be brief"}],
            "messages": [
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "let me see", "signature": "c2ln"},
                        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "t1", "content": "forty two"},
                        {"type": "image", "source": {"type": "base64", "data": "AAAA"}},
                    ],
                },
            ],
        },
        ["let me see", "f", '{"a":1}', "forty two", "be brief"],
        9,
        id="messages",
    ),
    pytest.param({"input": "what is this", "instructions": "be brief"},
        ["what is this", "be brief"], 6, id="responses"),
    pytest.param(
        {
            "contents": [
                {"role": "user", "parts": [{"text": "hi"}, {"inlineData": {"data": "AAAA"}}]},
                {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a": 1}}}]},
            ],
            "systemInstruction": {"parts": [{"text": "be brief"}]},
        },
        ["hi", "f", '{"a":1}', "be brief"],
        9,
        id="gemini",
    ),
    pytest.param({"prompt": "once upon"}, ["once upon"], 3, id="completion"),
    pytest.param({"messages": [{"content": "hi"}], "tools": TOOLS},
        ["hi", '[{"name":"f","description":"finds things"}]'], 6, id="tools"),
    pytest.param({"messages": [{"content": [{"text": "data:image/png;base64,AAAA"}]}]}, [], 6,
        id="picture as text"),
    pytest.param({}, [], 3, id="empty"),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "texts", "overhead"), PAYLOADS)
def test_texts_of_a_request(payload: dict[str, Any], texts: list[str], overhead: int) -> None:
    assert list(input_texts(payload)) == texts
    assert overhead_tokens(payload) == overhead


def test_texts_of_a_result() -> None:
    result = Result(
        message_id="m",
        model="m-2026",
        content=(
            ReasoningPart(text="let me think"),
            TextPart(part=1, text="here it is"),
            ToolCall(part=2, id="c", name="find", arguments='{"a": 1}', kind=ToolKind.FUNCTION),
            BlockPart(part=3, block_type="image", data="AAAA"),
        ),
        further_choices=(Choice(index=1, content=(RefusalPart(text="no way"),)),),
    )
    words = Words()
    usage = CountedUsage(words).estimate({"model": "asked", "messages": []}, result)
    assert usage.input_tokens == 3
    assert usage.reasoning_tokens == 3
    assert usage.output_tokens == 3 + 3 + 1 + 2 + 2
    assert words.models == {"m-2026"}


def test_what_estimates_by_itself_is_taken_as_it_is() -> None:
    usage = CountedUsage(Words())
    assert as_estimator(usage) is usage
    assert as_estimator(None) is None
    assert isinstance(as_estimator(Words()), CountedUsage)


PAYLOAD = {"model": "sim", "messages": [{"role": "user", "content": "one two three"}]}


async def _ask(plan: Plan, leave_early: bool = False) -> tuple[Any, Any]:
    sink = MemorySink()
    counter = Words()
    store = TraceStore(sink, usage_estimator=as_estimator(counter))
    async with Simulator(plan) as simulator, connect(
        "openai", api_key="x", base_url=simulator.openai_base_url, telemetry=NoTelemetry(),
        direct=True, traces=store, token_counter=counter,
    ) as connection:  # fmt: skip
        async with connection.run(PAYLOAD) as run:
            if leave_early:
                async for event in run:
                    if type(event).__name__ == "TextDelta":
                        break
            else:
                await run.result()
        result = run.snapshot()
    assert await store.aclose(10)
    (record,) = sink.records
    return result, record


FAST = Plan(ttft_s=0.0, inter_token_s=0.0, text="a b c d")


def test_a_server_without_usage_is_counted_for() -> None:
    result, record = asyncio.run(
        _ask(Plan(ttft_s=0.0, inter_token_s=0.0, text="a b c d", usage="none"))
    )
    assert result.usage.estimated
    assert (result.usage.input_tokens, result.usage.output_tokens) == (9, 4)
    assert record.usage.estimated
    assert (record.usage.input_tokens, record.usage.output_tokens) == (9, 4)


def test_a_server_with_usage_is_believed() -> None:
    result, record = asyncio.run(_ask(FAST))
    assert not result.usage.estimated
    assert not record.usage.estimated
    assert result.usage.input_tokens == record.usage.input_tokens == 12


def test_a_run_that_was_left_is_counted_in_its_trace() -> None:
    plan = Plan(ttft_s=0.0, inter_token_s=0.2, text="a b c d", usage="none")
    _, record = asyncio.run(_ask(plan, leave_early=True))
    assert record.outcome == Outcome.CANCELLED.value
    assert record.usage.estimated
    assert record.usage.input_tokens == 9
    assert 1 <= record.usage.output_tokens < 4
