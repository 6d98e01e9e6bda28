"""The Messages API: decoding, golden vectors under every cut, recordings of the real service."""

import base64
import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random
from types import NoneType
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokenline.errors import (
    EmptyResponseError,
    LimitExceededError,
    MalformedStreamError,
    OverloadedError,
    RateLimitError,
    ServerError,
    StreamCutError,
    StreamError,
    UnknownEventError,
)
from tokenline.events import (
    Event,
    Finish,
    FinishReason,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartKind,
    PartStart,
    Ping,
    ProviderBlock,
    ProviderDelta,
    ReasoningData,
    ReasoningDelta,
    ReasoningKind,
    ReasoningSignature,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolKind,
    UnknownEvent,
    Usage,
    UsageUpdate,
)
from tokenline.options import Limits
from tokenline.result import BlockPart, ReasoningPart, Result, TextPart, ToolCall
from tokenline.stage import RawChunk, StepContext
from tokenline_stages.accumulator import Accumulator
from tokenline_stages.parser import EventStreamParser, SseParser
from tokenline_stages.providers.anthropic import MessagesNormalizer, decode, decode_frame, structs
from tokenline_stages.providers.anthropic.unread import decoder_of, frame_decoder_of
from tokenline_stages.wire.aws_eventstream import Frame, HeaderValue
from tokenline_stages.wire.items import Comment, Done, Unknown

DATA = Path(__file__).parents[2] / "data" / "anthropic"
TEXT_BLOCK = {"type": "text", "text": ""}
TEXT_DELTA = {"type": "text_delta", "text": "hi"}
GOLDEN = sorted(path.name for path in DATA.glob("*.sse"))


def read_items(body: bytes, cuts: Sequence[int] = ()) -> list[structs.MessagesWire]:
    """The wire items of an SSE body that comes in pieces."""
    return parse(SseParser(decode, StepContext("m"), "anthropic"), body, cuts)


def read_frames(body: bytes, cuts: Sequence[int] = ()) -> list[structs.MessagesWire]:
    """The wire items of an AWS event stream that comes in pieces."""
    return parse(EventStreamParser(decode_frame, StepContext("m"), "anthropic"), body, cuts)


def parse(parser: Any, body: bytes, cuts: Sequence[int]) -> list[structs.MessagesWire]:
    out: list[structs.MessagesWire] = []
    for start, end in itertools.pairwise([0, *cuts, len(body)]):
        parser.feed([RawChunk(body[start:end])], 0, out)
    parser.finish(0, out)
    return out


def golden(name: str) -> list[structs.MessagesWire]:
    return read_items((DATA / f"{name}.sse").read_bytes())


def run(
    batches: Iterable[Sequence[structs.MessagesWire]], **context: Any
) -> tuple[list[Event], StreamError | None]:
    """All events, and what the run ended with."""
    step = MessagesNormalizer(StepContext(message_id="m", **context))
    out: list[Event] = []
    try:
        for batch in batches:
            step.feed(batch, 7, out)
        step.finish(7, out)
    except StreamError as error:
        return out, error
    return out, None


def run_well(items: Sequence[structs.MessagesWire], **context: Any) -> list[Event]:
    events, error = run([items], **context)
    assert error is None
    return events


def run_json(*events: dict[str, Any], **context: Any) -> tuple[list[Event], StreamError | None]:
    return run([[decode("", json.dumps(event).encode()) for event in events]], **context)


def fold(events: Sequence[Event]) -> Result:
    accumulator = Accumulator()
    accumulator.feed(events, 0, [])
    return accumulator.snapshot()


def bare(events: Sequence[Event]) -> list[Event]:
    """Events as if all had the same place and time, to compare with ones written by hand."""
    return [msgspec.structs.replace(event, seq=0, recv_ns=0, message_id="") for event in events]


def only(events: Sequence[Event], event_type: type[Any]) -> list[Any]:
    return [event for event in events if type(event) is event_type]


def ends(events: Sequence[Event]) -> dict[str, bool]:
    return {event.tool_call_id: event.complete for event in only(events, ToolCallEnd)}


# -- golden vectors ---------------------------------------------------------------------------


def test_full_turn_event_by_event() -> None:
    at = (0, 0, "")
    raw = {
        "input_tokens": 100,
        "cache_creation_input_tokens": 5,
        "cache_read_input_tokens": 40,
        "output_tokens": 1,
        "service_tier": "standard",
    }
    counts = {"input_tokens": 145, "cached_input_tokens": 40, "cache_write_input_tokens": 5}
    first = Usage(output_tokens=1, total_tokens=146, raw=raw, **counts)
    last = Usage(output_tokens=57, total_tokens=202, raw=raw | {"output_tokens": 57}, **counts)
    assert bare(run_well(golden("full_turn"))) == [
        MessageStart(*at, "msg_hand_1", "claude-hand"),
        UsageUpdate(*at, first),
        PartStart(*at, 0, PartKind.REASONING, reasoning_kind=ReasoningKind.NATIVE),
        Ping(*at),
        ReasoningDelta(*at, 0, "Let me"),
        ReasoningDelta(*at, 0, " think"),
        ReasoningSignature(*at, 0, "U0lH/+=="),
        PartEnd(*at, 0),
        PartStart(*at, 1, PartKind.REASONING, reasoning_kind=ReasoningKind.REDACTED),
        ReasoningData(*at, 1, "RU5D"),
        PartEnd(*at, 1),
        PartStart(*at, 2, PartKind.TEXT),
        TextDelta(*at, 2, "Hel"),
        TextDelta(*at, 2, "lo"),
        PartEnd(*at, 2),
        ToolCallStart(*at, 3, "toolu_s", "search"),
        ToolCallDelta(*at, 3, "toolu_s", "search", '{"q":'),
        ToolCallDelta(*at, 3, "toolu_s", "search", '"a"}'),
        ToolCallEnd(*at, 3, "toolu_s", "search", True),
        ToolCallStart(*at, 4, "toolu_g", "grep"),
        ToolCallDelta(*at, 4, "toolu_g", "grep", '{"p": 1}'),
        ToolCallEnd(*at, 4, "toolu_g", "grep", True),
        UsageUpdate(*at, last),
        Finish(*at, FinishReason.TOOL_CALLS, "tool_use"),
        MessageEnd(*at, FinishReason.TOOL_CALLS, "tool_use"),
    ]


def test_events_are_numbered_and_stamped() -> None:
    events = run_well(golden("full_turn"), first_seq=5)
    assert [event.seq for event in events] == list(range(5, 5 + len(events)))
    assert {(event.recv_ns, event.message_id) for event in events} == {(7, "m")}


def test_thinking_blocks_stay_apart_and_exact() -> None:
    parts = fold(run_well(golden("thinking_blocks"))).parts(ReasoningPart)
    assert [(part.text, part.signature, part.data) for part in parts] == [
        ("A\n\n ", "Uw==", None),
        ("  B\t", "Ug==", None),
        ("", "T25seQ==", None),
        ("", None, "T25l"),
        ("", None, "VHdv"),
    ]


def test_calls_without_arguments_are_complete() -> None:
    events = run_well(golden("no_arguments"))
    assert not only(events, ToolCallDelta)
    calls = fold(events).tool_calls
    assert [(call.name, call.parsed, call.complete) for call in calls] == [
        ("now", {}, True),
        ("today", {}, True),
        ("here", {}, True),
    ]


def test_call_with_a_start_only_is_complete() -> None:
    start, block, *_, delta, stop = golden("no_arguments")
    assert ends(run_well([start, block, delta, stop])) == {"toolu_a": True}
    assert ends(run_well([start, block, stop])) == {"toolu_a": True}


def test_cut_arguments_are_kept_and_incomplete() -> None:
    result = fold(run_well(golden("cut_arguments")))
    whole, cut = result.tool_calls
    assert (whole.parsed, whole.complete) == ({"q": "whole"}, True)
    assert cut.arguments == '{"path": "a", "text": "half a sen'
    assert (cut.parsed, cut.complete) == (None, False)
    assert (result.finish_reason, result.raw_finish_reason) == (FinishReason.LENGTH, "max_tokens")


def test_call_cut_before_its_arguments_is_incomplete() -> None:
    assert ends(run_well(golden("cut_before_arguments"))) == {"toolu_a": False}


def test_empty_message_is_an_error() -> None:
    events, error = run([golden("empty")])
    assert type(error) is EmptyResponseError
    assert [type(event) for event in events] == [MessageStart, UsageUpdate]


def test_silent_turn_is_an_answer() -> None:
    result = fold(run_well(golden("silent_turn")))
    assert (result.content, result.finish_reason) == ((), FinishReason.STOP)


def test_overloaded_keeps_what_came_before() -> None:
    events, error = run([golden("overloaded")])
    assert type(error) is OverloadedError
    assert (error.code, error.request_id) == ("overloaded_error", "req_hand_1")
    assert error.provider == "anthropic"
    assert error.retryable
    result = fold(events)
    assert result.text == "Half an answ"
    assert [(call.arguments, call.complete) for call in result.tool_calls] == [('{"q": "h', False)]


def test_lookalikes_are_content() -> None:
    result = fold(run_well(golden("lookalikes")))
    assert result.text == (
        'data: [DONE]\n\nevent: error\ndata: {"type":"error"}\n\n'
        ': ping\r\n"seq_id":5 \u2028 \u00e9\U0001f600 \U0001f600'
    )
    assert result.tool_calls[0].parsed == {"s": "data: [DONE]\n\nevent: error"}


def test_overlapping_blocks_without_a_start() -> None:
    events = run_well(golden("overlapping"))
    assert bare(events[:1]) == [MessageStart(0, 0, "")]
    result = fold(events)
    assert result.text == "Two calls"
    assert [(call.id, call.parsed) for call in result.tool_calls] == [
        ("a1", {"x": 1}),
        ("b2", {"y": 2}),
    ]
    assert ends(events) == {"a1": True, "b2": True}


def test_server_side_tools() -> None:
    events = run_well(golden("server_tools"))
    compaction, search, found, text, ask, answer, file = fold(events).content
    assert isinstance(compaction, BlockPart)
    assert compaction.data == {"type": "compaction", "content": None}
    assert compaction.provider_data[0]["content"] == "What was said before."  # type: ignore[index,call-overload]
    assert isinstance(search, ToolCall)
    assert (search.kind, search.parsed, search.complete) == (
        ToolKind.SERVER,
        {"query": "tide"},
        True,
    )
    assert isinstance(found, BlockPart)
    assert (found.block_type, found.tool_call_id) == ("web_search_tool_result", "srvtoolu_1")
    assert isinstance(text, TextPart)
    assert text.citations[0]["cited_text"] == "High at six"  # type: ignore[index,call-overload]
    assert isinstance(ask, ToolCall)
    assert ask.provider_data[0]["server_name"] == "atlas"  # type: ignore[index,call-overload]
    assert isinstance(answer, BlockPart)
    assert answer.tool_call_id == "mcptoolu_1"
    assert isinstance(file, BlockPart)
    assert file.data == {"type": "container_upload", "file_id": "file_1"}


def test_server_tools_usage_and_finish() -> None:
    events = run_well(golden("server_tools"))
    usage = only(events, UsageUpdate)[-1].usage
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == (265, 70, 11)
    assert usage.raw["server_tool_use"] == {"web_search_requests": 1}
    assert usage.raw["service_tier"] == "standard"
    assert only(events, Finish)[0].reason is FinishReason.PAUSE


def test_metadata_is_passed_on_request_and_known() -> None:
    events = run_well(golden("server_tools"), pass_unknown=True, strict=True)
    assert [event.type for event in only(events, UnknownEvent)] == [
        "message_delta.container",
        "message_delta.context_management",
    ]


# -- what no version knows --------------------------------------------------------------------


def test_news_is_kept_and_counted() -> None:
    step = MessagesNormalizer(StepContext("m", pass_unknown=True))
    events: list[Event] = []
    step.feed(golden("news"), 0, events)
    assert step.unknown == 4
    assert [event.type for event in only(events, UnknownEvent)] == ["weather_report"]
    assert only(events, ProviderBlock)[0].data == b'{"type":"hologram","depth":3}'
    assert [(event.part, event.type, event.data) for event in only(events, ProviderDelta)] == [
        (0, "hologram_delta", b'{"type":"hologram_delta","voxels":[1,2]}'),
        (1, "font_delta", b'{"type":"font_delta","font":"serif"}'),
    ]
    assert bare(only(events, Finish)) == [Finish(0, 0, "", FinishReason.OTHER, "new_reason")]


def test_strict_refuses_news() -> None:
    items = golden("news")
    for item in (items[1], items[2], items[3]):
        _, error = run([[items[0], item]], strict=True)
        assert type(error) is UnknownEventError


NEWS: dict[str, dict[str, Any]] = {
    "top": {"type": "ping", "news": 1},
    "message": {"type": "message_start", "message": {"id": "i", "news": 1}},
    "block": {"type": "content_block_start", "index": 0, "content_block": TEXT_BLOCK | {"news": 1}},
    "delta": {"type": "content_block_delta", "index": 0, "delta": TEXT_DELTA | {"news": 1}},
    "stop": {"type": "message_delta", "delta": {"stop_reason": "end_turn", "news": 1}},
    "end": {"type": "message_stop", "news": 1},
}
PLACES = {
    "top": "news",
    "message": "message.news",
    "block": "content_block.news",
    "delta": "delta.news",
    "stop": "delta.news",
    "end": "news",
}


def answer_with(place: str) -> list[dict[str, Any]]:
    """A whole answer, one event of which has a member that nobody knows."""
    plain: dict[str, dict[str, Any]] = {
        "message": {"type": "message_start", "message": {"id": "i"}},
        "top": {"type": "ping"},
        "block": {"type": "content_block_start", "index": 0, "content_block": TEXT_BLOCK},
        "delta": {"type": "content_block_delta", "index": 0, "delta": TEXT_DELTA},
        "stop": {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        "end": {"type": "message_stop"},
    }
    plain[place] = NEWS[place]
    return list(plain.values())


def watch(events: Sequence[dict[str, Any]], **context: Any) -> list[structs.MessagesWire]:
    """Wire items as the parser of a run with this context gives them, from SSE and frames."""
    step_context = StepContext("m", **context)
    read, read_frame = decoder_of(step_context), frame_decoder_of(step_context)
    items = []
    for event in events:
        data = json.dumps(event).encode()
        items.append(read("", data))
        chunk = json.dumps({"bytes": base64.b64encode(data).decode(), "p": "abc"}).encode()
        assert read_frame(Frame({":event-type": "chunk"}, chunk)) == items[-1]
    return items


@pytest.mark.parametrize("place", NEWS)
def test_strict_refuses_unknown_fields(place: str) -> None:
    _, error = run([watch(answer_with(place), strict=True)], strict=True)
    assert type(error) is UnknownEventError
    assert error.code == PLACES[place]


@pytest.mark.parametrize("place", NEWS)
def test_unknown_fields_are_passed_on_where_asked_for(place: str) -> None:
    items = watch(answer_with(place), pass_unknown=True)
    plain = run_well(watch(answer_with(place)))
    events = run_well(items, pass_unknown=True)
    assert bare(only(events, UnknownEvent)) == [UnknownEvent(0, 0, "", PLACES[place], b"1")]
    assert bare([e for e in events if type(e) is not UnknownEvent]) == bare(plain)
    step = MessagesNormalizer(StepContext("m", pass_unknown=True))
    step.feed(items, 0, [])
    assert step.unknown == 1


@pytest.mark.parametrize("name", [name for name in GOLDEN if name != "news.sse"])
def test_what_is_documented_is_known(name: str) -> None:
    context = StepContext("m", strict=True)
    parser = SseParser(decoder_of(context), context, "anthropic")
    items = parse(parser, (DATA / name).read_bytes(), ())
    assert not any(isinstance(item, structs.Watched) for item in items)


# -- cuts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOLDEN)
def test_every_single_byte_alone(name: str) -> None:
    body = (DATA / name).read_bytes()
    assert read_items(body, range(1, len(body))) == read_items(body)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_batches_give_the_same_events(data: st.DataObject) -> None:
    items = golden(data.draw(st.sampled_from([name[:-4] for name in GOLDEN])))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(items)))))
    batches = [items[start:end] for start, end in itertools.pairwise([0, *cuts, len(items)])]
    whole, error = run([items])
    again, same_error = run(batches)
    assert again == whole
    assert repr(same_error) == repr(error)


Pieces = Callable[[str], list[str]]


def rechunk(items: Sequence[structs.MessagesWire], pieces: Pieces) -> list[structs.MessagesWire]:
    """The same stream with other fragments: neighbours are joined, then cut anew."""
    fragments = structs.TextDelta | structs.ThinkingDelta | structs.InputJsonDelta
    out: list[structs.MessagesWire] = []

    def place(item: structs.MessagesWire) -> object:
        if isinstance(item, structs.ContentBlockDelta) and isinstance(item.delta, fragments):
            return item.index, type(item.delta)
        return id(item)

    for key, group in itertools.groupby(items, place):
        if not isinstance(key, tuple):
            out += group
            continue
        index, delta_type = key
        text = "".join(item.delta.text for item in group)  # type: ignore[union-attr,misc]
        out += [structs.ContentBlockDelta(index, delta_type(piece)) for piece in pieces(text)]
    return out


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_fragments_give_the_same_result(data: st.DataObject) -> None:
    def pieces(text: str) -> list[str]:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
        return [text[start:end] for start, end in itertools.pairwise([0, *cuts, len(text)])]

    items = golden(data.draw(st.sampled_from([name[:-4] for name in GOLDEN])))
    whole, error = run([items])
    again, same_error = run([rechunk(items, pieces)])
    assert fold(again) == fold(whole)
    assert repr(same_error) == repr(error)


@pytest.mark.parametrize("name", GOLDEN)
def test_every_fragment_as_single_characters(name: str) -> None:
    items = golden(name[:-4])
    assert fold(run([rechunk(items, list)])[0]) == fold(run([items])[0])


@pytest.mark.parametrize("name", ["full_turn", "no_arguments", "overlapping", "server_tools"])
def test_a_cut_after_any_event(name: str) -> None:
    items = golden(name)
    for end in range(len(items)):
        events, error = run([items[:end]])
        assert len(only(events, ToolCallStart)) == len(only(events, ToolCallEnd))
        has_stopped = bool(only(events, Finish))
        assert type(error) is (NoneType if has_stopped else StreamCutError)
        assert bool(only(events, MessageEnd)) is has_stopped


@pytest.mark.parametrize("name", ["full_turn", "no_arguments", "overlapping", "server_tools"])
def test_a_stop_reason_ends_a_message_without_message_stop(name: str) -> None:
    items = golden(name)
    kept = [item for item in items if type(item) is not structs.MessageStop]
    assert len(kept) == len(items) - 1
    assert fold(run_well(kept)) == fold(run_well(items))


def test_the_call_held_at_a_cut_is_incomplete() -> None:
    items = golden("no_arguments")
    assert ends(run([items[:-2]])[0]) == {"toolu_a": True, "toolu_b": True, "toolu_c": False}


# -- odd streams ------------------------------------------------------------------------------

START = {"type": "message_start", "message": {"id": "i", "model": "x"}}
STOP = {"type": "message_stop"}


def block(content: dict[str, Any] | None, index: int | None = 0) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": content}


def delta(content: dict[str, Any], index: int | None = 0) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": content}


def text_delta(text: str, index: int | None = 0) -> dict[str, Any]:
    return delta({"type": "text_delta", "text": text}, index)


def arguments(text: str, index: int | None = 0) -> dict[str, Any]:
    return delta({"type": "input_json_delta", "partial_json": text}, index)


def stopped(reason: str | None, **usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"type": "text_delta", "text": "a"}, PartKind.TEXT),
        ({"type": "thinking_delta", "thinking": "a"}, PartKind.REASONING),
        ({"type": "signature_delta", "signature": "a"}, PartKind.REASONING),
        ({"type": "citations_delta", "citation": {}}, PartKind.TEXT),
        ({"type": "compaction_delta", "content": "a"}, PartKind.BLOCK),
    ],
)
def test_delta_without_a_block_opens_one(content: dict[str, Any], kind: PartKind) -> None:
    events, error = run_json(START, delta(content, 3), STOP)
    assert error is None
    assert [event.kind for event in only(events, PartStart)] == [kind]
    assert len(events) == 5


def test_arguments_without_a_block_open_a_call() -> None:
    events, _ = run_json(START, arguments("{}"), arguments(""), STOP)
    call = fold(events).tool_calls[0]
    assert (call.id, call.name, call.arguments, call.complete) == ("m-0", "", "{}", True)


def test_delta_of_another_kind_gets_its_own_part() -> None:
    events, _ = run_json(START, block({"type": "thinking"}), text_delta("a"), text_delta("b"), STOP)
    result = fold(events)
    assert (result.text, len(result.content)) == ("ab", 2)


def test_missing_index_means_the_last_block() -> None:
    call = {"type": "tool_use", "id": "t", "name": "f"}
    events, _ = run_json(
        block({"type": "text", "text": "a"}, None),
        text_delta("b", None),
        {"type": "content_block_stop"},
        block(call, None),
        arguments("{}", None),
        {"type": "content_block_stop"},
        stopped("tool_use"),
        STOP,
    )
    assert (fold(events).text, ends(events)) == ("ab", {"t": True})


def test_index_used_again_closes_the_old_block() -> None:
    text = {"type": "text", "text": "a"}
    events, _ = run_json(START, block(text), block(text), STOP)
    kinds = [type(event) for event in events[1:]]
    assert kinds == [PartStart, TextDelta, PartEnd, PartStart, TextDelta, PartEnd, MessageEnd]


def test_empty_text_block_is_a_part() -> None:
    events, error = run_json(START, block({"type": "text", "text": ""}), STOP)
    assert error is None
    assert len(fold(events).content) == 1


@pytest.mark.parametrize("content", [None, {}, {"type": 5}, {"type": "text", "text": 5}])
def test_unreadable_block_is_kept_raw(content: dict[str, Any] | None) -> None:
    events, error = run_json(START, block(content), {"type": "content_block_stop"}, STOP)
    assert error is None
    assert json.loads(only(events, ProviderBlock)[0].data) == content


def test_whole_input_in_the_start() -> None:
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": [1, 2]}}
    events, _ = run_json(START, block(call), {"type": "content_block_stop", "index": 0}, STOP)
    assert [event.arguments for event in only(events, ToolCallDelta)] == ['{"a": [1, 2]}']
    assert ends(events) == {"t": True}
    events, _ = run_json(START, block(call), arguments('{"a": 1}'), STOP)
    assert [event.arguments for event in only(events, ToolCallDelta)] == ['{"a": 1}']
    events, error = run_json(START, block(call))
    assert type(error) is StreamCutError
    assert fold(events).tool_calls[0].arguments == '{"a": [1, 2]}'


@pytest.mark.parametrize("nothing", [{}, None, ""])
def test_start_without_input_has_no_arguments(nothing: object) -> None:
    call = {"type": "tool_use", "id": "t", "name": "f", "input": nothing}
    events, _ = run_json(START, block(call), stopped("tool_use"), STOP)
    assert not only(events, ToolCallDelta)
    assert ends(events) == {"t": True}


@pytest.mark.parametrize("text", ['{"a": ', '{"a": 1}}', "{'a': 1}", "[" * 100_000])
def test_arguments_that_are_no_json_are_incomplete(text: str) -> None:
    call = {"type": "tool_use", "id": "t", "name": "f"}
    stop = {"type": "content_block_stop", "index": 0}
    events, _ = run_json(START, block(call), arguments(text), stop, stopped("tool_use"), STOP)
    assert ends(events) == {"t": False}


def test_caller_of_a_call_is_kept() -> None:
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    code = call | {"caller": {"type": "code_execution_20250825", "tool_id": "s"}}
    events, _ = run_json(START, block(call | {"caller": {"type": "direct"}}), block(code, 1), STOP)
    assert [json.loads(event.data) for event in only(events, ProviderDelta)] == [code]


def test_later_signature_replaces() -> None:
    sign = {"type": "signature_delta", "signature": "b"}
    thinking = {"type": "thinking", "thinking": "t", "signature": "a"}
    events, _ = run_json(START, block(thinking), delta(sign), STOP)
    assert [(event.signature, event.replace) for event in only(events, ReasoningSignature)] == [
        ("a", False),
        ("b", True),
    ]


@pytest.mark.parametrize(
    ("display", "kind"),
    [
        ("omitted", ReasoningKind.OMITTED),
        ("summarized", ReasoningKind.SUMMARY),
        (None, ReasoningKind.NATIVE),
    ],
)
def test_reasoning_kind_is_what_was_asked_for(display: str | None, kind: ReasoningKind) -> None:
    payload = {"thinking": {"type": "adaptive", "display": display}}
    events, _ = run_json(START, block({"type": "thinking"}), STOP, payload=payload)
    assert only(events, PartStart)[0].reasoning_kind is kind


def test_token_estimates_are_passed_on_request() -> None:
    hint = delta({"type": "thinking_delta", "thinking": "", "estimated_tokens": 50})
    stream = (START, block({"type": "thinking"}), hint, STOP)
    assert not only(run_json(*stream)[0], UnknownEvent)
    passed = only(run_json(*stream, pass_unknown=True)[0], UnknownEvent)
    assert json.loads(passed[0].data) == {"type": "thinking_delta", "estimated_tokens": 50}


def test_usage_null_and_missing_do_not_erase() -> None:
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 3}}}
    null = {"type": "message_start", "message": {"usage": None}}
    events, _ = run_json(
        null, start, stopped(None, input_tokens=None, output_tokens=0), stopped("end_turn"), STOP
    )
    first, last = only(events, UsageUpdate)
    assert first.usage == Usage(input_tokens=3, raw={"input_tokens": 3})
    assert (last.usage.input_tokens, last.usage.output_tokens) == (3, 0)
    assert (last.usage.total_tokens, last.usage.cached_input_tokens) == (3, None)
    assert first.usage.raw == {"input_tokens": 3}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("end_turn", FinishReason.STOP),
        ("stop_sequence", FinishReason.STOP),
        ("max_tokens", FinishReason.LENGTH),
        ("tool_use", FinishReason.TOOL_CALLS),
        ("pause_turn", FinishReason.PAUSE),
        ("compaction", FinishReason.PAUSE),
        ("refusal", FinishReason.REFUSAL),
        ("model_context_window_exceeded", FinishReason.CONTEXT_OVERFLOW),
        ("guardrail", FinishReason.OTHER),
    ],
)
def test_stop_reasons(raw: str, reason: FinishReason) -> None:
    stop = {"type": "message_delta", "delta": {"stop_reason": raw, "stop_sequence": "\n\nH"}}
    events, _ = run_json(START, stop, stopped(None), STOP)
    assert bare(events[1:]) == [
        Finish(0, 0, "", reason, raw, stop_sequence="\n\nH"),
        MessageEnd(0, 0, "", reason, raw),
    ]


def test_nothing_follows_the_end() -> None:
    items = golden("full_turn")
    extra = decode("", b'{"type":"x"}'), Comment(b""), *items, golden("overloaded")[-1]
    assert run_well([*items, *extra], strict=True) == run_well(items)


def test_comments_and_end_markers() -> None:
    events, _ = run([[Comment(b"keep-alive"), *golden("silent_turn"), Done()]])
    assert type(events[0]) is Ping
    assert type(events[-1]) is MessageEnd


def test_error_texts() -> None:
    for data, expected in {
        b'{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}': RateLimitError,
        b'{"error":{"type":"api_error","message":"Internal"}}': ServerError,
        b'{"type":"error","error":"Overloaded"}': OverloadedError,
        b'{"type":"error","error":{"message":{"odd":"Overloaded"}}}': OverloadedError,
    }.items():
        _, error = run([[decode("error", data)]])
        assert type(error) is expected


def test_limits() -> None:
    call = {"type": "tool_use", "id": "t", "name": "f"}
    stream = (START, block(call), arguments("\u00e9" * 5))
    _, error = run_json(*stream, STOP, limits=Limits(max_arguments_bytes=10))
    assert error is None
    events, error = run_json(*stream, arguments(" "), limits=Limits(max_arguments_bytes=10))
    assert isinstance(error, LimitExceededError)
    assert (error.limit, len(only(events, ToolCallDelta))) == ("max_arguments_bytes", 1)
    text = {"type": "text"}
    _, error = run_json(block(text), block(text, 1), limits=Limits(max_parts=1))
    assert isinstance(error, LimitExceededError)


def test_text_completions_of_the_first_claude_models() -> None:
    events, error = run_json(
        {"completion": " Hel", "stop_reason": None, "stop": None},
        {"completion": "lo", "stop_reason": "stop_sequence", "stop": "\n\nHuman:"},
    )
    assert error is None
    result = fold(events)
    assert (result.text, result.stop_sequence) == (" Hello", "\n\nHuman:")


# -- decoding ---------------------------------------------------------------------------------


def test_type_in_the_data_counts_more_than_the_name() -> None:
    assert decode("ping", b'{"type":"message_stop"}') == structs.MessageStop()
    assert decode("content_block_stop", b'{"index":2}') == structs.ContentBlockStop(2)
    assert decode("", b'{"index":2}') == Unknown("", b'{"index":2}')
    assert decode("news", b'{"type":"other"}') == Unknown("other", b'{"type":"other"}')
    assert decode("news", b"[1]") == Unknown("news", b"[1]")


def test_nulls_and_gaps() -> None:
    assert decode("", b'{"type":"content_block_delta"}') == structs.ContentBlockDelta()
    null = b'{"type":"content_block_delta","index":null,"delta":{"type":"text_delta","text":null}}'
    assert decode("", null) == structs.ContentBlockDelta(None, structs.TextDelta())
    assert run([[decode("", null), structs.MessageStop()]])[1] is None
    assert run_json({"type": "message_delta"}, {"type": "message_start"}, STOP)[1] is not None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"not json",
        b'{"type":"ping"} x',
        b'{"type":"content_block_stop","index":"a"}',
        b'{"type":"content_block_delta","delta":{"type":"text_delta","text":5}}',
        b'{"type":"content_block_delta","delta":[]}',
        b'{"type":"message_delta","usage":[]}',
        b'{"type":"content_block_delta","delta":{"type":"text_delta","text":"\xff"}}',
        b'{"type":"content_block_delta","delta":{"type":"text_delta","text":"\\ud83d"}}',
        b'{"type":"\xff"}',
    ],
)
def test_malformed_events(data: bytes) -> None:
    with pytest.raises(MalformedStreamError):
        decode("", data)


def test_deep_nesting_is_a_documented_error() -> None:
    deep = b'{"type":"ping","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(LimitExceededError):
        decode("", deep)
    with pytest.raises(LimitExceededError):
        decode("", deep.replace(b"ping", b"news"))


@given(st.sampled_from(GOLDEN), st.integers(0), st.binary(min_size=1, max_size=3))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_streams_raise_only_what_is_documented(name: str, at: int, junk: bytes) -> None:
    body = (DATA / name).read_bytes()
    at %= len(body)
    try:
        items = read_items(body[:at] + junk + body[at + len(junk) :])
    except StreamError:
        return
    events, _ = run([items], pass_unknown=True)
    assert [event.seq for event in events] == list(range(len(events)))


# -- Bedrock frames ---------------------------------------------------------------------------

EVENT: dict[str, HeaderValue] = {":message-type": "event", ":event-type": "chunk"}


def chunk(data: bytes) -> Frame:
    return Frame(EVENT, json.dumps({"bytes": base64.b64encode(data).decode(), "p": "ab"}).encode())


def test_frames_hold_the_same_events() -> None:
    data = b'{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":3}}'
    assert decode_frame(chunk(data)) == decode("", data)
    metrics = run([[*golden("silent_turn")[:-1], decode("", data)]], pass_unknown=True)[0][-2]
    assert isinstance(metrics, UnknownEvent)
    assert metrics.data == b'{"inputTokenCount":3}'


def test_exception_frames_are_errors() -> None:
    headers: dict[str, HeaderValue] = {
        ":message-type": "exception",
        ":exception-type": "throttlingException",
    }
    _, error = run([[decode_frame(Frame(headers, b'{"message":"Too many"}'))]])
    assert type(error) is RateLimitError
    headers = {":message-type": "error", ":error-code": "InternalFailure", ":error-message": "No"}
    _, error = run([[decode_frame(Frame(headers, b""))]])
    assert error is not None
    assert (error.code, "No" in str(error)) == ("InternalFailure", True)


def test_odd_frames() -> None:
    assert decode_frame(Frame({":event-type": "news"}, b"{}")) == Unknown("news", b"{}")
    for payload in (b"", b"{", b'{"bytes":"?"}', b"[]"):
        with pytest.raises(MalformedStreamError):
            decode_frame(Frame(EVENT, payload))


# -- recordings -------------------------------------------------------------------------------

APIS = {"anthropic.messages", "anthropic.vertex", "anthropic.bedrock"}


def recordings(folder: Path) -> list[tuple[dict[str, Any], dict[str, Any], bytes]]:
    found = []
    for path in sorted(folder.glob("anthropic*.expected.json")):
        about = json.loads(path.with_name(path.name.replace(".expected", "")).read_bytes())
        if about["api"] in APIS:
            body = (folder / about["body_file"]).read_bytes()
            found.append((about, json.loads(path.read_bytes()), body))
    return found


def block_type(part: object) -> str:
    if isinstance(part, TextPart):
        return "text"
    if isinstance(part, ReasoningPart):
        return "redacted_thinking" if part.kind is ReasoningKind.REDACTED else "thinking"
    if isinstance(part, ToolCall):
        if part.kind is ToolKind.FUNCTION:
            return "tool_use"
        return "mcp_tool_use" if part.provider_data else "server_tool_use"
    assert isinstance(part, BlockPart)
    return part.block_type


def view(result: Result) -> dict[str, Any]:
    """A result in the terms of the recordings' expectations."""
    raw = result.usage.raw or {}
    return {
        "text": result.text,
        "reasoning": result.reasoning,
        "tool_calls": [(call.id, call.name, call.parsed) for call in result.tool_calls],
        "stop_reason": result.raw_finish_reason,
        "message_id": result.provider_message_id,
        "model": result.model,
        "blocks": [block_type(part) for part in result.content],
        "citations_count": sum(len(part.citations) for part in result.content),
        "usage": {
            "input_tokens": raw.get("input_tokens"),
            "output_tokens": raw.get("output_tokens"),
            "cached_tokens": raw.get("cache_read_input_tokens"),
            "cache_write_tokens": raw.get("cache_creation_input_tokens"),
        },
    }


def expectations(expected: dict[str, Any]) -> dict[str, Any]:
    known = {key: value for key, value in expected.items() if key in view(fold([]))}
    known["tool_calls"] = [
        (call["id"], call["name"], json.loads(call["arguments"])) for call in expected["tool_calls"]
    ]
    return known


def as_stated(actual: Any, stated: Any) -> Any:
    """The part of `actual` that `stated` speaks of."""
    if isinstance(stated, dict):
        return {key: as_stated(actual.get(key), value) for key, value in stated.items()}
    return actual


@pytest.mark.corpus
def test_recordings(corpus_dir: Path) -> None:
    found = recordings(corpus_dir)
    assert len(found) >= 27
    for about, expected, body in found:
        items = watched_items_of(about, body)
        events, error = run([items], strict=True)
        assert error is None, about["id"]
        stated = expectations(expected)
        assert as_stated(view(fold(events)), stated) == stated, about["id"]
        raw = only(events, UsageUpdate)[-1].usage.raw
        stated_raw = without_nulls(expected["usage_raw"])
        assert {key: raw.get(key) for key in stated_raw} == stated_raw, about["id"]


def without_nulls(value: Any) -> Any:
    """The SDK adds nulls for the fields it knows."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


def items_of(about: dict[str, Any], body: bytes, cuts: Sequence[int] = ()) -> list[Any]:
    read = read_frames if about["api"] == "anthropic.bedrock" else read_items
    return read(body, cuts)


def watched_items_of(about: dict[str, Any], body: bytes) -> list[Any]:
    context = StepContext("m", strict=True)
    parser: Any = SseParser(decoder_of(context), context, "anthropic")
    if about["api"] == "anthropic.bedrock":
        parser = EventStreamParser(frame_decoder_of(context), context, "anthropic")
    return parse(parser, body, ())


@pytest.mark.corpus
def test_recordings_in_pieces(corpus_dir: Path) -> None:
    random = Random(1)
    for about, _, body in recordings(corpus_dir):
        items = items_of(about, body)
        whole = run_well(items)
        cuts = sorted(random.sample(range(1, len(body)), min(40, len(body) - 1)))
        assert items_of(about, body, cuts) == items, about["id"]
        if len(body) <= 16_384:
            assert items_of(about, body, range(1, len(body))) == items, about["id"]
        batches = [items[at : at + 3] for at in range(0, len(items), 3)]
        assert run(batches)[0] == whole, about["id"]
