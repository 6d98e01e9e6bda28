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
    LimitExceededError,
    MalformedStreamError,
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
    MessageEnd,
    MessageStart,
    PartKind,
    PartStart,
    Ping,
    ProviderBlock,
    ReasoningSignature,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UnknownEvent,
    UsageUpdate,
)
from tokenline.options import Limits
from tokenline.result import BlockPart, ReasoningPart, TextPart
from tokenline.stage import StepContext
from tokenline_stages.parser import SseParser
from tokenline_stages.providers.gemini import GeminiNormalizer, decode, wire
from tokenline_stages.providers.gemini.vocabulary import FINISH_REASONS

DATA = Path(__file__).parents[2] / "data" / "gemini"
CONTEXT = StepContext(message_id="m1")
VECTORS = sorted(path.name for path in DATA.glob("*.sse"))


def run(chunks: Iterable[bytes], context: StepContext = CONTEXT) -> Outcome:
    parser: SseParser[wire.Item] = SseParser(decode, context, "gcp.gemini")
    return drive(parser, GeminiNormalizer(context), chunks)


def run_chunk(*objects: object, context: StepContext = CONTEXT) -> list[Event]:
    events, error = run([sse(*objects)], context)
    assert error is None
    return events


def sse(*objects: object) -> bytes:
    return b"".join(b"data: " + msgspec.json.encode(each) + b"\n\n" for each in objects)


def answer(*parts: object, finish: str | None = "STOP", **more: object) -> dict[str, Any]:
    candidate = {"content": {"parts": parts}, "finishReason": finish, **more}
    return {"candidates": [candidate]}


def read(name: str) -> list[Event]:
    events, error = run([(DATA / name).read_bytes()])
    assert error is None
    return events


@pytest.mark.parametrize("name", [name for name in VECTORS if name != "error_inside.sse"])
def test_shape(name: str) -> None:
    check_shape(read(name))


@pytest.mark.parametrize("name", VECTORS)
def test_byte_by_byte(name: str) -> None:
    body = (DATA / name).read_bytes()
    whole, error = run([body])
    events, again = run(body[i : i + 1] for i in range(len(body)))
    assert events == whole
    assert str(again) == str(error)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(VECTORS), st.lists(st.integers(0, 10_000), max_size=12))
def test_any_cut_gives_the_same_events(name: str, places: list[int]) -> None:
    body = (DATA / name).read_bytes()
    assert run(split(body, places))[0] == run([body])[0]


def test_two_calls_in_one_chunk() -> None:
    events = read("two_calls.sse")
    first, second = fold(events).tool_calls
    assert (first.id, first.name, first.arguments) == ("call_m1_1", "list_zones", "")
    assert first.parsed == {}
    assert first.signature == "c2lnbmVkIQ=="
    assert (second.id, second.name) == ("fc-7", "get_time")
    assert second.arguments == '{"zone" : "Asia/Tokyo", "précis":[1.0, 2e3]}'
    assert second.signature is None
    assert first.complete
    assert second.complete
    (finish,) = of(events, Finish)
    assert (finish.reason, finish.raw_reason) == (FinishReason.TOOL_CALLS, "STOP")


def test_each_call_is_over_before_the_next_begins() -> None:
    kinds = [type(event) for event in read("two_calls.sse")]
    call = kinds.index(ToolCallStart)
    assert kinds[call : call + 6] == [
        ToolCallStart,
        ReasoningSignature,
        ToolCallEnd,
        ToolCallStart,
        ToolCallDelta,
        ToolCallEnd,
    ]


def test_usage_counts_thoughts_and_keeps_the_raw_object() -> None:
    (update,) = of(read("two_calls.sse"), UsageUpdate)
    usage = update.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (12, 21, 33)
    assert usage.reasoning_tokens == 12
    assert usage.cached_input_tokens is None
    assert usage.raw["candidatesTokenCount"] == 9


def test_text_that_looks_like_protocol_is_text() -> None:
    result = fold(read("plain_marks.sse"))
    assert result.text == (
        'data: [DONE]\n\nevent: error\ndata: {"seq_id":5}\r\n\r\n'
        '\u2028[DONE] ü 漢字 👩‍👩‍👧 \0 "finishReason": "SAFETY"'
    )
    assert len(result.content) == 1
    assert result.finish_reason is FinishReason.STOP


def test_parts_of_all_kinds() -> None:
    events = read("all_parts.sse")
    result = fold(events)
    thought, text, code, output, image, file, search, found, last = result.content
    assert isinstance(thought, ReasoningPart)
    assert (thought.text, thought.signature) == (" Let me think.\n\n", "dGhvdWdodA==")
    assert isinstance(text, TextPart)
    assert text.text == "I run it."
    assert text.signature is None
    assert isinstance(code, BlockPart)
    assert (code.block_type, code.tool_call_id, code.signature) == (
        "executableCode",
        "run1",
        "Y29kZQ==",
    )
    assert isinstance(output, BlockPart)
    assert output.tool_call_id == "run1"
    assert isinstance(image, BlockPart)
    assert image.data == {
        "thought": True,
        "inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="},
    }
    blocks = [block.block_type for block in (file, search, found) if isinstance(block, BlockPart)]
    assert blocks == ["fileData", "toolCall", "toolResponse"]
    assert isinstance(last, TextPart)
    assert last.text == "It is 42."
    sources, grounding = (json.loads(each.data) for each in of(events, Citation))
    assert "citationSources" in sources
    assert "groundingChunks" in grounding
    assert len(last.citations) == 2
    assert len(result.logprobs) == 1
    assert result.usage.input_tokens == 25
    assert result.usage.output_tokens == 18
    assert result.usage.total_tokens == 43
    assert result.usage.cached_input_tokens == 8


def test_blocks_are_the_parts_as_sent() -> None:
    (code, *_) = of(read("all_parts.sse"), ProviderBlock)
    assert code.data in (DATA / "all_parts.sse").read_bytes()
    assert json.loads(code.data)["executableCode"]["code"] == "print(6*7)"


def test_candidates_are_choices() -> None:
    events = read("two_candidates.sse")
    result = fold(events)
    assert result.text == "red green"
    assert result.finish_reason is FinishReason.STOP
    (other,) = result.further_choices
    assert (other.index, other.text, other.reasoning) == (1, "blau grün", "rot")
    assert other.finish_reason is FinishReason.LENGTH
    (end,) = of(events, MessageEnd)
    assert (end.reason, end.raw_reason) == (FinishReason.STOP, "STOP")


def test_signatures_stay_on_their_parts() -> None:
    result = fold(read("signatures.sse"))
    assert [(part.type, getattr(part, "text", ""), part.signature) for part in result.content] == [
        ("reasoning", "why", None),
        ("text", "ab", "b25l"),
        ("text", "cd", "dHdv"),
        ("tool_call", "", None),
        ("text", "", "dGhyZWU="),
    ]


def test_blocked_prompt_ends_like_a_blocked_answer() -> None:
    events = read("blocked_prompt.sse")
    start, *_, end = events
    assert isinstance(start, MessageStart)
    assert start.provider_message_id == "resp-3"
    assert isinstance(end, MessageEnd)
    result = fold(events)
    assert result.finish_reason is FinishReason.CONTENT_FILTER
    assert result.raw_finish_reason == "PROHIBITED_CONTENT"
    (block,) = result.parts(BlockPart)
    assert block.data == {"blockReason": "PROHIBITED_CONTENT", "safetyRatings": []}
    assert result.usage.input_tokens == 17
    assert result.usage.output_tokens is None


def test_blocked_answer_keeps_why() -> None:
    result = fold(read("blocked_answer.sse"))
    assert result.text == "Well, "
    assert result.finish_reason is FinishReason.CONTENT_FILTER
    message, ratings = result.parts(BlockPart)
    assert (message.block_type, message.data) == ("finishMessage", "stopped by the filter")
    assert ratings.block_type == "safetyRatings"


def test_streamed_arguments_are_put_together() -> None:
    events = read("streamed_arguments.sse")
    light, ping = fold(events).tool_calls
    assert (light.id, light.name, light.signature) == ("v1", "set_light", "c2ln")
    assert light.parsed == {"room": "living", "steps": [{"level": 40, "on": True}, None]}
    assert (ping.name, ping.parsed, ping.complete) == ("ping", {}, True)


def test_streamed_call_that_is_cut_is_incomplete() -> None:
    *first, _, _, _ = (DATA / "streamed_arguments.sse").read_bytes().split(b"\r\n\r\n")[:-1]
    events, error = run([b"\r\n\r\n".join(first) + b"\r\n\r\n"])
    assert isinstance(error, StreamCutError)
    (call,) = fold(events).tool_calls
    assert call.arguments == '{"room":"living","steps":[{"level":40,"on":true},null]}'
    assert not call.complete
    assert of(events, ToolCallEnd)


def test_streamed_call_that_another_call_follows_is_incomplete() -> None:
    streamed = {"functionCall": {"name": "f", "willContinue": True}}
    first, second = fold(run_chunk(answer(streamed, {"functionCall": {"name": "g"}}))).tool_calls
    assert (first.name, first.complete) == ("f", False)
    assert (second.name, second.complete) == ("g", True)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", "x"),
        ("", "x"),
        ("$.a[5]", "x"),
        ("$[0]", "x"),
        ("$.a..b", "x"),
        ("$.a b]", "x"),
        ("$" + ".a" * 1000, "x"),
    ],
)
def test_streamed_arguments_of_no_use(path: str, value: str) -> None:
    call = {
        "name": "f",
        "partialArgs": [{"jsonPath": path, "stringValue": value}],
        "willContinue": True,
    }
    events, error = run([sse(answer({"functionCall": call}, finish=None))])
    assert isinstance(error, MalformedStreamError)
    assert of(events, ToolCallStart)


def test_streamed_argument_of_another_kind() -> None:
    values = [{"jsonPath": "$.a", "numberValue": 1}, {"jsonPath": "$.a.b", "stringValue": "x"}]
    call = {"name": "f", "partialArgs": values}
    _, error = run([sse(answer({"functionCall": call}))])
    assert isinstance(error, MalformedStreamError)


def test_error_inside_the_stream() -> None:
    events, error = run([(DATA / "error_inside.sse").read_bytes()])
    assert isinstance(error, RateLimitError)
    assert (error.status, error.code) == (429, "RESOURCE_EXHAUSTED")
    assert error.retry_after_s == 7.5
    assert error.provider == "gcp.gemini"
    assert "Quota exceeded" in str(error)
    assert fold(events).text == "So far"
    assert of(events, UsageUpdate)


def test_error_in_an_array_or_as_text() -> None:
    body = b'[{"error": {"code": 503, "status": "UNAVAILABLE", "message": "later"}}]'
    normalizer = GeminiNormalizer(CONTEXT, provider="gcp.vertex_ai")
    with pytest.raises(TokenlineError, match=r"gcp\.vertex_ai: later") as caught:
        normalizer.feed([decode("", body)], 0, [])
    assert getattr(caught.value, "retryable", False)
    _, error = run([sse({"error": "overloaded"})])
    assert "overloaded" in str(error)
    _, error = run([sse({"error": {"code": 500, "details": [{"retryDelay": "soon"}]}})])
    assert isinstance(error, ServerError)
    assert error.retry_after_s is None


@pytest.mark.parametrize("raw", [*FINISH_REASONS, "SOMETHING_NEW"])
def test_finish_reasons(raw: str) -> None:
    (finish,) = of(run_chunk(answer({"text": "x"}, finish=raw)), Finish)
    assert finish.raw_reason == raw
    assert finish.reason is FINISH_REASONS.get(raw, FinishReason.OTHER)


def test_unspecified_finish_reason_is_none() -> None:
    _, error = run([sse(answer({"text": "x"}, finish="FINISH_REASON_UNSPECIFIED"))])
    assert isinstance(error, StreamCutError)


def test_finish_reason_on_every_chunk() -> None:
    events = run_chunk(answer({"text": "a"}), answer({"text": "b"}), answer())
    assert fold(events).text == "ab"
    assert len(of(events, Finish)) == 1
    check_shape(events)


def test_call_after_a_finish_reason_changes_it() -> None:
    events = run_chunk(answer({"text": "a"}), answer({"functionCall": {"name": "f"}}))
    assert fold(events).finish_reason is FinishReason.TOOL_CALLS


@pytest.mark.parametrize("body", [b"", b": ping\n\n", sse(answer({"text": "half"}, finish=None))])
def test_end_without_a_finish_reason_is_a_cut(body: bytes) -> None:
    events, error = run([body])
    assert isinstance(error, StreamCutError)
    assert error.retryable
    assert fold(events).text in ("", "half")


def test_unfinished_candidate_is_a_cut() -> None:
    chunk = answer({"text": "a"})
    chunk["candidates"].append({"content": {"parts": [{"text": "b"}]}, "index": 1})
    assert isinstance(run([sse(chunk)])[1], StreamCutError)


def test_comments_are_pings_and_done_is_nothing() -> None:
    events, error = run([b": hi\n\n" + sse(answer({"text": "a"})) + b"data: [DONE]\n\n"])
    assert error is None
    assert len(of(events, Ping)) == 1


@pytest.mark.parametrize("unknown", [{"traceId": "1"}, answer({"hologram": {"a": 1}})])
def test_unknown_input(unknown: dict[str, Any]) -> None:
    body = sse(answer({"text": "a"}), unknown)
    assert run([body])[1] is None
    events, _ = run([body], replace(CONTEXT, pass_unknown=True))
    (event,) = of(events, UnknownEvent)
    assert event.type in ("chunk", "hologram")
    assert isinstance(run([body], replace(CONTEXT, strict=True))[1], UnknownEventError)


def test_known_metadata_on_request() -> None:
    chunk = answer({"text": "a"}, avgLogprobs=-1.5, finishMessage="done", safetyRatings=[])
    assert not of(run_chunk(chunk), UnknownEvent)
    events = run_chunk(chunk, context=replace(CONTEXT, pass_unknown=True, strict=True))
    assert [(event.type, event.data) for event in of(events, UnknownEvent)] == [
        ("avgLogprobs", b"-1.5"),
        ("finishMessage", b'"done"'),
    ]


def test_nulls_are_nothing() -> None:
    null_part = {"text": None, "functionCall": None, "thoughtSignature": None}
    chunk = answer(null_part, {}, logprobsResult=None, groundingMetadata=None)
    chunk |= {"usageMetadata": None, "promptFeedback": None}
    events = run_chunk(chunk, {"candidates": [{"content": None, "index": None}]})
    assert [type(event) for event in events] == [MessageStart, Finish, MessageEnd]


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"null",
        b"7",
        b"[1]",
        b'{"candidates": 5}',
        b'{"candidates": [{"content": {"parts": [{"text": 1}]}}]}',
        b'{"candidates": [{"content": {"parts": [{"text": "\xff"}]}}]}',
    ],
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(MalformedStreamError):
        decode("", data)


@pytest.mark.parametrize(
    "part",
    [
        b'{"\xff": {}}',
        b'{"functionCall": {"args": "\xff"}}',
        b'{"executableCode": {"id": "\xff"}}',
    ],
)
def test_malformed_part(part: bytes) -> None:
    chunk = decode("", b'{"candidates": [{"content": {"parts": [' + part + b"]}}]}")
    with pytest.raises(MalformedStreamError):
        GeminiNormalizer(CONTEXT).feed([chunk], 0, [])


def test_half_a_character_does_not_end_the_stream() -> None:
    body = sse(answer({"text": "a"})).replace(b'"a"', b'"a\\ud83d"')
    events, error = run([body])
    assert error is None
    assert fold(events).text == "a\ufffd"


@pytest.mark.parametrize("key", [b'"x"', b'"candidates":[{"content":{"parts":[{"inlineData"'])
def test_deep_nesting_is_a_limit(key: bytes) -> None:
    depth = 100_000
    body = b"data: {" + key + b":" + b"[" * depth + b"]" * depth + b"}\n\n"
    assert isinstance(run([body])[1], LimitExceededError | MalformedStreamError)


def test_limits() -> None:
    limits = Limits(max_arguments_bytes=8, max_parts=2)
    context = replace(CONTEXT, limits=limits)
    call = {"functionCall": {"name": "f", "args": {"a": "longer"}}}
    _, error = run([sse(answer(call))], context)
    assert isinstance(error, LimitExceededError)
    assert error.limit == "max_arguments_bytes"
    partial = [{"jsonPath": "$.a", "stringValue": "b"}]
    streamed = {"functionCall": {"name": "f", "partialArgs": partial}}
    assert isinstance(run([sse(answer(streamed))], context)[1], LimitExceededError)
    calls = [{"functionCall": {"name": "f"}}] * 3
    events, error = run([sse(answer(*calls))], context)
    assert isinstance(error, LimitExceededError)
    assert error.limit == "max_parts"
    assert len(of(events, ToolCallEnd)) == 2


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["candidates", "content", "parts", "text", "thought", "functionCall", "args", "x"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_json, max_size=3))
def test_any_json_gives_documented_errors_only(objects: list[Any]) -> None:
    run([sse(*objects)])


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(VECTORS),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_damaged_bytes_give_documented_errors_only(
    name: str, damage: list[tuple[int, int]]
) -> None:
    body = bytearray((DATA / name).read_bytes())
    for place, value in damage:
        body[place % len(body)] = value
    run([bytes(body)])


def recordings(corpus: Path) -> list[Path]:
    names = [path for path in corpus.glob("gemini*.json") if ".expected." not in path.name]
    return sorted(path for path in names if json.loads(path.read_bytes())["api"] == "gemini")


def snake(value: object) -> object:
    if isinstance(value, dict):
        return {
            "".join("_" + c.lower() if c.isupper() else c for c in key): snake(inner)
            for key, inner in value.items()
        }
    return [snake(inner) for inner in value] if isinstance(value, list) else value


USAGE_KEYS = {
    "input_tokens": "promptTokenCount",
    "output_tokens": "candidatesTokenCount",
    "total_tokens": "totalTokenCount",
    "cached_tokens": "cachedContentTokenCount",
    "reasoning_tokens": "thoughtsTokenCount",
}


def check_recording(events: list[Event], expected: dict[str, Any]) -> None:
    result = fold(events)
    assert result.text == expected.get("text", result.text)
    assert result.reasoning == expected.get("reasoning", result.reasoning)
    assert result.raw_finish_reason == expected["stop_reason"]
    assert result.provider_message_id == expected["message_id"]
    assert result.model == expected["model"]
    calls = expected["tool_calls"]
    assert [call.name for call in result.tool_calls] == [call["name"] for call in calls]
    for call, wanted in zip(result.tool_calls, calls, strict=True):
        assert call.parsed == json.loads(wanted["arguments"])
        assert call.complete
        assert call.id == wanted["id"] or wanted["id"] is None
    signatures = of(events, ReasoningSignature)
    assert len(signatures) == expected.get("thought_signatures", len(signatures))
    raw = result.usage.raw or {}
    for key, count in expected["usage"].items():
        assert raw[USAGE_KEYS[key]] == count
    assert snake(raw).items() >= expected["usage_raw"].items()  # type: ignore[attr-defined]
    assert result.usage.input_tokens is not None
    assert result.usage.output_tokens is not None
    assert result.usage.input_tokens + result.usage.output_tokens == result.usage.total_tokens


def test_recordings(corpus_dir: Path, subtests: Any) -> None:
    found = recordings(corpus_dir)
    assert len(found) >= 11
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


def test_a_call_that_begins_after_the_end_is_cut() -> None:
    begun = {"functionCall": {"name": "late", "willContinue": True}}
    events, error = run([sse(answer({"text": "a"}), answer(begun, finish=None))])
    assert error is None
    check_shape(events)
    assert [event.complete for event in of(events, ToolCallEnd)] == [False]


def test_signed_text_keeps_its_text_and_kind() -> None:
    first = {"text": "hm", "thought": True, "thoughtSignature": "c2ln"}
    events = run_chunk(answer(first, {"text": "yes"}))
    kinds = [event.kind for event in of(events, PartStart)]
    assert kinds == [PartKind.REASONING, PartKind.TEXT]
    assert [event.text for event in of(events, TextDelta)] == ["yes"]


@pytest.mark.parametrize("text", ["", "Wait. "])
def test_text_beside_a_call_loses_neither(text: str) -> None:
    part = {"text": text, "functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "S"}
    events = run_chunk(answer(part))
    (call,) = fold(events).tool_calls
    assert (call.name, call.arguments) == ("f", '{"a":1}')
    assert fold(events).text == text
    assert [event.part for event in of(events, ReasoningSignature)] == [call.part]


@pytest.mark.parametrize("kind", ["inlineData", "executableCode", "fileData", "toolCall"])
def test_empty_text_beside_a_block_is_no_text(kind: str) -> None:
    part = {"text": "", kind: {"id": "e1"}}
    (block,) = fold(run_chunk(answer(part))).content
    assert isinstance(block, BlockPart)
    assert (block.block_type, block.data) == (kind, part)


def test_empty_text_is_nothing() -> None:
    assert not fold(run_chunk(answer({"text": ""}))).content


def test_candidates_are_limited() -> None:
    limits = Limits(max_parts=4)
    body = sse({"candidates": [{"index": index} for index in range(5)]})
    _, error = run([body], replace(CONTEXT, limits=limits))
    assert isinstance(error, LimitExceededError)
    assert error.limit == "max_parts"


def test_blocks_of_many_candidates_stay_in_their_own() -> None:
    candidates = [
        {
            "index": n,
            "content": {"parts": [{"inlineData": {"data": str(n)}}]},
            "finishReason": "STOP",
        }
        for n in range(3)
    ]
    events = run_chunk({"candidates": candidates})
    blocks = of(events, ProviderBlock)
    assert [(event.choice, json.loads(event.data)) for event in blocks] == [
        (n, {"inlineData": {"data": str(n)}}) for n in range(3)
    ]


def test_message_start_waits_for_the_id() -> None:
    events = run_chunk({"modelVersion": "g"}, answer({"text": "a"}) | {"responseId": "r1"})
    (start,) = of(events, MessageStart)
    assert (start.provider_message_id, start.model) == ("r1", "g")


def test_a_cut_before_all_content_keeps_the_model() -> None:
    events, error = run([sse({"modelVersion": "g"})])
    assert isinstance(error, StreamCutError)
    assert of(events, MessageStart)[0].model == "g"


@pytest.mark.parametrize(
    "chunk",
    [
        answer({"text": "a"}) | {"news": {"x": 1}},
        {"candidates": [answer({"text": "a"})["candidates"][0] | {"news": {"x": 1}}]},
        answer({"text": "a", "news": {"x": 1}}),
        answer({"functionCall": {"name": "f"}, "news": {"x": 1}}),
    ],
)
def test_members_that_nothing_reads_are_unknown(chunk: dict[str, Any]) -> None:
    assert not of(run_chunk(chunk), UnknownEvent)
    (event,) = of(run_chunk(chunk, context=replace(CONTEXT, pass_unknown=True)), UnknownEvent)
    assert (event.type, json.loads(event.data)) == ("news", {"x": 1})
    events, error = run([sse(chunk)], replace(CONTEXT, strict=True))
    assert isinstance(error, UnknownEventError)
    assert of(events, TextDelta, ToolCallEnd)


def test_text_beside_a_block_is_not_silent() -> None:
    chunk = answer({"text": "a", "inlineData": {"data": "eA=="}})
    (event,) = of(run_chunk(chunk, context=replace(CONTEXT, pass_unknown=True)), UnknownEvent)
    assert event.type == "inlineData"


@pytest.mark.parametrize("name", VECTORS)
def test_nothing_in_the_vectors_is_unread(name: str) -> None:
    body = (DATA / name).read_bytes()
    _, error = run([body], replace(CONTEXT, strict=True))
    assert not isinstance(error, UnknownEventError)
