import json
import random
from collections.abc import Iterable, Sequence
from itertools import pairwise
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
    EmptyResponseError,
    LimitExceededError,
    MalformedStreamError,
    OverloadedError,
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
    Logprobs,
    MessageEnd,
    PartEnd,
    PartKind,
    PartStart,
    Ping,
    ProviderBlock,
    ProviderDelta,
    ReasoningData,
    ReasoningKind,
    TextDelta,
    ToolCallDelta,
    ToolKind,
    UnknownEvent,
)
from tokenline.options import Limits
from tokenline.result import BlockPart, ReasoningPart, RefusalPart, Result, TextPart, ToolCall
from tokenline.stage import RawChunk, StepContext
from tokenline_stages.parser import SseParser
from tokenline_stages.providers.openai_responses import ResponsesNormalizer, decode, structs
from tokenline_stages.replay import to_openai_responses_items
from tokenline_stages.wire.items import Comment, Done, Unknown

DATA = Path(__file__).parents[2] / "data" / "openai_responses"
CONTEXT = StepContext(message_id="m1")
VECTORS = sorted(path.name for path in DATA.glob("*.sse"))
FAILING = {"error_flat.sse", "error_nested.sse", "failed.sse", "empty.sse"}
WHOLE = [name for name in VECTORS if name not in FAILING]


def run(chunks: Iterable[bytes], context: StepContext = CONTEXT) -> Outcome:
    parser: SseParser[Any] = SseParser(decode, context, "openai")
    return drive(parser, ResponsesNormalizer(context, "openai"), chunks)


def normalize(
    items: Sequence[structs.ResponsesWire], context: StepContext = CONTEXT, batch: int = 1000
) -> Outcome:
    normalizer = ResponsesNormalizer(context, "openai")
    out: list[Event] = []
    try:
        for start in range(0, len(items), batch):
            normalizer.feed(items[start : start + batch], 0, out)
        normalizer.finish(0, out)
    except TokenlineError as error:
        return out, error
    return out, None


def wire_items(body: bytes) -> list[structs.ResponsesWire]:
    parser: SseParser[Any] = SseParser(decode, CONTEXT, "openai")
    items: list[Any] = []
    parser.feed([RawChunk(body)], 0, items)
    parser.finish(0, items)
    return items


def sse(*objects: dict[str, Any], named: bool = True) -> bytes:
    events = []
    for each in objects:
        name = f"event: {each['type']}\n".encode() if named else b""
        events.append(name + b"data: " + json.dumps(each).encode() + b"\n\n")
    return b"".join(events)


def event(type_: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{type_}", **fields}


def created() -> dict[str, Any]:
    return event("created", response={"id": "resp_1", "model": "gpt-test", "status": "in_progress"})


def ended(status: str = "completed", output: Sequence[Any] = (), **fields: Any) -> dict[str, Any]:
    response = {"id": "resp_1", "model": "gpt-test", "status": status, "output": list(output)}
    return event(status, response={**response, **fields})


def message(text: str, **fields: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "msg_1", "status": "completed", "content": content, **fields}


def function_call(number: int = 1, **fields: Any) -> dict[str, Any]:
    item = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}"}
    return {**item, "name": "search", "arguments": '{"q":1}', "status": "completed", **fields}


def added(item: dict[str, Any], index: int = 0) -> dict[str, Any]:
    return event("output_item.added", output_index=index, item=item)


def done(item: dict[str, Any], index: int = 0) -> dict[str, Any]:
    return event("output_item.done", output_index=index, item=item)


def text_delta(delta: str | None, index: int = 0, item: str = "msg_1") -> dict[str, Any]:
    place = {"output_index": index, "content_index": 0, "item_id": item}
    return event("output_text.delta", delta=delta, **place)


def arguments_delta(delta: str, index: int = 0, item: str = "fc_1") -> dict[str, Any]:
    place = {"output_index": index, "item_id": item}
    return event("function_call_arguments.delta", delta=delta, **place)


def result(*objects: dict[str, Any], context: StepContext = CONTEXT) -> Result:
    events, error = run([sse(*objects)], context)
    assert error is None
    check_shape(events)
    return fold(events)


def extra(part: TextPart | ReasoningPart | RefusalPart | ToolCall | BlockPart) -> Any:
    """What the provider sent for a part besides what has a field."""
    return part.provider_data


def read(name: str) -> list[Event]:
    events, error = run([(DATA / name).read_bytes()])
    assert error is None
    return events


# Golden vectors


@pytest.mark.parametrize("name", VECTORS)
def test_shape(name: str) -> None:
    events, error = run([(DATA / name).read_bytes()], replace(CONTEXT, strict=True))
    check_shape(events, is_whole=name in WHOLE)
    assert (error is None) == (name in WHOLE)


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


def test_summary_parts() -> None:
    events = read("summary_parts.sse")
    answer = fold(events)
    parts = answer.parts(ReasoningPart)
    assert [part.text for part in parts] == [
        "**First**\n\nlook at it ",
        " **Second** turn it",
        "**Third** done",
    ]
    assert [part.data for part in parts] == [None, None, "SEALED=="]
    assert {part.kind for part in parts} == {ReasoningKind.SUMMARY}
    assert {part.provider_id for part in parts} == {"rs_1"}
    assert answer.text == "Hello, world ☀"
    # The summary's parts never overlap, so that their boundaries separate them.
    kinds = [type(each) for each in events if getattr(each, "part", 9) < 3]
    assert kinds.count(PartStart) == kinds.count(PartEnd) == 3


def test_message_with_two_parts() -> None:
    answer = fold(read("two_parts.sse"))
    phase, first, second, refusal = answer.content
    assert isinstance(phase, BlockPart)
    assert isinstance(phase.data, dict)
    assert phase.data["phase"] == "final_answer"
    assert isinstance(first, TextPart)
    assert isinstance(second, TextPart)
    assert isinstance(refusal, RefusalPart)
    assert (first.text, second.text, refusal.text) == ("First part.", "Second part.", "Not that.")
    assert [len(part.citations) for part in (first, second)] == [1, 1]
    assert {part.provider_id for part in answer.content} == {"msg_1"}
    assert answer.finish_reason is FinishReason.REFUSAL


def test_interleaved_calls() -> None:
    events = read("interleaved_calls.sse")
    answer = fold(events)
    assert [(c.id, c.name, c.kind, c.arguments, c.complete) for c in answer.tool_calls] == [
        ("call_a", "search", ToolKind.FUNCTION, '{"q": "rain", "n": 2}', True),
        ("call_b", "grep", ToolKind.FUNCTION, '{"p":"x"}', True),
        ("call_c", "sql", ToolKind.CUSTOM, 'select "é" from t;\n', True),
        ("call_d", "now", ToolKind.FUNCTION, "{}", True),
    ]
    assert extra(answer.tool_calls[1])[0]["namespace"] == "files"
    assert answer.finish_reason is FinishReason.TOOL_CALLS
    names = {"call_a": "search", "call_b": "grep", "call_c": "sql", "call_d": "now"}
    assert all(each.name == names[each.tool_call_id] for each in of(events, ToolCallDelta))


def test_cut_before_the_end() -> None:
    body = (DATA / "interleaved_calls.sse").read_bytes()
    body = body[: body.index(b"event: response.function_call_arguments.done")]
    events, error = run([body])
    check_shape(events, is_whole=False)
    assert isinstance(error, StreamCutError)
    calls = fold(events).tool_calls
    assert [call.arguments for call in calls] == [
        '{"q": "rain", ',
        '{"p":"x"}',
        'select "é" from t;\n',
    ]
    assert not any(call.complete for call in calls)


def test_cut_inside_the_text() -> None:
    body = (DATA / "summary_parts.sse").read_bytes()
    events, error = run([body[: body.index(b"event: response.output_text.done")]])
    assert isinstance(error, StreamCutError)
    assert error.retryable
    answer = fold(events)
    assert answer.text == "Hello, world ☀"
    assert answer.reasoning.endswith("**Third** done")


def test_incomplete() -> None:
    events = read("cut_call.sse")
    answer = fold(events)
    assert answer.text == "Let me see."
    assert [(call.arguments, call.complete) for call in answer.tool_calls] == [('{"q": "ra', False)]
    assert of(events, Finish)[0].reason is FinishReason.LENGTH
    assert of(events, Finish)[0].raw_reason == "max_output_tokens"
    assert of(events, MessageEnd)[0].raw_reason == "incomplete"
    assert answer.usage.output_tokens == 30


def test_content_filter() -> None:
    answer = fold(read("filtered.sse"))
    assert answer.text == "I can"
    assert answer.finish_reason is FinishReason.CONTENT_FILTER


def test_failed() -> None:
    events, error = run([(DATA / "failed.sse").read_bytes()])
    assert type(error) is ServerError
    assert error.code == "server_error"
    answer = fold(events)
    assert answer.text == "Half an ans"
    assert [(call.arguments, call.complete) for call in answer.tool_calls] == [('{"q":', False)]
    assert answer.usage.input_tokens == 40
    assert answer.raw_finish_reason == "failed"


@pytest.mark.parametrize(
    ("name", "expected", "code"),
    [
        ("error_flat.sse", RateLimitError, "rate_limit_exceeded"),
        ("error_nested.sse", ContextOverflowError, "context_length_exceeded"),
    ],
)
def test_error_events(name: str, expected: type, code: str) -> None:
    events, error = run([(DATA / name).read_bytes()])
    assert type(error) is expected
    assert isinstance(error, ProviderError)
    assert error.code == code
    assert fold(events).text == "So"


def test_lookalikes_are_content() -> None:
    answer = fold(read("lookalikes.sse"))
    assert answer.text == (
        "The end mark is data: [DONE]\n\nevent: error\n"
        'data: {"type":"error"}\n\nand "seq_id":5, : ping response.completed'
    )
    (call,) = answer.tool_calls
    assert call.parsed == {"text": "data: [DONE]\n\nevent: error", "seq_id": 5}


def test_server_tools() -> None:
    events = read("server_tools.sse")
    answer = fold(events)
    code, mcp = answer.server_tool_calls
    assert (code.id, code.name, code.arguments) == ("ci_1", "code_interpreter", "print(1)\n")
    assert (mcp.id, mcp.name, mcp.arguments, mcp.complete) == ("mcp_1", "ask", '{"q":1}', True)
    assert [json.dumps(call.provider_data)[:12] for call in (code, mcp)] == [
        '[{"id": "ci_',
        '[{"id": "mcp',
    ]
    blocks = answer.parts(BlockPart)
    assert [block.block_type for block in blocks] == [
        "web_search_call",
        "image_generation_call",
        "compaction",
        "computer_call",
    ]
    assert blocks[3].tool_call_id == "call_u"
    assert len(of(events, ProviderDelta)) == 1
    assert len(of(events, Ping)) == 1
    assert answer.tool_calls == ()
    # The caller has to run the computer call.
    assert answer.finish_reason is FinishReason.TOOL_CALLS


def test_final_event_only() -> None:
    answer = fold(read("final_only.sse"))
    assert answer.provider_message_id == "resp_1"
    kinds = [part.kind for part in answer.parts(ReasoningPart)]
    assert kinds == [ReasoningKind.NATIVE, ReasoningKind.OMITTED, ReasoningKind.ENCRYPTED]
    assert answer.reasoning == "Think hard."
    assert answer.parts(ReasoningPart)[2].data == "ONLY-SEALED=="
    assert answer.text == "First part.Second part."
    assert answer.refusal == "Not that."
    assert [len(part.citations) for part in answer.parts(TextPart)] == [1, 1]
    assert [call.arguments for call in answer.tool_calls] == ['{"q": "rain", "n": 2}']
    assert [call.arguments for call in answer.server_tool_calls] == ["print(1)\n"]


def test_without_indexes() -> None:
    answer = fold(read("no_indexes.sse"))
    assert answer.text == "Unindexed 🙂"
    assert [call.arguments for call in answer.tool_calls] == ['{"q": "rain", "n": 2}', "{}"]
    assert all(call.complete for call in answer.tool_calls)


def test_without_names() -> None:
    events = read("no_names.sse")
    answer = fold(events)
    assert len(answer.content) == 2
    assert (answer.reasoning, answer.text) == ("Two and two.", "Four.")
    assert len(of(events, Ping)) == 1


def test_empty() -> None:
    events, error = run([(DATA / "empty.sse").read_bytes()])
    assert type(error) is EmptyResponseError
    assert not of(events, Finish, MessageEnd)


# Properties


def final_content(events: Sequence[Event]) -> Any:
    """What a stream told, apart from the order of parts and from announced blocks."""
    answer = fold(events)
    calls = [*answer.tool_calls, *answer.server_tool_calls]
    reasoning = [(p.kind, p.text, p.data) for p in answer.parts(ReasoningPart)]
    return (
        sorted(part.text for part in answer.parts(TextPart)),
        answer.refusal,
        sorted(reasoning, key=str),
        sorted((call.id, call.name, call.arguments, call.complete) for call in calls),
        sorted(len(part.citations) for part in answer.parts(TextPart)),
        answer.usage.raw,
        answer.finish_reason,
        answer.raw_finish_reason,
    )


@pytest.mark.parametrize("name", [n for n in WHOLE if n not in ("no_indexes.sse", "cut_call.sse")])
def test_a_stream_that_begins_late_gives_the_same_content(name: str) -> None:
    items = wire_items((DATA / name).read_bytes())
    whole = final_content(normalize(items)[0])
    ends = (structs.Completed, structs.Incomplete)
    last = next(n for n, item in enumerate(items) if isinstance(item, ends))
    for start in range(last + 1):
        events, error = normalize(items[start:])
        assert error is None
        check_shape(events)
        assert final_content(events) == whole


@pytest.mark.parametrize("name", WHOLE)
def test_batches_do_not_matter(name: str) -> None:
    items = wire_items((DATA / name).read_bytes())
    whole = normalize(items)
    assert all(normalize(items, batch=batch) == whole for batch in (1, 2, 3, 7))


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.text(max_size=30), min_size=1, max_size=5),
    st.randoms(use_true_random=False),
)
def test_any_interleaving_of_calls(arguments: list[str], rng: random.Random) -> None:
    queues: list[list[dict[str, Any]]] = []
    for n, text in enumerate(arguments):
        call = function_call(n, arguments=text, name=f"tool_{n}")
        edges = sorted({0, len(text), *(rng.randint(0, len(text)) for _ in range(4))})
        deltas = [arguments_delta(text[a:b], n, f"fc_{n}") for a, b in pairwise(edges)]
        end = [done(call, n)] if rng.random() < 0.8 else []
        queues.append([added({**call, "arguments": ""}, n), *deltas, *end])
    order = [created()]
    while any(queues):
        order.append(rng.choice([queue for queue in queues if queue]).pop(0))
    output = [function_call(n, arguments=t, name=f"tool_{n}") for n, t in enumerate(arguments)]
    calls = {call.id: call for call in result(*order, ended(output=output)).tool_calls}
    for n, text in enumerate(arguments):
        found = calls[f"call_{n}"]
        assert (found.name, found.arguments, found.complete) == (f"tool_{n}", text, True)


@settings(max_examples=80, deadline=None)
@given(st.text(min_size=1, max_size=40), st.data())
def test_text_cut_inside_characters(text: str, data: st.DataObject) -> None:
    units = text.encode("utf-16-le", "surrogatepass")
    text = units.decode("utf-16-le", "replace")
    edges = sorted({0, len(units) // 2, *data.draw(st.lists(st.integers(0, len(units) // 2)))})
    pieces = [units[2 * a : 2 * b].decode("utf-16-le", "surrogatepass") for a, b in pairwise(edges)]
    deltas = [text_delta(piece) for piece in pieces]
    start = [created(), added(message("", content=[]))]
    assert result(*start, *deltas, ended(output=[message(text)])).text == text
    events, _ = run([sse(*start, *deltas)])
    for each in of(events, TextDelta):
        each.text.encode()
    assert fold(events).text == text


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(VECTORS), st.data())
def test_damaged_streams_raise_nothing_else(name: str, data: st.DataObject) -> None:
    body = bytearray((DATA / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(body) - 1))
        width = data.draw(st.integers(0, 30))
        body[place : place + width] = data.draw(st.sampled_from(DAMAGE))
    events, error = run([bytes(body)])
    assert error is None or isinstance(error, TokenlineError)
    assert [each.seq for each in events] == list(range(len(events)))


DAMAGE = [b"", b"null", b'""', b"\n\n", b"[]", b"{}", b"\xff", b"5", b'"type":', b"}", b'"id":"x",']


# Items


def test_text_comes_once_whoever_tells_it() -> None:
    start = [created(), added(message("", content=[]))]
    whole = message("Hello")
    text_done = event("output_text.done", output_index=0, content_index=0, text="Hello")
    for deltas in ([], ["Hel"], ["Hel", "lo"]):
        sent = [text_delta(delta) for delta in deltas]
        for ends in ([], [text_done], [done(whole)], [text_done, done(whole)]):
            assert result(*start, *sent, *ends, ended(output=[whole])).text == "Hello"


def test_arguments_come_once_whoever_tells_them() -> None:
    call = function_call()
    start = [created(), added({**call, "arguments": ""})]
    arguments_done = event("function_call_arguments.done", output_index=0, arguments='{"q":1}')
    for deltas in ([], ['{"q'], ['{"q', '":1}']):
        sent = [arguments_delta(delta) for delta in deltas]
        for ends in ([], [arguments_done], [done(call)], [arguments_done, done(call)]):
            (found,) = result(*start, *sent, *ends, ended(output=[call])).tool_calls
            assert (found.arguments, found.complete) == ('{"q":1}', True)


def test_announced_text_is_not_doubled() -> None:
    part = event("content_part.added", output_index=0, part={"type": "output_text", "text": "He"})
    start = [created(), added(message("", content=[])), part]
    whole = ended(output=[message("Hello")])
    assert result(*start, text_delta("llo"), whole).text == "Hello"
    assert result(*start, text_delta("Hello"), whole).text == "Hello"
    assert result(*start, whole).text == "Hello"
    assert fold(run([sse(*start)])[0]).text == "He"


def test_announced_arguments_are_not_doubled() -> None:
    call = function_call()
    start = [created(), added(call)]
    for between in ([], [arguments_delta('{"q":1}')]):
        (found,) = result(*start, *between, done(call), ended(output=[call])).tool_calls
        assert found.arguments == '{"q":1}'


def test_call_without_announcement() -> None:
    call = function_call()
    (found,) = result(created(), arguments_delta('{"q"'), done(call), ended()).tool_calls
    assert (found.name, found.arguments, found.complete) == ("search", '{"q":1}', True)
    events, error = run([sse(created(), arguments_delta('{"q"'))])
    assert isinstance(error, StreamCutError)
    (found,) = fold(events).tool_calls
    assert (found.id, found.arguments, found.complete) == ("fc_1", '{"q"', False)


def test_arguments_done_may_name_the_call() -> None:
    named = event(
        "function_call_arguments.done",
        output_index=0,
        arguments='{"q":1}',
        name="search",
        call_id="call_1",
    )
    (found,) = result(created(), arguments_delta('{"q'), named, ended()).tool_calls
    assert (found.id, found.name, found.arguments) == ("call_1", "search", '{"q":1}')
    assert found.complete


def test_call_without_status_is_complete_unless_the_response_was_cut_there() -> None:
    call = function_call(status=None)
    start = [created(), added({**call, "arguments": ""}), done(call)]
    length = ended("incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert result(*start, ended()).tool_calls[0].complete
    assert not result(*start, length).tool_calls[0].complete
    assert result(*start, added(message("", content=[]), 1), length).tool_calls[0].complete
    assert fold(run([sse(*start)])[0]).tool_calls[0].complete


def test_call_that_never_ended_is_incomplete_in_a_cut_response() -> None:
    start = [created(), added(function_call(arguments="")), arguments_delta('{"q":1}')]
    cut = ended("incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert not result(*start, cut).tool_calls[0].complete
    assert not result(*start, ended()).tool_calls[0].complete
    whole = event("function_call_arguments.done", output_index=0, arguments='{"q":1}')
    assert result(*start, whole, ended()).tool_calls[0].complete


def test_contradicting_arguments_make_a_call_incomplete() -> None:
    start = [created(), added(function_call(arguments="")), arguments_delta('{"x": 2}')]
    (other,) = result(*start, done(function_call()), ended()).tool_calls
    assert (other.arguments, other.complete) == ('{"x": 2}', False)
    spaced = function_call(arguments='{"x":2}')
    (same,) = result(*start, done(spaced), ended()).tool_calls
    assert (same.arguments, same.complete) == ('{"x": 2}', True)


def test_ids_that_change_from_event_to_event() -> None:
    answer = result(
        created(),
        added(message("", id="a", content=[])),
        text_delta("Hel", item="b"),
        text_delta("lo", item="c"),
        done(message("Hello", id="d")),
        ended(output=[message("Hello", id="e")]),
    )
    assert [part.text for part in answer.parts(TextPart)] == ["Hello"]


def test_one_index_for_everything() -> None:
    one, two = function_call(1), function_call(2, arguments='{"q":2}')
    answer = result(
        created(),
        added({**one, "arguments": ""}),
        arguments_delta('{"q":1}', 0, "fc_1"),
        done(one),
        added({**two, "arguments": ""}),
        arguments_delta('{"q":2}', 0, "fc_2"),
        done(two),
        text_delta("and text", 0, "msg_1"),
        ended(),
    )
    assert [call.arguments for call in answer.tool_calls] == ['{"q":1}', '{"q":2}']
    assert answer.text == "and text"


def test_no_ids_and_no_indexes() -> None:
    one = function_call(1, id=None)
    two = function_call(2, id=None, arguments='{"q":2}')
    events = [
        created(),
        added({**one, "arguments": ""}),
        arguments_delta('{"q":1}'),
        done(one),
        added({**two, "arguments": ""}),
        arguments_delta('{"q":2}'),
        done(two),
        ended(output=[one, two]),
    ]
    for each in events:
        each.pop("output_index", None)
        each.pop("item_id", None)
    calls = result(*events).tool_calls
    assert [(call.id, call.arguments) for call in calls] == [
        ("call_1", '{"q":1}'),
        ("call_2", '{"q":2}'),
    ]


def test_unannounced_text_of_a_stream_that_begins_late_waits_for_the_whole() -> None:
    first = {**text_delta("lo, wor"), "sequence_number": 7}
    events, _ = run([sse(first, text_delta("ld"))])
    assert fold(events).text == "lo, world"
    assert result(first, text_delta("ld"), done(message("Hello, world")), ended()).text == (
        "Hello, world"
    )


def test_text_without_announcement_flows_at_once() -> None:
    events, _ = run([sse(text_delta("Hel"), text_delta("lo"))])
    assert [each.text for each in of(events, TextDelta)] == ["Hel", "lo"]


def test_deltas_after_the_end_of_a_part_are_counted() -> None:
    normalizer = ResponsesNormalizer(CONTEXT)
    out: list[Event] = []
    late = [created(), done(message("Hello")), text_delta("!"), ended(), text_delta("?")]
    normalizer.feed(wire_items(sse(*late)), 0, out)
    assert fold(out).text == "Hello"
    assert normalizer.unknown == 2
    normalizer.finish(0, out)
    check_shape(out)


def test_logprobs() -> None:
    one = [{"token": "Hi", "logprob": -0.5}]
    delta = {**text_delta("Hi"), "logprobs": one}
    events, _ = run([sse(created(), delta, text_delta("!"), ended())])
    assert [json.loads(each.data) for each in of(events, Logprobs)] == [one]
    told = event("output_text.done", output_index=0, text="Hi", logprobs=one)
    events, _ = run([sse(created(), text_delta("Hi"), told, ended())])
    assert [json.loads(each.data) for each in of(events, Logprobs)] == [one]


def test_annotations_come_once() -> None:
    notes = [{"type": "url_citation", "url": f"https://example.org/{n}"} for n in range(2)]
    content = [{"type": "output_text", "text": "Hi", "annotations": notes}]
    told = event("output_text.annotation.added", output_index=0, annotation=notes[0])
    item = message("", content=content)
    events, _ = run([sse(created(), text_delta("Hi"), told, done(item), ended(output=[item]))])
    check_shape(events)
    assert [json.loads(each.data) for each in of(events, Citation)] == notes


def test_reasoning_kinds_in_one_item() -> None:
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "short"}],
        "content": [{"type": "reasoning_text", "text": "long"}],
        "encrypted_content": "E",
    }
    place = {"output_index": 0, "item_id": "rs_1"}
    answer = result(
        created(),
        added({"type": "reasoning", "id": "rs_1", "summary": []}),
        event("reasoning_text.delta", delta="lo", content_index=0, **place),
        event("reasoning_summary_text.delta", delta="short", summary_index=0, **place),
        event("reasoning_text.delta", delta="ng", content_index=0, **place),
        done(item),
        ended(output=[item]),
    )
    parts = answer.parts(ReasoningPart)
    assert {part.kind: part.text for part in parts} == {
        ReasoningKind.NATIVE: "long",
        ReasoningKind.SUMMARY: "short",
    }
    assert [part.data for part in parts if part.data] == ["E"]


def test_content_parts_without_a_common_form() -> None:
    part = {"type": "output_image", "url": "x"}
    item = message("", content=[part])
    told = event("content_part.done", output_index=0, content_index=0, part=part)
    start = [created(), added(message("", content=[]))]
    answer = result(*start, told, done(item), ended(output=[item]))
    assert [block.data for block in answer.parts(BlockPart)] == [part]


def test_audio() -> None:
    answer = result(
        created(),
        event("audio.delta", delta="AAAA"),
        event("audio.transcript.delta", delta="Hi"),
        event("audio.done"),
        ended(),
    )
    (block,) = answer.parts(BlockPart)
    assert [data["delta"] for data in extra(block)] == ["AAAA", "Hi"]


def test_blocks_that_were_cut_keep_what_was_announced() -> None:
    events, error = run([sse(created(), added({"type": "web_search_call", "id": "ws_1"}))])
    assert isinstance(error, StreamCutError)
    assert [json.loads(each.data)["id"] for each in of(events, ProviderBlock)] == ["ws_1"]


@pytest.mark.parametrize(
    ("execution", "expected"), [("client", FinishReason.TOOL_CALLS), ("server", FinishReason.STOP)]
)
def test_calls_of_other_kinds(execution: str, expected: FinishReason) -> None:
    item = {"type": "tool_search_call", "id": "t", "call_id": "c", "execution": execution}
    assert result(created(), ended(output=[item])).finish_reason is expected


def test_call_with_its_output_needs_no_caller() -> None:
    call = {"type": "shell_call", "id": "s", "call_id": "c"}
    output = {"type": "shell_call_output", "id": "o", "call_id": "c"}
    assert result(created(), ended(output=[call, output])).finish_reason is FinishReason.STOP


def test_items_can_be_sent_back() -> None:
    for name in ("summary_parts.sse", "two_parts.sse", "interleaved_calls.sse"):
        body = (DATA / name).read_bytes()
        final = next(item for item in wire_items(body) if isinstance(item, structs.Completed))
        assert final.response is not None
        sent = [plain(msgspec.json.decode(data)) for data in final.response.output or ()]
        assert [plain(item) for item in to_openai_responses_items(fold(read(name)))] == sent


def plain(value: Any) -> Any:
    """JSON without fields that say nothing, and without the state of an item."""
    if isinstance(value, dict):
        return {
            key: plain(each)
            for key, each in value.items()
            if each not in (None, [], "") and key not in ("status", "logprobs")
        }
    return [plain(each) for each in value] if isinstance(value, list) else value


# The response


def test_usage() -> None:
    usage = fold(read("summary_parts.sse")).usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (40, 30, 70)
    assert (usage.cached_input_tokens, usage.cache_write_input_tokens) == (12, 3)
    assert usage.reasoning_tokens == 9
    assert usage.raw is not None
    assert usage.raw["input_tokens_details"] == {"cached_tokens": 12, "cache_write_tokens": 3}
    odd: dict[str, Any] = {
        "input_tokens": 1,
        "output_tokens": None,
        "input_tokens_details": [],
        "cost": 0.5,
    }
    usage = result(created(), ended(output=[message("x")], usage=odd)).usage
    assert (usage.input_tokens, usage.output_tokens, usage.raw) == (1, None, odd)


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        ("incomplete", "max_output_tokens", FinishReason.LENGTH),
        ("incomplete", "content_filter", FinishReason.CONTENT_FILTER),
        ("incomplete", "steered", FinishReason.OTHER),
        ("incomplete", None, FinishReason.OTHER),
        ("cancelled", None, FinishReason.OTHER),
    ],
)
def test_ends(status: str, reason: str | None, expected: FinishReason) -> None:
    details = {"reason": reason} if reason else None
    answer = result(created(), text_delta("x"), ended(status, incomplete_details=details))
    assert answer.finish_reason is expected
    assert answer.raw_finish_reason == reason or status


def test_the_status_counts_more_than_the_event() -> None:
    """Servers that close every response with `response.completed`."""
    end = ended(output=[message("x")], incomplete_details={"reason": "max_output_tokens"})
    end["response"]["status"] = "incomplete"
    assert result(created(), end).finish_reason is FinishReason.LENGTH


@pytest.mark.parametrize(
    ("error", "expected", "code"),
    [
        ({"code": "rate_limit_exceeded", "message": "slow"}, RateLimitError, "rate_limit_exceeded"),
        ({"code": "new_code", "type": "server_error", "message": "x"}, ServerError, "new_code"),
        ({"code": 400, "message": "bad", "type": "BadRequest"}, BadRequestError, "400"),
        ({"message": "The server is overloaded"}, OverloadedError, None),
        ("no words but these", ProviderError, None),
        ({}, ProviderError, None),
        (None, ProviderError, None),
    ],
)
def test_forms_of_errors(error: Any, expected: type, code: str | None) -> None:
    flat = {**error, "type": "error"} if isinstance(error, dict) and "type" not in error else None
    nested = {"type": "error", "error": error}
    failed = ended("failed", error=error)
    for each in filter(None, (flat, nested, failed)):
        for named in (True, False):
            _, found = run([sse(created(), each, named=named)])
            assert type(found) is expected
            assert isinstance(found, ProviderError)
            assert found.code == code
            assert "openai: " in str(found)


def test_errors_without_type() -> None:
    body = b'event: error\ndata: {"message": "slow down", "code": "slow_down"}\n\n'
    assert type(run([sse(created()) + body])[1]) is RateLimitError
    body = b'data: {"error": {"message": "gone", "code": 404}}\n\n'
    error = run([sse(created()) + body])[1]
    assert isinstance(error, ProviderError)
    assert error.status == 404


def test_unknown_events() -> None:
    strange = {"type": "response.telepathy.delta", "delta": "x"}
    body = sse(created(), strange, ended(output=[message("x")]))
    events, _ = run([body], replace(CONTEXT, pass_unknown=True))
    assert [each.type for each in of(events, UnknownEvent)] == ["response.telepathy.delta"]
    _, error = run([body], replace(CONTEXT, strict=True))
    assert isinstance(error, UnknownEventError)


def test_limits() -> None:
    deltas = [arguments_delta("x" * 10) for _ in range(5)]
    start = [created(), added(function_call(arguments=""))]
    events, error = run(
        [sse(*start, *deltas)], replace(CONTEXT, limits=Limits(max_arguments_bytes=35))
    )
    assert isinstance(error, LimitExceededError)
    assert error.limit == "max_arguments_bytes"
    assert len(of(events, ToolCallDelta)) == 3
    many = [text_delta("x", n, f"msg_{n}") for n in range(5)]
    _, error = run([sse(created(), *many)], replace(CONTEXT, limits=Limits(max_parts=3)))
    assert isinstance(error, LimitExceededError)
    assert error.limit == "max_parts"


# Decoding


def test_decode_by_name_or_type() -> None:
    data = b'{"type":"response.output_text.delta","delta":"x","content_index":1}'
    expected = structs.TextDelta(delta="x", index=1)
    assert decode("response.output_text.delta", data) == expected
    assert decode("", data) == decode("message", data) == expected
    assert decode("response.created", data) == expected
    assert decode("response.output_text.delta", b'{"delta":"x","content_index":1}') == expected


def test_decode_what_is_known_without_content() -> None:
    searching = "response.web_search_call.searching"
    data = b'{"type":"response.web_search_call.searching","item_id":"x"}'
    assert decode(searching, data) == decode("", data) == structs.Progress(searching)
    assert decode("", b'{"type":"keepalive","sequence_number":3}') == structs.KeepAlive()


def test_decode_what_is_unknown() -> None:
    assert decode("", b'{"type":"response.new"}') == Unknown(
        "response.new", b'{"type":"response.new"}'
    )
    assert decode("news", b'{"a":1}') == Unknown("news", b'{"a":1}')
    assert decode("", b"[1]") == Unknown("", b"[1]")


@pytest.mark.parametrize("data", [b"", b"{", b'{"type":', b"nonsense", b"\xff"])
def test_decode_no_json(data: bytes) -> None:
    with pytest.raises(MalformedStreamError):
        decode("response.output_text.delta", data)


def test_decode_impossible_field() -> None:
    with pytest.raises(MalformedStreamError, match="not as documented"):
        decode("", b'{"type":"response.output_text.delta","delta":5}')


def test_arguments_as_an_object() -> None:
    item = {"type": "mcp_call", "id": "mcp_1", "name": "ask", "status": "completed"}
    delta = event("mcp_call_arguments.delta", output_index=0, item_id="mcp_1", delta={"q": 1})
    start = [created(), added({**item, "arguments": ""}), delta]
    answer = result(*start, done({**item, "arguments": {"q": 1}}), ended())
    assert answer.server_tool_calls[0].parsed == {"q": 1}


def test_service_items_may_come_first() -> None:
    out, error = normalize([Comment(b""), Done(), structs.Progress("x"), structs.KeepAlive()])
    assert isinstance(error, StreamCutError)
    assert [type(each) for each in out] == [Ping, Ping]


# Recordings


def recordings(corpus: Path) -> list[tuple[dict[str, Any], bytes]]:
    found = []
    for path in sorted(corpus.glob("*.expected.json")):
        about = json.loads(path.with_name(path.name.replace(".expected", "")).read_text())
        if about["api"].startswith("openai.responses"):
            body = (corpus / about["body_file"]).read_bytes()
            found.append((json.loads(path.read_text()) | {"name": path.name}, body))
    return found


def item_types(answer: Result) -> list[str]:
    """Types of the output items in order; parts of one item have its id."""
    types: dict[object, str] = {}
    for part in answer.content:
        if isinstance(part, ReasoningPart):
            type_ = "reasoning"
        elif isinstance(part, BlockPart):
            type_ = part.block_type
        elif isinstance(part, ToolCall) and part.kind is ToolKind.SERVER:
            type_ = extra(part)[0]["type"]
        elif isinstance(part, ToolCall):
            type_ = "function_call" if part.kind is ToolKind.FUNCTION else "custom_tool_call"
        else:
            type_ = "message"
        types.setdefault(part.provider_id or part.part, type_)
    return list(types.values())


def check_recording(expected: dict[str, Any], events: Sequence[Event]) -> None:
    answer = fold(events)
    raw: Any = answer.usage.raw or {}
    details = (raw.get("input_tokens_details") or {}, raw.get("output_tokens_details") or {})
    got: dict[str, Any] = {
        "text": answer.text,
        "reasoning": answer.reasoning,
        "reasoning_summary_parts": texts(answer, ReasoningKind.SUMMARY),
        "reasoning_text_parts": texts(answer, ReasoningKind.NATIVE),
        "refusal": answer.refusal,
        "tool_calls": [
            {"id": call.id, "name": call.name, "arguments": call.arguments}
            for call in answer.tool_calls
        ],
        "stop_reason": next((e.raw_reason for e in of(events, MessageEnd)), None),
        "incomplete_reason": answer.raw_finish_reason,
        "message_id": answer.provider_message_id,
        "model": answer.model,
        "items": item_types(answer),
        "citations_count": len(of(events, Citation)),
        "usage": {
            "input_tokens": raw.get("input_tokens"),
            "output_tokens": raw.get("output_tokens"),
            "total_tokens": raw.get("total_tokens"),
            "cached_tokens": details[0].get("cached_tokens"),
            "cache_write_tokens": details[0].get("cache_write_tokens"),
            "reasoning_tokens": details[1].get("reasoning_tokens"),
        },
    }
    for name, value in got.items():
        if name == "usage":
            stated = {k: v for k, v in (expected.get(name) or {}).items() if v is not None}
            value = {k: v for k, v in got["usage"].items() if k in stated}
            assert value == stated, expected["name"]
        elif name in expected:
            assert value == expected[name], (expected["name"], name)


def texts(answer: Result, kind: ReasoningKind) -> list[str]:
    return [part.text for part in answer.parts(ReasoningPart) if part.kind is kind]


@pytest.mark.corpus
def test_recordings(corpus_dir: Path, subtests: Any) -> None:
    found = recordings(corpus_dir)
    assert found
    for expected, body in found:
        with subtests.test(expected["name"]):
            events, error = run([body], replace(CONTEXT, strict=True))
            check_shape(events, is_whole=error is None)
            assert (error is not None) == bool("error" in expected or expected.get("partial"))
            check_recording(expected, events)


@pytest.mark.corpus
def test_recordings_in_pieces(corpus_dir: Path, subtests: Any) -> None:
    rng = random.Random(7)
    for expected, body in recordings(corpus_dir):
        with subtests.test(expected["name"]):
            whole, _ = run([body])
            places = [rng.randrange(len(body)) for _ in range(200)]
            assert run(split(body, places))[0] == whole
            if len(body) <= 16_384:
                assert run(body[i : i + 1] for i in range(len(body)))[0] == whole


@pytest.mark.corpus
def test_recordings_that_begin_late(corpus_dir: Path, subtests: Any) -> None:
    rng = random.Random(8)
    for expected, body in recordings(corpus_dir):
        items = wire_items(body)
        if getattr(items[-1], "sequence_number", None) is None:
            continue
        whole = final_content(normalize(items)[0])
        with subtests.test(expected["name"]):
            for start in (rng.randrange(len(items)) for _ in range(10)):
                late = final_content(normalize(items[start:])[0])
                assert without_seals(late) == without_seals(whole)


def without_seals(content: Any) -> Any:
    """The encrypted copy is another one in every event that tells it."""
    return [*content[:2], sorted(str(kind_text[:2]) for kind_text in content[2]), *content[3:]]


def test_shapes_of_parts() -> None:
    starts = of(read("final_only.sse"), PartStart)
    assert {start.kind for start in starts} >= {PartKind.TEXT, PartKind.REFUSAL, PartKind.REASONING}
    assert [e.data for e in of(read("final_only.sse"), ReasoningData)] == ["ONLY-SEALED=="]


def custom_call(**fields: Any) -> dict[str, Any]:
    item = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "xs_1", "name": "x_search"}
    return {**item, "input": '{"query":"news"}', "status": "completed", **fields}


@pytest.mark.parametrize(
    ("tools", "kind"),
    [
        ([{"type": "x_search"}], ToolKind.SERVER),
        ([{"type": "custom", "name": "other"}], ToolKind.SERVER),
        ([{"type": "custom", "name": "x_search"}], ToolKind.CUSTOM),
        ([{"type": "x_search"}, {"type": "namespace", "tools": []}], ToolKind.CUSTOM),
        ([], ToolKind.CUSTOM),
        (None, ToolKind.CUSTOM),
    ],
)
def test_custom_calls_of_undeclared_tools_are_the_servers(
    tools: list[dict[str, Any]] | None, kind: ToolKind
) -> None:
    context = replace(CONTEXT, payload={"input": "x", "tools": tools})
    call, text = custom_call(), message("Found.")
    delta = event("custom_tool_call_input.delta", delta=call["input"], output_index=0)
    begun = added(custom_call(input="", status="in_progress"))
    stream = (created(), begun, delta, done(call), done(text, 1), ended(output=[call, text]))
    answer = result(*stream, context=context)
    (found,) = answer.parts(ToolCall)
    assert (found.kind, found.id, found.arguments) == (kind, "xs_1", call["input"])
    is_server = kind is ToolKind.SERVER
    assert answer.finish_reason is (FinishReason.STOP if is_server else FinishReason.TOOL_CALLS)
    assert bool(answer.tool_calls) is not is_server
    sent_back: dict[str, Any] = dict(to_openai_responses_items(answer)[0])
    assert call.items() - {("status", "completed")} <= sent_back.items()


def test_items_of_unknown_types_are_unknown() -> None:
    strange = {"type": "telepathy_call", "id": "t1", "x": 1}
    body = sse(created(), done(strange), ended(output=[strange]))
    events, error = run([body])
    assert error is None
    assert [block.data for block in fold(events).content if isinstance(block, BlockPart)]
    _, error = run([body], replace(CONTEXT, strict=True))
    assert isinstance(error, UnknownEventError)
    assert error.code == "telepathy_call"


def test_unplaced_deltas_belong_to_the_newest_open_item() -> None:
    def unplaced(delta: str) -> dict[str, Any]:
        return event("function_call_arguments.delta", delta=delta)

    first, second = function_call(1, arguments="ab"), function_call(2, arguments="c")
    answer = result(
        created(),
        *(done(message(str(n), id=f"msg_{n}"), n + 2) for n in range(50)),
        added({**first, "arguments": ""}, 0),
        unplaced("a"),
        added({**second, "arguments": ""}, 1),
        unplaced("c"),
        done(second, 1),
        unplaced("b"),
        done(first, 0),
        ended(),
    )
    assert [call.arguments for call in answer.tool_calls] == ["ab", "c"]


def test_error_with_a_name_of_the_response() -> None:
    failure = {"type": "response.error", "error": {"message": "too many", "code": "rate_limit"}}
    _, error = run([sse(created(), failure)])
    assert isinstance(error, ProviderError)
    assert "too many" in str(error)
    assert error.code == "rate_limit"
