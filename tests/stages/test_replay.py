"""The SDKs' own request types judge what is built, from results made by hand and recorded."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from anthropic.types import MessageParam
from anthropic.types.beta import BetaMessageParam
from openai.types.chat import ChatCompletionAssistantMessageParam
from openai.types.responses import ResponseInputItemParam
from pydantic import JsonValue, TypeAdapter, ValidationError

from tokenline.errors import UsageError
from tokenline.events import ReasoningKind, ToolKind
from tokenline.options import Limits
from tokenline.result import (
    BlockPart,
    Part,
    ReasoningPart,
    RefusalPart,
    Result,
    TextPart,
    ToolCall,
)
from tokenline.stage import StepContext
from tokenline_stages.accumulator import Accumulator
from tokenline_stages.providers import anthropic, openai_chat, openai_responses
from tokenline_stages.replay import (
    to_anthropic_message,
    to_openai_chat_message,
    to_openai_responses_items,
)
from tokenline_stages.wire.items import Comment, Done
from tokenline_stages.wire.sse import COMMENT, SseDecoder

ANTHROPIC = TypeAdapter[Any](MessageParam)
ANTHROPIC_BETA = TypeAdapter[Any](BetaMessageParam)
CHAT = TypeAdapter[Any](ChatCompletionAssistantMessageParam)
RESPONSES = TypeAdapter[Any](list[ResponseInputItemParam])


def is_accepted(param_type: TypeAdapter[Any], value: object) -> bool:
    """Whether an SDK takes `value`; pydantic checks iterables only as they are read."""
    try:
        read_all(param_type.validate_python(value))
    except ValidationError:
        return False
    return True


def read_all(value: object) -> None:
    if isinstance(value, dict):
        value = value.values()
    if isinstance(value, Iterable) and not isinstance(value, str):
        for item in value:
            read_all(item)


def result_of(*parts: Part) -> Result:
    return Result(message_id="m1", content=parts)


def call(arguments: str = '{"q":  "a"}', **fields: Any) -> ToolCall:
    given: dict[str, Any] = {"parsed": {"q": "a"}, "complete": True} | fields
    return ToolCall(id="c1", name="find", arguments=arguments, **given)


CUT = call('{"q": "a', parsed=None, complete=False, parse_error="the response was cut")
BROKEN = call("{q}", parsed=None, parse_error="arguments are not valid JSON: no")
FREE = call("ls -l", parsed=None, kind=ToolKind.CUSTOM)


def anthropic_blocks(*parts: Part, **options: bool) -> list[Any]:
    message: Any = to_anthropic_message(result_of(*parts), **options)
    assert message["role"] == "assistant"
    return list(message["content"])


def test_anthropic_keeps_sealed_blocks_exact_and_in_order() -> None:
    parts: tuple[Part, ...] = (
        ReasoningPart(text=" I \n", signature="S1"),
        ReasoningPart(kind=ReasoningKind.REDACTED, data="ENC"),
        ReasoningPart(kind=ReasoningKind.OMITTED, signature="S2"),
        TextPart(text="Hello "),
        call(),
    )
    assert is_accepted(ANTHROPIC, to_anthropic_message(result_of(*parts)))
    assert anthropic_blocks(*parts) == [
        {"type": "thinking", "thinking": " I \n", "signature": "S1"},
        {"type": "redacted_thinking", "data": "ENC"},
        {"type": "thinking", "thinking": "", "signature": "S2"},
        {"type": "text", "text": "Hello "},
        {"type": "tool_use", "id": "c1", "name": "find", "input": {"q": "a"}},
    ]


def test_anthropic_leaves_out_what_the_api_refuses() -> None:
    assert anthropic_blocks(
        ReasoningPart(text="cut before its signature"),
        ReasoningPart(kind=ReasoningKind.REDACTED),
        TextPart(text=""),
        TextPart(text="x"),
        call(kind=ToolKind.SERVER, parsed=None, complete=False),
    ) == [{"type": "text", "text": "x"}]


def test_anthropic_without_reasoning() -> None:
    blocks = anthropic_blocks(
        ReasoningPart(text="t", signature="S"), TextPart(text="x"), reasoning=False
    )
    assert blocks == [{"type": "text", "text": "x"}]


def test_anthropic_server_tools_go_back_whole() -> None:
    location: JsonValue = {
        "type": "web_search_result_location",
        "cited_text": "c",
        "encrypted_index": "E",
        "title": None,
        "url": "u",
    }
    found: JsonValue = {"type": "web_search_tool_result", "tool_use_id": "c1", "content": []}
    search = ToolCall(
        id="c1",
        name="web_search",
        kind=ToolKind.SERVER,
        arguments="{}",
        parsed={},
        complete=True,
    )
    parts: tuple[Part, ...] = (
        search,
        BlockPart(block_type="web_search_tool_result", data=found, tool_call_id="c1"),
        TextPart(text="cited", citations=(location,)),
    )
    assert is_accepted(ANTHROPIC, to_anthropic_message(result_of(*parts)))
    assert anthropic_blocks(*parts) == [
        {"type": "server_tool_use", "id": "c1", "name": "web_search", "input": {}},
        found,
        {"type": "text", "text": "cited", "citations": [location]},
    ]


def test_anthropic_call_keeps_members_of_its_own() -> None:
    extra = {
        "type": "mcp_tool_use",
        "id": "c1",
        "name": "find",
        "input": {},
        "server_name": "wiki",
    }
    (block,) = anthropic_blocks(call(kind=ToolKind.SERVER, provider_data=(extra,)))
    assert block == extra | {"input": {"q": "a"}}
    assert is_accepted(ANTHROPIC_BETA, {"role": "assistant", "content": [block]})


def test_anthropic_block_is_put_together_from_its_increments() -> None:
    part = BlockPart(
        block_type="compaction",
        data={"type": "compaction", "content": None},
        provider_data=(
            {"type": "compaction_delta", "content": "So "},
            {"type": "compaction_delta", "content": "far."},
        ),
    )
    assert anthropic_blocks(part) == [{"type": "compaction", "content": "So far."}]
    assert is_accepted(ANTHROPIC_BETA, to_anthropic_message(result_of(part)))


@pytest.mark.parametrize("unusable", [CUT, BROKEN, FREE])
def test_anthropic_refuses_calls_without_an_object(unusable: ToolCall) -> None:
    with pytest.raises(UsageError, match=r"'c1' of 'find'.*omit_unusable"):
        to_anthropic_message(result_of(unusable))
    blocks = anthropic_blocks(TextPart(text="x"), unusable, omit_unusable=True)
    assert blocks == [{"type": "text", "text": "x"}]


def test_chat_message() -> None:
    answer = result_of(
        ReasoningPart(text="hm"),
        TextPart(text="Hel"),
        TextPart(text="lo"),
        call(),
        call("", parsed={}),
        BROKEN,
        FREE,
        call(kind=ToolKind.SERVER),
        BlockPart(data={"type": "image"}),
    )
    message = to_openai_chat_message(answer)
    assert is_accepted(CHAT, message)
    assert message == {
        "role": "assistant",
        "content": "Hello",
        "tool_calls": [
            {
                "type": "function",
                "id": "c1",
                "function": {"name": "find", "arguments": '{"q":  "a"}'},
            },
            {"type": "function", "id": "c1", "function": {"name": "find", "arguments": "{}"}},
            {"type": "function", "id": "c1", "function": {"name": "find", "arguments": "{q}"}},
            {"type": "custom", "id": "c1", "custom": {"name": "find", "input": "ls -l"}},
        ],
    }


def test_chat_message_of_calls_only_and_of_a_refusal() -> None:
    message = to_openai_chat_message(result_of(call()))
    assert is_accepted(CHAT, message)
    assert message["content"] is None
    message = to_openai_chat_message(result_of(RefusalPart(text="no")))
    assert is_accepted(CHAT, message)
    assert message == {"role": "assistant", "content": None, "refusal": "no"}


def test_chat_message_with_reasoning_for_a_compatible_server() -> None:
    answer = result_of(ReasoningPart(text="hm"), TextPart(text="x"))
    assert to_openai_chat_message(answer, reasoning_field="reasoning_content") == {
        "role": "assistant",
        "content": "x",
        "reasoning_content": "hm",
    }


def test_chat_message_names_its_speech_and_seals_its_calls() -> None:
    speech = BlockPart(block_type="audio", provider_data=({"data": "B"}, {"id": "audio_1"}))
    message: Any = to_openai_chat_message(result_of(speech, call(signature="S")))
    assert is_accepted(CHAT, message)
    assert message["audio"] == {"id": "audio_1"}
    (sent,) = message["tool_calls"]
    assert sent["extra_content"] == {"google": {"thought_signature": "S"}}


def test_chat_refuses_cut_calls() -> None:
    with pytest.raises(UsageError, match="cut"):
        to_openai_chat_message(result_of(CUT))
    message = to_openai_chat_message(result_of(TextPart(text="x"), CUT), omit_unusable=True)
    assert "tool_calls" not in message


def test_the_judges_refuse_what_is_wrong() -> None:
    thinking = {"role": "assistant", "content": [{"type": "thinking", "thinking": "unsigned"}]}
    assert not is_accepted(ANTHROPIC, thinking)
    nameless = {"type": "function", "id": "c", "function": {"arguments": "{}"}}
    assert not is_accepted(CHAT, {"role": "assistant", "tool_calls": [nameless]})
    assert not is_accepted(RESPONSES, [{"type": "reasoning", "id": "rs"}])


def test_nothing_to_send_is_refused() -> None:
    for empty in (result_of(), result_of(TextPart(text=""), ReasoningPart(text="cut"))):
        with pytest.raises(UsageError, match="nothing to send"):
            to_anthropic_message(empty)
        with pytest.raises(UsageError, match="nothing to send"):
            to_openai_chat_message(empty)
        assert to_openai_responses_items(empty) == []


def test_responses_items() -> None:
    note: JsonValue = {
        "type": "url_citation",
        "start_index": 0,
        "end_index": 1,
        "title": "t",
        "url": "u",
    }
    image: JsonValue = {
        "type": "image_generation_call",
        "id": "ig",
        "result": "B64",
        "status": "completed",
    }
    web: JsonValue = {
        "type": "web_search_call",
        "id": "ws",
        "status": "completed",
        "action": {"type": "search", "query": "q"},
    }
    answer = result_of(
        ReasoningPart(kind=ReasoningKind.SUMMARY, text="one", provider_id="rs"),
        ReasoningPart(kind=ReasoningKind.SUMMARY, text="two", provider_id="rs", data="ENC"),
        ToolCall(
            id="ws",
            name="web_search",
            kind=ToolKind.SERVER,
            complete=True,
            provider_data=(web,),
        ),
        TextPart(text="Hel", provider_id="msg", citations=(note,)),
        RefusalPart(text="no", provider_id="msg"),
        BlockPart(data=image, provider_data=({"partial_image_b64": "B"},)),
        TextPart(text="plain"),
        call(provider_id="fc"),
        FREE,
        call("", parsed={}),
    )
    items = to_openai_responses_items(answer)
    assert is_accepted(RESPONSES, items)
    assert items == [
        {
            "type": "reasoning",
            "id": "rs",
            "summary": [
                {"type": "summary_text", "text": "one"},
                {"type": "summary_text", "text": "two"},
            ],
            "encrypted_content": "ENC",
        },
        web,
        {
            "type": "message",
            "id": "msg",
            "role": "assistant",
            "status": "completed",
            "content": [
                {"type": "output_text", "text": "Hel", "annotations": [note]},
                {"type": "refusal", "refusal": "no"},
            ],
        },
        image,
        {"role": "assistant", "content": "plain"},
        {
            "type": "function_call",
            "call_id": "c1",
            "name": "find",
            "arguments": '{"q":  "a"}',
            "id": "fc",
        },
        {"type": "custom_tool_call", "call_id": "c1", "name": "find", "input": "ls -l"},
        {"type": "function_call", "call_id": "c1", "name": "find", "arguments": "{}"},
    ]


def test_responses_items_keep_members_of_their_own() -> None:
    head: JsonValue = {"type": "message", "id": "msg", "content": [], "phase": "commentary"}
    odd: JsonValue = {"type": "output_text", "text": "odd", "annotations": []}
    spaced: JsonValue = {"type": "function_call", "id": "fc", "namespace": "crm", "name": "?"}
    answer = result_of(
        BlockPart(block_type="message", provider_id="msg", data=head),
        TextPart(text="one", provider_id="msg"),
        call(provider_id="fc", provider_data=(spaced,)),
        BlockPart(block_type="message", provider_id="msg", data=odd),
        BlockPart(block_type="message", provider_id="empty", data=head),
    )
    items: Any = to_openai_responses_items(answer)
    assert is_accepted(RESPONSES, items)
    assert [item["id"] for item in items] == ["msg", "fc"]
    assert items[0]["phase"] == "commentary"
    assert [part["text"] for part in items[0]["content"]] == ["one", "odd"]
    assert (items[1]["namespace"], items[1]["name"]) == ("crm", "find")


def test_responses_leaves_out_what_was_cut() -> None:
    searching: JsonValue = {"type": "web_search_call", "id": "ws", "status": "in_progress"}
    answer = result_of(
        BlockPart(block_type="web_search_call", data=searching),
        BlockPart(block_type="audio"),
        call(kind=ToolKind.SERVER),
    )
    assert to_openai_responses_items(answer) == []


def test_responses_reasoning_text_goes_into_the_content() -> None:
    answer = result_of(ReasoningPart(text="raw", provider_id="rs"), TextPart(text="x"))
    items = to_openai_responses_items(answer)
    assert is_accepted(RESPONSES, items)
    assert items[0] == {
        "type": "reasoning",
        "id": "rs",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "raw"}],
    }


def test_responses_reasoning_never_stands_at_the_end() -> None:
    thought = ReasoningPart(text="hm", provider_id="rs")
    assert to_openai_responses_items(result_of(thought, CUT), omit_unusable=True) == []
    assert to_openai_responses_items(result_of(thought)) == []


def test_responses_without_reasoning() -> None:
    thought = ReasoningPart(text="hm", provider_id="rs")
    items = to_openai_responses_items(result_of(thought, TextPart(text="x")), reasoning=False)
    assert items == [{"role": "assistant", "content": "x"}]


def test_responses_refuses_cut_calls() -> None:
    with pytest.raises(UsageError, match="cut"):
        to_openai_responses_items(result_of(CUT))


def test_a_choice_can_be_sent_back() -> None:
    choice = result_of(TextPart(text="x")).choices[0]
    assert to_openai_chat_message(choice)["content"] == "x"


def accumulate(body: bytes, decode: Callable[[str, bytes], Any], normalizer: Any) -> Result:
    reader = SseDecoder(Limits())
    pairs = [*reader.feed(body), *reader.finish()]
    events: list[Any] = []
    for name, data in pairs:
        item = Comment(data) if name == COMMENT else Done() if data == b"[DONE]" else None
        normalizer.feed([item or decode(name, data)], 1, events)
    normalizer.finish(1, events)
    fold = Accumulator()
    fold.feed(events, 1, [])
    return fold.snapshot()


def sent_events(body: bytes) -> list[Any]:
    lines = body.decode().splitlines()
    return [json.loads(line[5:]) for line in lines if line.startswith(("data:{", "data: {"))]


def significant(value: Any, ignored: frozenset[str] = frozenset()) -> Any:
    """Without members that say nothing: null, and the caller that is the default."""
    if isinstance(value, list):
        return [significant(item, ignored) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: significant(item, ignored)
        for name, item in value.items()
        if item is not None
        and name not in ignored
        and (name, item) != ("caller", {"type": "direct"})
    }


def sent_anthropic_blocks(body: bytes) -> list[Any]:
    """The content blocks of a Messages stream, put together by hand."""
    blocks: dict[int, Any] = {}
    inputs: dict[int, str] = {}
    for event in sent_events(body):
        if event["type"] == "content_block_start":
            blocks[event["index"]] = event["content_block"]
        if event["type"] != "content_block_delta":
            continue
        index, delta = event["index"], event["delta"]
        block = blocks[index]
        match delta["type"]:
            case "input_json_delta":
                inputs[index] = inputs.get(index, "") + delta["partial_json"]
            case "citations_delta":
                block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
            case _:
                for name in delta.keys() - {"type", "estimated_tokens"}:
                    block[name] = (block.get(name) or "") + delta[name]
    for index, text in inputs.items():
        blocks[index]["input"] = json.loads(text or "{}")
    return [b for _, b in sorted(blocks.items()) if b.get("text") != ""]


@pytest.mark.corpus
def test_anthropic_turns_go_back_as_they_came(corpus_dir: Path) -> None:
    recordings = sorted(
        [*corpus_dir.glob("anthropic-messages.*.sse"), *corpus_dir.glob("anthropic-vertex.*.sse")]
    )
    assert recordings
    for recording in recordings:
        body = recording.read_bytes()
        normalizer = anthropic.MessagesNormalizer(StepContext(message_id="m"))
        message: Any = to_anthropic_message(accumulate(body, anthropic.decode, normalizer))
        assert significant(message["content"]) == significant(sent_anthropic_blocks(body))
        assert is_accepted(ANTHROPIC, message) or is_accepted(ANTHROPIC_BETA, message)


def sent_responses_items(body: bytes) -> list[Any]:
    """The output items of a Responses stream: as finished, else as the final response has them."""
    items: dict[int, Any] = {}
    for event in sent_events(body):
        if event["type"] == "response.output_item.done":
            items[event["output_index"]] = event["item"]
        elif event["type"] in ("response.completed", "response.incomplete"):
            items = dict(enumerate(event["response"]["output"])) | items
    return [item for _, item in sorted(items.items())]


@pytest.mark.corpus
def test_responses_turns_go_back_as_they_came(corpus_dir: Path) -> None:
    recordings = sorted(corpus_dir.glob("openai-responses*.sse"))
    assert recordings
    for recording in recordings:
        body = recording.read_bytes()
        normalizer = openai_responses.ResponsesNormalizer(StepContext(message_id="m"))
        result = accumulate(body, openai_responses.decode, normalizer)
        items = to_openai_responses_items(result)
        ignored = {"status", "logprobs"}
        if "openrouter" in recording.name:  # gives the same item several ids
            ignored.add("id")
        sent = sent_responses_items(body)
        for item in sent:
            if item["type"] == "reasoning" and not item.get("content"):
                item["content"] = None
        assert significant(items, frozenset(ignored)) == significant(sent, frozenset(ignored))
        assert is_accepted(RESPONSES, items)


@pytest.mark.corpus
def test_chat_turns_go_back_as_they_came(corpus_dir: Path) -> None:
    recordings = sorted(
        [*corpus_dir.glob("openai-chat.*.sse"), *corpus_dir.glob("openai-compat-*.sse")]
    )
    assert recordings
    for recording in recordings:
        expected = json.loads(recording.with_suffix(".expected.json").read_text())
        if "error" in expected or "choices" in expected:
            continue
        body = recording.read_bytes()
        normalizer = openai_chat.ChatNormalizer(StepContext(message_id="m"), "openai")
        result = accumulate(body, openai_chat.decode, normalizer)
        message: Any = to_openai_chat_message(result, omit_unusable=True)
        assert is_accepted(CHAT, message)
        if "text" in expected:
            assert (message["content"] or "") == expected["text"]
        calls = [call["function"] for call in message.get("tool_calls", ())]
        assert [(c["name"], c["arguments"]) for c in calls] == [
            (c["name"], c["arguments"] or "{}") for c in expected.get("tool_calls", ())
        ]
