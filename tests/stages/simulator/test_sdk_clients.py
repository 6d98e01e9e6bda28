"""The official SDKs read what the plan said: they are the oracle of the wire forms."""

import json

import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from tokenline_stages.simulator import Plan, Simulator, ToolCall

pytestmark = pytest.mark.anyio

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
