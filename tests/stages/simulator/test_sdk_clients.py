"""The official SDKs read what the plan said: they are the oracle of the wire forms."""

import json
from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from anthropic import AsyncAnthropic, AsyncAnthropicBedrock
from botocore.eventstream import EventStreamBuffer
from openai import AsyncOpenAI

from tokenline_stages.simulator import Plan, Simulator, ToolCall
from tokenline_stages.simulator.answer import compose

pytestmark = pytest.mark.anyio

Fetch = Callable[..., Awaitable[Any]]
PLAN = Plan(
    ttft_s=0.001,
    inter_token_s=0.0,
    tokens=40,
    reasoning_tokens=5,
    tool_calls=(ToolCall(), ToolCall(name="now", arguments="{}", fragments=1)),
    cached_tokens=4,
)


async def test_openai_chat_stream() -> None:
    async with Simulator(PLAN) as simulator:
        client = AsyncOpenAI(api_key="x", base_url=simulator.openai_base_url)
        async with (
            client,
            client.chat.completions.stream(
                model="m", messages=[], stream_options={"include_usage": True}
            ) as stream,
        ):
            completion = await stream.get_final_completion()
        entry = simulator.ledger.last
    message = completion.choices[0].message
    assert message.content == entry.text
    assert message.reasoning_content == entry.reasoning  # type: ignore[attr-defined]
    assert [c.function.name for c in message.tool_calls or ()] == ["get_weather", "now"]
    assert [c.function.arguments for c in message.tool_calls or ()] == entry.tool_arguments
    assert completion.choices[0].finish_reason == "tool_calls"
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == 12
    assert completion.usage.completion_tokens == 40 + 5 + 4 + 1


async def test_anthropic_stream() -> None:
    async with Simulator(PLAN) as simulator:
        client = AsyncAnthropic(api_key="x", base_url=simulator.anthropic_base_url)
        async with client, client.messages.stream(model="m", messages=[], max_tokens=9) as stream:
            message = await stream.get_final_message()
        entry = simulator.ledger.last
    thinking, text, *calls = message.content
    assert thinking.type == "thinking"
    assert thinking.thinking == entry.reasoning
    assert thinking.signature
    assert text.type == "text"
    assert text.text == entry.text
    assert [c.input for c in calls if c.type == "tool_use"] == [
        json.loads(arguments) for arguments in entry.tool_arguments
    ]
    assert message.stop_reason == "tool_use"
    assert message.usage.input_tokens == 8
    assert message.usage.cache_read_input_tokens == 4
    assert message.usage.output_tokens == 50


async def test_openai_responses_stream() -> None:
    async with Simulator(PLAN) as simulator:
        client = AsyncOpenAI(api_key="x", base_url=simulator.openai_base_url)
        async with client, client.responses.stream(model="m", input="hello") as stream:
            response = await stream.get_final_response()
        entry = simulator.ledger.last
    reasoning, _, *calls = response.output
    assert response.output_text == entry.text
    assert reasoning.type == "reasoning"
    assert reasoning.summary[0].text == entry.reasoning
    assert [c.arguments for c in calls if c.type == "function_call"] == entry.tool_arguments
    assert response.usage is not None
    assert response.usage.output_tokens == 50
    assert response.usage.output_tokens_details.reasoning_tokens == 5


async def test_openai_responses_cut_short_by_its_limit() -> None:
    plan = PLAN.with_changes({"tool_calls": 0, "obey_max_tokens": True})
    async with Simulator(plan) as simulator:
        client = AsyncOpenAI(api_key="x", base_url=simulator.openai_base_url)
        async with client:
            events = await client.responses.create(
                model="m", input="hello", max_output_tokens=7, stream=True
            )
            *_, last = [event async for event in events]
        assert len(simulator.ledger.last.text.split()) == 7
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details is not None
    assert last.response.incomplete_details.reason == "max_output_tokens"


async def test_anthropic_on_bedrock_stream() -> None:
    async with Simulator(PLAN) as simulator:
        client = AsyncAnthropicBedrock(
            base_url=simulator.url, aws_access_key="a", aws_secret_key="b", aws_region="r"
        )
        async with (
            client,
            client.messages.stream(model="anthropic.m", messages=[], max_tokens=9) as stream,
        ):
            message = await stream.get_final_message()
        entry = simulator.ledger.last
    assert entry.api == "bedrock.invoke"
    assert [block.text for block in message.content if block.type == "text"] == [entry.text]
    assert message.usage.output_tokens == 50


async def test_bedrock_converse_frames(fetch: Fetch) -> None:
    async with Simulator(PLAN) as simulator:
        answer = await fetch(simulator, "/model/us.m-v1%3A0/converse-stream")
        entry = simulator.ledger.last
    assert entry.model == "us.m-v1:0"
    buffer = EventStreamBuffer()  # checks both checksums of every frame
    buffer.add_data(answer.body)
    events = [(frame.headers[":event-type"], json.loads(frame.payload)) for frame in buffer]
    deltas = [body["delta"] for kind, body in events if kind == "contentBlockDelta"]
    assert "".join(delta.get("text", "") for delta in deltas) == entry.text
    thoughts = [d["reasoningContent"] for d in deltas if "reasoningContent" in d]
    assert "".join(t.get("text", "") for t in thoughts) == entry.reasoning
    assert [kind for kind, _ in events][-2:] == ["messageStop", "metadata"]
    assert events[-1][1]["usage"]["totalTokens"] == 62


async def test_gemini_chunks(fetch: Fetch) -> None:
    async with Simulator(PLAN) as simulator:
        path = "/v1beta/models/gemini-x:streamGenerateContent"
        by_sse = await fetch(simulator, path + "?alt=sse")
        entry = simulator.ledger.last
        as_array = await fetch(simulator, path)
    chunks = by_sse.events
    parts = [part for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]]
    texts = [part for part in parts if "text" in part]
    assert "".join(part["text"] for part in texts if not part.get("thought")) == entry.text
    assert "".join(part["text"] for part in texts if part.get("thought")) == entry.reasoning
    calls = [part["functionCall"]["args"] for part in parts if "functionCall" in part]
    assert calls == [json.loads(arguments) for arguments in entry.tool_arguments]
    last = chunks[-1]
    assert last["candidates"][0]["finishReason"] == "STOP"
    assert last["usageMetadata"]["candidatesTokenCount"] == 45
    assert last["usageMetadata"]["thoughtsTokenCount"] == 5
    ids = {chunk.pop("responseId") for chunk in chunks}
    assert len(ids) == 1
    array = json.loads(as_array.body)
    assert [chunk for chunk in array if chunk.pop("responseId") not in ids] == chunks


async def test_ollama_lines(fetch: Fetch) -> None:
    async with Simulator(PLAN) as simulator:
        chat = await fetch(simulator, "/api/chat")
        entry = simulator.ledger.last
        generate = await fetch(simulator, "/api/generate")
    lines = [json.loads(line) for line in chat.body.splitlines()]
    messages = [line["message"] for line in lines]
    assert "".join(message["content"] for message in messages) == entry.text
    assert "".join(message.get("thinking", "") for message in messages) == entry.reasoning
    calls = [call["function"] for message in messages for call in message.get("tool_calls", ())]
    assert [call["arguments"] for call in calls] == [json.loads(a) for a in entry.tool_arguments]
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert lines[-1]["eval_count"] == 50
    plain = [json.loads(line) for line in generate.body.splitlines()]
    assert "".join(line["response"] for line in plain) == entry.text


async def test_interleaved_calls_and_forms_of_usage(fetch: Fetch) -> None:
    plan = PLAN.with_changes({"tool_calls": 2, "interleaved": True, "tokens": 0})
    for usage, place in (("finish", -1), ("final", -1), ("none", None), ("auto", None)):
        answer = await fetch(plan.with_changes({"usage": usage}))
        with_usage = [n for n, event in enumerate(answer.events) if event.get("usage")]
        assert with_usage == ([] if place is None else [len(answer.events) + place])
        calls = [
            call["index"]
            for event in answer.events
            for choice in event["choices"]
            for call in choice["delta"].get("tool_calls", ())
        ]
        assert calls == [0, 1] * 4
        empty = [event for event in answer.events if not event["choices"]]
        assert len(empty) == (usage == "final")


async def test_whole_answers() -> None:
    async with Simulator(PLAN) as simulator:
        openai = AsyncOpenAI(api_key="x", base_url=simulator.openai_base_url)
        anthropic = AsyncAnthropic(api_key="x", base_url=simulator.anthropic_base_url)
        async with openai, anthropic:
            completion = await openai.chat.completions.create(model="m", messages=[])
            message = await anthropic.messages.create(model="m", messages=[], max_tokens=9)
    text = completion.choices[0].message.content
    assert text
    assert [block.text for block in message.content if block.type == "text"] == [text]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/v1beta/models/g:generateContent", ("candidates", 0, "content", "parts", 1, "text")),
        ("/api/chat", ("message", "content")),
        ("/api/generate", ("response",)),
        ("/model/m/converse", ("output", "message", "content", 1, "text")),
        ("/model/anthropic.m/invoke", ("content", 1, "text")),
        ("/model/amazon.nova/invoke", ("output", "message", "content", 1, "text")),
        ("/v1/responses", ("output", 1, "content", 0, "text")),
    ],
)
async def test_whole_answers_of_the_other_apis(path: str, place: tuple[Any, ...]) -> None:
    async with (
        Simulator(PLAN) as simulator,
        aiohttp.ClientSession() as session,
        session.post(simulator.url + path, json={"stream": False}) as response,
    ):
        assert response.status == 200
        found = await response.json()
    for step in place:
        found = found[step]
    assert found == "".join(compose(PLAN).text)


async def test_nova_sends_converse_events_in_chunks(fetch: Fetch) -> None:
    answer = await fetch(PLAN, "/model/amazon.nova/invoke-with-response-stream")
    buffer = EventStreamBuffer()
    buffer.add_data(answer.body)
    chunks = [json.loads(b64decode(json.loads(frame.payload)["bytes"])) for frame in buffer]
    assert chunks[0] == {"messageStart": {"role": "assistant"}}
    assert set(chunks[-1]) == {"metadata"}
