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
    ContextOverflowError,
    LimitExceededError,
    MalformedStreamError,
    RateLimitError,
    ServerError,
    StreamCutError,
    TokenlineError,
    UnknownEventError,
)
from tokenline.events import (
    Event,
    Finish,
    FinishReason,
    MessageEnd,
    UnknownEvent,
    UsageUpdate,
)
from tokenline.options import Limits
from tokenline.result import BlockPart
from tokenline.stage import StepContext
from tokenline_stages.conformance.playing import play
from tokenline_stages.parser import NdjsonParser
from tokenline_stages.providers.ollama import OllamaNormalizer, decode, wire
from tokenline_stages.providers.ollama.normalizer import FINISH_REASONS
from tokenline_stages.providers.registry import provider

DATA = Path(__file__).parents[2] / "data" / "ollama"
CONTEXT = StepContext(message_id="m1")
VECTORS = sorted(path.name for path in DATA.glob("*.ndjson"))


def run(chunks: Iterable[bytes], context: StepContext = CONTEXT) -> Outcome:
    parser: NdjsonParser[wire.Item] = NdjsonParser(decode, context, "ollama")
    return drive(parser, OllamaNormalizer(context), chunks)


def ndjson(*objects: object) -> bytes:
    return b"".join(msgspec.json.encode(each) + b"\n" for each in objects)


def run_lines(*objects: object, context: StepContext = CONTEXT) -> list[Event]:
    events, error = run([ndjson(*objects)], context)
    assert error is None
    return events


def chat(content: str = "", done: bool = False, **more: object) -> dict[str, Any]:
    return {"model": "tiny", "message": {"content": content, **more}, "done": done}


def read(name: str) -> list[Event]:
    events, error = run([(DATA / name).read_bytes()])
    assert error is None
    return events


@pytest.mark.parametrize("name", [name for name in VECTORS if name != "error_inside.ndjson"])
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


def test_chat_with_tools() -> None:
    events = read("chat_tools.ndjson")
    result = fold(events)
    assert [part.type for part in result.content] == ["reasoning", "text", "tool_call", "tool_call"]
    assert result.reasoning == "I need both.\n"
    assert result.text == "Let me see. 🌍"
    first, second = result.tool_calls
    assert (first.id, first.name, first.arguments, first.parsed) == (
        "call_m1_2",
        "list_zones",
        "{}",
        {},
    )
    assert (second.id, second.name) == ("call_9", "get_time")
    assert second.arguments == '{"zone" : "Asia/Tokyo", "n":[1.0]}'
    assert first.complete
    assert second.complete
    assert result.finish_reason is FinishReason.TOOL_CALLS
    assert result.raw_finish_reason == "stop"
    assert result.model == "tiny:1b"
    assert result.provider_message_id is None


def test_usage_keeps_counts_and_durations() -> None:
    usage = fold(read("chat_tools.ndjson")).usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (21, 34, 55)
    assert usage.raw == {
        "total_duration": 900000000,
        "load_duration": 1000000,
        "prompt_eval_count": 21,
        "prompt_eval_duration": 200000000,
        "eval_count": 34,
        "eval_duration": 600000000,
    }


def test_generate() -> None:
    result = fold(read("generate_thinking.ndjson"))
    assert result.reasoning == "hm"
    assert result.text == "An answer"
    assert result.finish_reason is FinishReason.LENGTH
    assert result.logprobs == ([{"token": "answer", "logprob": -0.1}],)
    (context,) = result.parts(BlockPart)
    assert (context.block_type, context.data) == ("context", [1, 2, 3])


def test_text_that_looks_like_protocol_is_text() -> None:
    result = fold(read("plain_marks.ndjson"))
    assert result.text == (
        'data: [DONE]\n\nevent: error\n{"error":"no","done":true}\n\u2028"seq_id":5 \r\nü漢👩‍👩‍👧'
    )
    assert len(result.content) == 1
    assert result.usage.raw is None


def test_request_that_only_loads() -> None:
    result = fold(read("load.ndjson"))
    assert result.content == ()
    assert (result.finish_reason, result.raw_finish_reason) == (FinishReason.OTHER, "load")


def test_error_inside_the_stream() -> None:
    events, error = run([(DATA / "error_inside.ndjson").read_bytes()])
    assert isinstance(error, ServerError)
    assert error.retryable
    assert error.provider == "ollama"
    assert "unexpected EOF" in str(error)
    assert fold(events).text == "So far"


@pytest.mark.parametrize(
    ("error", "type_"),
    [
        ("prompt is too long; exceeds maximum context length", ContextOverflowError),
        ({"message": "rate limit reached"}, RateLimitError),
        ({"code": 7}, ServerError),
        ("", ServerError),
    ],
)
def test_errors_by_their_words(error: object, type_: type[TokenlineError]) -> None:
    assert isinstance(run([ndjson({"error": error})])[1], type_)


@pytest.mark.parametrize("raw", [*FINISH_REASONS, "something_new"])
def test_finish_reasons(raw: str) -> None:
    (finish,) = of(run_lines({**chat("x", done=True), "done_reason": raw}), Finish)
    assert finish.raw_reason == raw
    assert finish.reason is FINISH_REASONS.get(raw, FinishReason.OTHER)


def test_old_server_without_a_reason_or_ids() -> None:
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    events = run_lines(chat(tool_calls=[call]), {"model": "tiny", "done": True, "eval_count": 0})
    check_shape(events)
    (finish,) = of(events, Finish)
    assert (finish.reason, finish.raw_reason) == (FinishReason.TOOL_CALLS, "")
    (update,) = of(events, UsageUpdate)
    assert (update.usage.input_tokens, update.usage.output_tokens) == (None, 0)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [(None, ""), ('{"a": 1}', '{"a": 1}'), ("", ""), ({}, "{}"), ([1], "[1]")],
)
def test_arguments_of_every_form(arguments: object, text: str) -> None:
    call = {"function": {"name": "f", "arguments": arguments}}
    (found,) = fold(run_lines(chat(tool_calls=[call], done=True))).tool_calls
    assert found.arguments == text


def test_call_without_anything() -> None:
    (call,) = fold(run_lines(chat(tool_calls=[{}], done=True))).tool_calls
    assert (call.name, call.arguments, call.id) == ("", "", "call_m1_0")


def test_images_are_blocks() -> None:
    image = {"model": "m", "response": "", "image": "iVBORw0KGgo=", "done": True}
    for events in (run_lines(chat(images=["iVBORw0KGgo="], done=True)), run_lines(image)):
        (block,) = fold(events).parts(BlockPart)
        assert block.block_type in ("images", "image")


@pytest.mark.parametrize("body", [b"", ndjson(chat("half")), b"\n\n"])
def test_end_without_the_last_line_is_a_cut(body: bytes) -> None:
    events, error = run([body])
    assert isinstance(error, StreamCutError)
    assert fold(events).text in ("", "half")


def test_unknown_lines() -> None:
    body = ndjson({"status": "pulling manifest"}, {}, chat("a", done=True))
    assert run([body])[1] is None
    events, _ = run([body], replace(CONTEXT, pass_unknown=True))
    assert [event.type for event in of(events, UnknownEvent)] == ["status", "line"]
    assert isinstance(run([body], replace(CONTEXT, strict=True))[1], UnknownEventError)


def test_nothing_follows_the_end() -> None:
    normalizer = OllamaNormalizer(CONTEXT)
    out: list[Event] = []
    normalizer.feed([decode("", ndjson(chat("a", done=True)))], 0, out)
    normalizer.feed([decode("", ndjson(chat("b")))], 0, out)
    normalizer.finish(0, out)
    assert isinstance(out[-1], MessageEnd)
    assert normalizer.unknown == 1


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"null",
        b"[]",
        b"data: {}",
        b'{"message": 1}',
        b'{"message": {"content": "\xff"}}',
        b'{"\xff": 1}',
    ],
)
def test_malformed(line: bytes) -> None:
    with pytest.raises(MalformedStreamError):
        decode("", line)


@pytest.mark.parametrize("arguments", [b'"\xff"', b'{"a": "\xff"}'])
def test_malformed_arguments(arguments: bytes) -> None:
    call = b'{"function": {"arguments": ' + arguments + b"}}"
    line = decode("", b'{"message": {"tool_calls": [' + call + b"]}}")
    with pytest.raises(MalformedStreamError):
        OllamaNormalizer(CONTEXT).feed([line], 0, [])


def test_half_a_character_does_not_end_the_stream() -> None:
    body = ndjson(chat("a", done=True)).replace(b'"a"', b'"a\\ud83d"')
    events, error = run([body])
    assert error is None
    assert fold(events).text == "a\ufffd"


def test_limits() -> None:
    deep = b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"
    assert isinstance(run([deep])[1], LimitExceededError)
    call = {"function": {"name": "f", "arguments": {"a": "longer"}}}
    context = replace(CONTEXT, limits=Limits(max_arguments_bytes=8))
    _, error = run([ndjson(chat(tool_calls=[call]))], context)
    assert isinstance(error, LimitExceededError)
    assert error.limit == "max_arguments_bytes"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["message", "content", "tool_calls", "function", "done", "error"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_json, max_size=3))
def test_any_json_gives_documented_errors_only(objects: list[Any]) -> None:
    run([ndjson(*objects)])


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
    names = [path for path in corpus.glob("ollama*.json") if ".expected." not in path.name]
    return sorted(p for p in names if json.loads(p.read_bytes())["api"].startswith("ollama."))


def check_recording(events: list[Event], expected: dict[str, Any]) -> None:
    result = fold(events)
    assert result.text == expected.get("text", result.text)
    assert result.reasoning == expected.get("reasoning", result.reasoning)
    assert result.raw_finish_reason == expected["stop_reason"]
    assert result.model == expected["model"]
    calls = [(call.name, call.parsed) for call in result.tool_calls]
    wanted = expected["tool_calls"]
    assert calls == [(call["name"], json.loads(call["arguments"])) for call in wanted]
    assert result.usage.input_tokens == expected["usage"]["input_tokens"]
    assert result.usage.output_tokens == expected["usage"]["output_tokens"]
    raw = result.usage.raw or {}
    assert (raw["prompt_eval_count"], raw["eval_count"]) == (
        expected["usage"]["input_tokens"],
        expected["usage"]["output_tokens"],
    )


def test_recordings(corpus_dir: Path, subtests: Any) -> None:
    found = recordings(corpus_dir)
    assert len(found) >= 3
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


@pytest.mark.parametrize("at", ["line", "message"])
def test_members_that_nothing_reads_are_unknown(at: str) -> None:
    news = {"news": {"x": 1}}
    message = {"role": "assistant", "content": "Hi", **(news if at == "message" else {})}
    line = {"model": "m", "created_at": "now", "message": message, "done": True}
    body = json.dumps(line | (news if at == "line" else {})).encode() + b"\n"
    api = provider("ollama-native").api_named("ollama.chat")
    assert not any(type(event) is UnknownEvent for event in play(api, [body], CONTEXT).events)
    reading = play(api, [body], replace(CONTEXT, pass_unknown=True))
    (event,) = [event for event in reading.events if type(event) is UnknownEvent]
    assert (event.type, json.loads(event.data)) == ("news", {"x": 1})
    reading = play(api, [body], replace(CONTEXT, strict=True))
    assert isinstance(reading.error, UnknownEventError)
    assert reading.result.text == "Hi"
