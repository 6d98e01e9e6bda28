import base64
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.stages.providers.reading import Outcome, check_shape, drive, fold, of, split

from tokenline.errors import (
    BadRequestError,
    ContextOverflowError,
    LimitExceededError,
    MalformedStreamError,
    ProviderError,
    RateLimitError,
    ServerError,
    StreamCutError,
    TokenlineError,
    UnknownEventError,
)
from tokenline.events import (
    Citation,
    Event,
    Finish,
    FinishReason,
    ReasoningKind,
    ToolCallEnd,
    ToolKind,
    UnknownEvent,
)
from tokenline.options import Limits
from tokenline.result import BlockPart, ReasoningPart, TextPart, ToolCall
from tokenline.stage import StepContext
from tokenline_stages.parser import EventStreamParser
from tokenline_stages.providers.bedrock import BedrockNormalizer, decode, wire
from tokenline_stages.providers.bedrock.vocabulary import FINISH_REASONS, read_usage
from tokenline_stages.wire.aws_eventstream import EventStreamDecoder, Frame, encode_frame

DATA = Path(__file__).parents[2] / "data" / "bedrock"
CONTEXT = StepContext(message_id="m1")
VECTORS = sorted(path.name for path in DATA.glob("*.jsonl"))
ENDED = [name for name in VECTORS if name != "converse_exception.jsonl"]


def run(chunks: Iterable[bytes], context: StepContext = CONTEXT) -> Outcome:
    parser: EventStreamParser[wire.Item] = EventStreamParser(decode, context, "aws.bedrock")
    return drive(parser, BedrockNormalizer(context), chunks)


def event(type_: str, payload: bytes) -> bytes:
    return encode_frame({":event-type": type_, ":message-type": "event"}, payload)


def frame(form: str, *rest: Any) -> bytes:
    if form == "chunk":
        return event("chunk", chunk_payload(msgspec.json.encode(rest[0])))
    type_, payload = rest[0], msgspec.json.encode(rest[1])
    if form == "event":
        return event(type_, payload)
    return encode_frame({":exception-type": type_, ":message-type": "exception"}, payload)


def chunk_payload(data: bytes) -> bytes:
    return b'{"bytes":"' + base64.b64encode(data) + b'","p":"abc"}'


def body_of(name: str) -> bytes:
    return b"".join(frame(*json.loads(line)) for line in (DATA / name).read_bytes().splitlines())


def read(name: str, context: StepContext = CONTEXT) -> list[Event]:
    events, error = run([body_of(name)], context)
    assert error is None
    return events


def run_frames(*frames: bytes, context: StepContext = CONTEXT) -> list[Event]:
    events, error = run([b"".join(frames)], context)
    assert error is None
    return events


def text(value: str, index: int = 0) -> bytes:
    return frame("event", "contentBlockDelta", at(index, {"delta": {"text": value}}))


def start(kind: str, value: object, index: int = 0) -> bytes:
    return frame("event", "contentBlockStart", at(index, {"start": {kind: value}}))


def at(index: int, content: dict[str, Any]) -> dict[str, Any]:
    return {"contentBlockIndex": index, **content}


def stop(reason: str = "end_turn") -> bytes:
    return frame("event", "messageStop", {"stopReason": reason})


@pytest.mark.parametrize("name", ENDED)
def test_shape(name: str) -> None:
    check_shape(read(name))


@pytest.mark.parametrize("name", VECTORS)
def test_byte_by_byte(name: str) -> None:
    body = body_of(name)
    whole, error = run([body])
    events, again = run(body[i : i + 1] for i in range(len(body)))
    assert events == whole
    assert str(again) == str(error)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(VECTORS), st.lists(st.integers(0, 10_000), max_size=12))
def test_any_cut_gives_the_same_events(name: str, places: list[int]) -> None:
    body = body_of(name)
    assert run(split(body, places))[0] == run([body])[0]


def test_converse() -> None:
    events = read("converse.jsonl")
    result = fold(events)
    thought, hidden, answer, search, now, fields = result.content
    assert isinstance(thought, ReasoningPart)
    assert (thought.text, thought.signature) == ("Let me think.\n\n", "U0lH")
    assert thought.kind is ReasoningKind.NATIVE
    assert isinstance(hidden, ReasoningPart)
    assert (hidden.kind, hidden.data, hidden.text) == (ReasoningKind.REDACTED, "RU5D", "")
    assert isinstance(answer, TextPart)
    assert answer.text == "Hello 🌍"
    assert len(answer.citations) == 1
    assert isinstance(search, ToolCall)
    assert (search.id, search.name, search.arguments) == ("t1", "search", '{"q": "a"}')
    assert isinstance(now, ToolCall)
    assert (now.id, now.name, now.parsed) == ("t2", "now", {})
    assert search.complete
    assert now.complete
    assert isinstance(fields, BlockPart)
    assert fields.block_type == "additionalModelResponseFields"
    assert result.finish_reason is FinishReason.TOOL_CALLS
    assert (result.raw_finish_reason, result.stop_sequence) == ("tool_use", "END")


def test_usage_counts_the_cache() -> None:
    usage = fold(read("converse.jsonl")).usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (145, 57, 202)
    assert (usage.cached_input_tokens, usage.cache_write_input_tokens) == (40, 5)
    assert usage.raw is not None
    assert usage.raw["inputTokens"] == 100
    assert usage.raw["metrics"] == {"latencyMs": 321}


def test_usage_whose_total_includes_the_cache() -> None:
    counts = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15, "cacheReadInputTokens": 8}
    assert read_usage(counts).input_tokens == 10
    assert read_usage({"cacheReadInputTokens": None, "inputTokens": True}).input_tokens is None


def test_server_tool() -> None:
    events = read("converse_server_tool.jsonl")
    result = fold(events)
    (call,) = result.server_tool_calls
    assert (call.id, call.kind) == ("s1", ToolKind.SERVER)
    assert not result.tool_calls
    found, image, trace = result.parts(BlockPart)
    assert (found.block_type, found.tool_call_id) == ("toolResult", "s1")
    assert image.block_type == "image"
    assert trace.block_type == "trace"
    assert result.text == "42"
    assert result.finish_reason is FinishReason.CONTENT_FILTER
    assert result.usage.raw is not None
    assert result.usage.raw["serviceTier"] == {"type": "default"}


def test_cut_calls_are_incomplete() -> None:
    result = fold(read("converse_cut_call.jsonl"))
    assert [(call.id, call.complete) for call in result.tool_calls] == [
        ("a", True),
        ("b", True),
        ("c", False),
        ("d", False),
    ]
    assert result.finish_reason is FinishReason.LENGTH


def test_text_that_looks_like_protocol_is_text() -> None:
    result = fold(read("converse_plain_marks.jsonl"))
    assert result.text == (
        'data: [DONE]\n\nevent: error\n{"seq_id":5}\r\n\u2028messageStop ü漢👩‍👩‍👧'
    )
    assert len(result.content) == 1


def test_exception_inside_the_stream() -> None:
    events, error = run([body_of("converse_exception.jsonl")])
    assert isinstance(error, ServerError)
    assert error.code == "modelStreamErrorException"
    assert error.provider == "aws.bedrock"
    assert "The model failed.; boom" in str(error)
    result = fold(events)
    assert result.text == "So far"
    (end,) = of(events, ToolCallEnd)
    assert not end.complete


@pytest.mark.parametrize(
    ("type_", "message", "error_type"),
    [
        ("throttlingException", "slow down", RateLimitError),
        ("ThrottlingException", "slow down", RateLimitError),
        ("validationException", "no", BadRequestError),
        ("validationException", "Input is too long for requested model.", ContextOverflowError),
        ("internalServerException", "x", ServerError),
        ("modelTimeoutException", "x", ServerError),
        ("somethingNew", "x", ProviderError),
    ],
)
def test_exceptions(type_: str, message: str, error_type: type[TokenlineError]) -> None:
    for payload in ({"message": message}, {"Message": message}):
        _, error = run([frame("exception", type_, payload)])
        assert type(error) is error_type


def test_failures_of_other_forms() -> None:
    headers = {":message-type": "error", ":error-code": "x", ":error-message": "went wrong"}
    _, error = run([encode_frame(headers, b"")])
    assert "went wrong" in str(error)
    headers = {":message-type": "exception", ":exception-type": "throttlingException"}
    assert isinstance(run([encode_frame(headers, b"\xff")])[1], RateLimitError)
    assert isinstance(run([encode_frame({":message-type": "exception"}, b"{}")])[1], ProviderError)
    headers = {":message-type": "error", ":error-code": "InternalFailure"}
    error = run([encode_frame(headers, b"")])[1]
    assert isinstance(error, ServerError)
    assert error.code == "internalFailure"
    assert "gone" in str(run([frame("chunk", {"error": {"message": "gone"}})])[1])


def test_nova_behind_a_guardrail() -> None:
    events = read("invoke_nova.jsonl")
    result = fold(events)
    assert [part.type for part in result.content] == ["text", "tool_call", "text", "block"]
    assert result.text == "On the way.Done"
    (call,) = result.tool_calls
    assert (call.id, call.name, call.parsed) == ("n1", "go", {"to": "sea"})
    assert result.raw_finish_reason == "tool_use"
    assert (result.usage.input_tokens, result.usage.output_tokens) == (40, 9)
    assert result.usage.cached_input_tokens == 10
    assert result.usage.raw is not None
    assert result.usage.raw["amazon-bedrock-invocationMetrics"] != {}


@pytest.mark.parametrize(
    ("name", "answer", "raw_reason", "reason", "counts"),
    [
        ("titan", "\nTitan", "LENGTH", FinishReason.LENGTH, (6, 4)),
        ("llama", "Llama", "stop", FinishReason.STOP, (11, 3)),
        ("mistral", " Mistral", "length", FinishReason.LENGTH, (7, 2)),
        ("cohere", "Cohere", "COMPLETE", FinishReason.STOP, (8, 3)),
        ("chat", "Looking.", "tool_calls", FinishReason.TOOL_CALLS, (50, 20)),
    ],
)
def test_models_invoked_directly(
    name: str, answer: str, raw_reason: str, reason: FinishReason, counts: tuple[int, int]
) -> None:
    result = fold(read(f"invoke_{name}.jsonl", replace(CONTEXT, strict=True)))
    assert result.text == answer
    assert len(result.parts(TextPart)) == 1
    assert (result.raw_finish_reason, result.finish_reason) == (raw_reason, reason)
    assert (result.usage.input_tokens, result.usage.output_tokens) == counts


def test_generations_and_a_number_as_id() -> None:
    first = {"id": 7, "generations": [{"id": "g", "text": "Sea"}], "prompt": "x"}
    last = {"generations": [{"text": " air", "finish_reason": "COMPLETE"}]}
    events = run_frames(frame("chunk", first), frame("chunk", last))
    result = fold(events)
    assert (result.text, result.finish_reason) == ("Sea air", FinishReason.STOP)
    assert result.provider_message_id == "7"


def test_cohere_calls_and_citations() -> None:
    events = read("invoke_cohere.jsonl")
    (call,) = fold(events).tool_calls
    assert (call.id, call.name, call.parsed) == ("call_m1_1", "look", {"up": True})
    assert len(of(events, Citation)) == 1


def test_chat_form() -> None:
    result = fold(read("invoke_chat.jsonl"))
    assert [part.type for part in result.content] == ["reasoning", "text", "tool_call", "tool_call"]
    assert result.reasoning == "Hm. Yes."
    first, second = result.tool_calls
    assert (first.id, first.arguments, second.id, second.arguments) == (
        "c1",
        '{"x":1}',
        "c2",
        "{}",
    )
    assert (result.provider_message_id, result.model) == ("chatcmpl-1", "gpt-oss-x")
    assert (result.usage.cached_input_tokens, result.usage.reasoning_tokens) == (32, 6)


def test_further_choices_are_unknown() -> None:
    choices = [{"index": 0, "text": "a", "finish_reason": "stop"}, {"index": 1, "text": "b"}]
    body = frame("chunk", {"choices": choices})
    events = run_frames(body, context=replace(CONTEXT, pass_unknown=True))
    assert fold(events).text == "a"
    assert len(of(events, UnknownEvent)) == 1


@pytest.mark.parametrize("raw", [*FINISH_REASONS, "something_new"])
def test_finish_reasons(raw: str) -> None:
    (finish,) = of(run_frames(text("x"), stop(raw)), Finish)
    assert finish.raw_reason == raw
    assert finish.reason is FINISH_REASONS.get(raw, FinishReason.OTHER)


@pytest.mark.parametrize("body", [b"", text("half"), start("toolUse", {"toolUseId": "a"})])
def test_end_without_a_stop_reason_is_a_cut(body: bytes) -> None:
    events, error = run([body])
    assert isinstance(error, StreamCutError)
    assert fold(events).text in ("", "half")
    assert not any(end.complete for end in of(events, ToolCallEnd))


def test_end_inside_a_frame_is_a_cut() -> None:
    assert isinstance(run([text("a") + stop()[:-1]])[1], StreamCutError)


def test_invocation_metrics_end_an_answer_without_a_reason() -> None:
    metrics = {"inputTokenCount": 1, "outputTokenCount": 2}
    chunk = {"generation": "a", "amazon-bedrock-invocationMetrics": metrics}
    events = run_frames(frame("chunk", chunk))
    assert fold(events).finish_reason is None
    check_shape(events)


def test_stream_that_leaves_things_out() -> None:
    """No message start, no block starts or stops, a call that begins with its arguments."""
    arguments = {"delta": {"toolUse": {"input": '{"a":1}'}}}
    events = run_frames(
        text("a", 0),
        frame("event", "contentBlockDelta", at(1, arguments)),
        frame("event", "contentBlockStop", at(9, {})),
        text("b", 0),
        stop("tool_use"),
        stop("tool_use"),
    )
    check_shape(events)
    result = fold(events)
    assert result.text == "ab"
    (call,) = result.tool_calls
    assert (call.id, call.name, call.complete) == ("call_m1_1", "", True)
    assert len(of(events, Finish)) == 1


def test_blocks_that_change_their_kind() -> None:
    reasoning = {"delta": {"reasoningContent": {"text": "r"}}}
    events = run_frames(
        text("a"),
        frame("event", "contentBlockDelta", at(0, reasoning)),
        start("toolUse", {"toolUseId": "t", "name": "f"}),
        start("toolUse", {"toolUseId": "t", "name": "f"}),
        start("toolUse", {"toolUseId": "u", "name": "f"}),
        stop("tool_use"),
    )
    check_shape(events)
    assert [part.type for part in fold(events).content] == [
        "text",
        "reasoning",
        "tool_call",
        "tool_call",
    ]


def test_arguments_as_an_object() -> None:
    given = {"delta": {"toolUse": {"input": {"a": [1, 2.5]}}}}
    events = run_frames(
        start("toolUse", {"name": "f"}),
        frame("event", "contentBlockDelta", at(0, given)),
        stop("tool_use"),
    )
    (call,) = fold(events).tool_calls
    assert call.arguments == '{"a":[1,2.5]}'


UNKNOWN = [
    frame("event", "newEvent", {"a": 1}),
    frame("event", "contentBlockDelta", at(0, {"delta": {"hologram": {}}})),
    start("hologram", {}),
    frame("chunk", {"hologram": 1}),
    event("chunk", b'{"data":1}'),
]


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_unknown_input(unknown: bytes) -> None:
    body = unknown + text("a", 1) + stop()
    assert run([body])[1] is None
    events, _ = run([body], replace(CONTEXT, pass_unknown=True))
    assert len(of(events, UnknownEvent)) == 1
    assert isinstance(run([body], replace(CONTEXT, strict=True))[1], UnknownEventError)


@pytest.mark.parametrize(
    ("type_", "payload"),
    [
        ("contentBlockDelta", b"{"),
        ("contentBlockDelta", b"[]"),
        ("contentBlockDelta", b'{"delta": {"text": 5}}'),
        ("contentBlockStart", b'{"start": {"toolUse": 5}}'),
        ("chunk", b'{"bytes": "%"}'),
        ("chunk", chunk_payload(b"{")),
        ("chunk", chunk_payload(b'{"outputText": 5}')),
    ],
)
def test_malformed(type_: str, payload: bytes) -> None:
    assert isinstance(run([event(type_, payload)])[1], MalformedStreamError)


def test_half_a_character_does_not_end_the_stream() -> None:
    said = b'{"contentBlockIndex": 0, "delta": {"text": "a\\ud83d"}}'
    assert fold(run_frames(event("contentBlockDelta", said), stop())).text == "a\ufffd"
    invoked = b'{"outputText": "a\\ud83d", "completionReason": "FINISH"}'
    assert fold(run_frames(event("chunk", chunk_payload(invoked)))).text == "a\ufffd"


def test_limits() -> None:
    deep = b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert isinstance(run([event("metadata", deep)])[1], LimitExceededError)
    context = replace(CONTEXT, limits=Limits(max_arguments_bytes=8))
    piece = frame("event", "contentBlockDelta", at(0, {"delta": {"toolUse": {"input": "äöü"}}}))
    _, error = run([piece * 2], context)
    assert isinstance(error, LimitExceededError)
    assert error.limit == "max_arguments_bytes"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["contentBlockIndex", "delta", "start", "toolUse", "text", "input", "choices"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)
_types = st.sampled_from(
    ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "metadata", "x"]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(_types, _json) | _json.map(lambda each: (each,)), max_size=4))
def test_any_json_gives_documented_errors_only(frames: list[tuple[Any, ...]]) -> None:
    forms = {1: "chunk", 2: "event"}
    run([b"".join(frame(forms[len(each)], *each) for each in frames)])


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(VECTORS),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_damaged_payloads_give_documented_errors_only(
    name: str, damage: list[tuple[int, int]]
) -> None:
    frames = EventStreamDecoder(CONTEXT.limits).feed(body_of(name))
    damaged = bytearray(b"\n".join(each.payload for each in frames))
    for place, value in damage:
        damaged[place % len(damaged)] = value
    payloads = bytes(damaged).split(b"\n")
    normalizer = BedrockNormalizer(CONTEXT)
    try:
        for each, payload in zip(frames, payloads, strict=False):
            normalizer.feed([decode(Frame(each.headers, payload))], 0, [])
        normalizer.finish(0, [])
    except TokenlineError:
        pass


def recordings(corpus: Path) -> list[Path]:
    names = [path for path in corpus.glob("bedrock*.json") if ".expected." not in path.name]
    return sorted(p for p in names if json.loads(p.read_bytes())["api"].startswith("bedrock."))


USAGE_KEYS = {
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "total_tokens": "totalTokens",
    "cached_tokens": "cacheReadInputTokenCount",
    "cache_write_tokens": "cacheWriteInputTokenCount",
}


def check_recording(events: list[Event], expected: dict[str, Any]) -> None:
    result = fold(events)
    assert result.text == expected.get("text", result.text)
    assert result.reasoning == expected.get("reasoning", result.reasoning)
    assert result.raw_finish_reason == expected["stop_reason"]
    assert [(call.id, call.name, call.arguments) for call in result.parts(ToolCall)] == [
        (call["id"], call["name"], call["arguments"]) for call in expected["tool_calls"]
    ]
    assert all(call.complete for call in result.parts(ToolCall))
    raw = result.usage.raw or {}
    assert {USAGE_KEYS[key]: count for key, count in expected["usage"].items()}.items() <= (
        raw.items()
    )
    assert expected["usage_raw"].items() <= raw.items()


def test_recordings(corpus_dir: Path, subtests: Any) -> None:
    found = recordings(corpus_dir)
    assert len(found) >= 7
    seeded = random.Random(3)
    for path in found:
        with subtests.test(path.stem):
            body = (corpus_dir / json.loads(path.read_bytes())["body_file"]).read_bytes()
            expected = json.loads(path.with_suffix(".expected.json").read_bytes())
            events, error = run([body])
            assert error is None
            check_shape(events)
            check_recording(events, expected)
            assert run(body[i : i + 1] for i in range(len(body)))[0] == events
            places = [seeded.randrange(len(body)) for _ in range(20)]
            assert run(split(body, places))[0] == events
