"""The code in the documents runs, and says what the documents say."""

import re
from pathlib import Path
from typing import Any

import pytest
from tests.stages.message_view.providers import golden_body
from tests.stages.message_view.script import TAGS

from tokenline.errors import AuthenticationError, StreamCutError
from tokenline.pipeline import Pipeline
from tokenline.result import ReasoningPart, Result
from tokenline.testing import ScriptedSource
from tokenline.testing.source import Script
from tokenline_stages import connect
from tokenline_stages.message_view import (
    ApprovalRequestMessage,
    AssistantMessage,
    ErrorMessage,
    ReasoningMessage,
    SseMessageDecoder,
    StopReasonMessage,
    ToolCallMessage,
    join_messages,
)

pytestmark = pytest.mark.anyio

DOCS = Path(__file__).parents[3] / "docs"
PAYLOAD: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": []}


def code_of(name: str) -> dict[str, Any]:
    """What the Python of a document defines."""
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", (DOCS / name).read_text(), re.S | re.M):
        exec(compile(block, name, "exec"), names)
    return names


def served(pipeline: Pipeline, script: Script | BaseException) -> Pipeline:
    """The same pipeline with a source that needs no network."""
    return pipeline.edit().source(ScriptedSource(script)).build()


def anthropic(script: Script | BaseException) -> Pipeline:
    return served(connect("anthropic", api_key="none").pipeline(), script)


THOUGHTS = (
    golden_body("anthropic", "full_turn")
    .decode()
    .replace(r'"{\"p\": 1}"', r'"{\"thinking\": \"loo\", \"p\": 1}"')
    .encode()
)


async def invoke(adapter: Any, *args: Any) -> list[Any]:
    return [message async for message in adapter.invoke_llm(PAYLOAD, *args, **TAGS)]


@pytest.fixture(scope="module")
def adapters() -> dict[str, Any]:
    return code_of("coming-from-adapters.md")


async def test_adapter_with_inner_thoughts_and_approval(adapters: dict[str, Any]) -> None:
    adapter = adapters["LettaLLMStreamAdapter"](anthropic([THOUGHTS]))
    got = await invoke(adapter, ["grep"])
    whole = join_messages(got)
    assert [type(m).__name__ for m in whole if not isinstance(m, StopReasonMessage)] == [
        "PingMessage",
        "ReasoningMessage",
        "HiddenReasoningMessage",
        "AssistantMessage",
        "ToolCallMessage",
        "ReasoningMessage",
        "ApprovalRequestMessage",
        "UsageStatistics",
    ]
    thought = [m for m in whole if isinstance(m, ReasoningMessage)][-1]
    assert (thought.reasoning, thought.source) == ("loo", "non_reasoner_model")
    (asked,) = [m for m in whole if type(m) is ApprovalRequestMessage]
    assert asked.tool_call.arguments == '{"p": 1}'
    assert [call.id for call in adapter.pending_approvals] == ["toolu_g"]
    assert {m.run_id for m in got} == {"run-1"}
    assert {m.step_id for m in got} == {"step-1"}


async def test_simple_adapter(adapters: dict[str, Any]) -> None:
    adapter = adapters["SimpleLLMStreamAdapter"](anthropic([THOUGHTS]))
    whole = join_messages(await invoke(adapter))
    calls = [m.tool_call.arguments for m in whole if type(m) is ToolCallMessage]
    assert calls == ['{"q":"a"}', '{"thinking": "loo", "p": 1}']
    assert [m.content for m in whole if isinstance(m, AssistantMessage)] == ["Hello"]


async def test_every_attribute_of_the_table(adapters: dict[str, Any]) -> None:
    adapter = adapters["LettaLLMStreamAdapter"](anthropic([THOUGHTS]))
    got = await invoke(adapter, ["grep"])
    result, record, run = adapter.result, adapter.record, adapter.run
    scope = {"run": run, "result": result, "record": record, "ReasoningPart": ReasoningPart}
    scope |= {"approvals_of": adapters["approvals_of"], "options": adapter.options}
    text = (DOCS / "coming-from-adapters.md").read_text()
    rows = re.findall(r"^\| (`?[\w ']+`?) \| `([^|]+?)`(?:, `([^|]+)`)? \|", text, re.M)
    values = {row[0].strip("`"): eval(row[1], scope) for row in rows if _is_value(row[1])}
    assert values["request_data"] == PAYLOAD
    assert Result.model_validate(values["response_data"]) == result
    assert values["tool_call"].name == "grep"
    assert [call.name for call in values["tool_calls"]] == ["search", "grep"]
    assert [part.text for part in values["reasoning_content"]] == ["Let me think", ""]
    assert [part.type for part in values["content"]] == [
        "reasoning",
        "reasoning",
        "text",
        "tool_call",
        "tool_call",
    ]
    assert (values["usage"].input_tokens, values["usage"].output_tokens) == (145, 57)
    assert values["message_id"] == adapter.message_id == got[0].id == result.message_id
    assert values["llm_request_finish_timestamp_ns"] > record.info.anchor_wall_ns
    assert values["finish_reason"] == "tool_calls"
    assert values["logprobs"] == ()
    assert values["the provider's message id"] == "msg_hand_1"
    assert values["the model that answered"] == "claude-hand"
    assert values["time to the first token"] > 0
    assert [call.name for call in values["pending approvals"]] == ["grep"]
    assert values["error"] is None


def _is_value(code: str) -> bool:
    return code.startswith(("run.", "result.", "record.", "approvals_of("))


@pytest.mark.parametrize("name", ["LettaLLMStreamAdapter", "SimpleLLMStreamAdapter"])
async def test_adapters_at_every_exit(adapters: dict[str, Any], name: str) -> None:
    half = THOUGHTS[: THOUGHTS.index(b"toolu_g")]
    scripts: list[Script] = [[half], [half, StreamCutError("cut")]]
    for script in scripts:
        adapter = adapters[name](anthropic(script))
        got = await invoke(adapter)
        assert isinstance(got[-1], ErrorMessage)
        assert adapter.result.text == "Hello"
        assert adapter.result.usage.input_tokens == 145
        assert adapter.record.outcome == "error"
    adapter = adapters[name](anthropic(AuthenticationError("no", status=401)))
    got = await invoke(adapter)
    assert [m.error_type for m in got if isinstance(m, ErrorMessage)] == ["llm_authentication"]
    adapter = adapters[name](anthropic([THOUGHTS]))
    call = adapter.invoke_llm(PAYLOAD)
    await anext(call)
    await call.aclose()
    assert adapter.record is not None
    assert adapter.result.message_id == adapter.message_id


async def test_the_example_of_a_step(
    adapters: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    result = await adapters["step"](anthropic([THOUGHTS]), PAYLOAD)
    assert result.text == "Hello"
    assert "assistant_message" in capsys.readouterr().out


async def test_the_examples_of_the_message_view(capsys: pytest.CaptureFixture[str]) -> None:
    class Connected:
        def run(self, payload: Any) -> Any:
            return anthropic([THOUGHTS]).run(payload)

    names = code_of("message-view.md")
    names["connect"] = lambda name: Connected()
    body = b"".join([part async for part in names["answer"](PAYLOAD)])
    decoder = SseMessageDecoder()
    assert decoder.feed(body)[0].run_id == "run-1"
    assert decoder.done

    names["pipeline"] = served(names["pipeline"].edit().remove("consumer").build(), [THOUGHTS])
    await names["read"](PAYLOAD)
    async with anthropic([THOUGHTS]).run(PAYLOAD) as run:
        whole, approvals = names["transcript"](await run.result())
    assert len(whole) == 7
    assert approvals == ()
    async with anthropic([THOUGHTS]).run(PAYLOAD) as run:
        await names["watch"](run)
    assert "toolu_g {'thinking': 'loo', 'p': 1} True" in capsys.readouterr().out
