"""Chat Completions: golden vectors under every cut, tool calls in every disguise, recordings."""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenline.errors import (
    AuthenticationError,
    BadRequestError,
    ConfigError,
    ContextOverflowError,
    CreditsError,
    EmptyResponseError,
    LimitExceededError,
    OverloadedError,
    ProviderError,
    RateLimitError,
    ServerError,
    StreamCutError,
    StreamError,
    UnknownEventError,
)
from tokenline.events import (
    Citation,
    Event,
    Finish,
    FinishReason,
    Logprobs,
    MessageEnd,
    MessageStart,
    PartStart,
    Ping,
    ProviderDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UnknownEvent,
    Usage,
    UsageUpdate,
)
from tokenline.options import Limits
from tokenline.result import Part, Result
from tokenline.stage import RawChunk, StepContext
from tokenline_stages.accumulator import Accumulator
from tokenline_stages.parser import SseParser
from tokenline_stages.providers.openai_chat import (
    QUIRKS,
    ChatNormalizer,
    ChatWire,
    ErrorChunk,
    Quirks,
    decode,
    quirks_of,
)
from tokenline_stages.providers.openai_chat import chunk as chunk_module
from tokenline_stages.providers.openai_chat.arguments_scan import ArgumentsScan
from tokenline_stages.providers.openai_chat.finish_reasons import FINISH_REASONS, read_reason
from tokenline_stages.providers.openai_chat.usage import UsageLedger
from tokenline_stages.providers.openai_chat.wire import PlainFirst
from tokenline_stages.wire.items import Comment, Done, Unknown

DATA = Path(__file__).parents[2] / "data" / "openai_chat"
GOLDEN = sorted(path.stem for path in DATA.glob("*.sse"))
TOOLS = {
    "tools": [{"type": "function", "function": {"name": n}} for n in ("search", "grep", "now")]
}
INLINE = Quirks(inline_think=True)


def read_items(body: bytes, cuts: Iterable[int] = ()) -> list[ChatWire]:
    parser: SseParser[ChatWire] = SseParser(decode, StepContext("m"), "hand")
    out: list[ChatWire] = []
    for start, end in itertools.pairwise([0, *cuts, len(body)]):
        parser.feed([RawChunk(body[start:end])], 0, out)
    parser.finish(0, out)
    return out


def run(
    batches: Iterable[Sequence[ChatWire]],
    quirks: Quirks | None = None,
    **context: Any,
) -> tuple[list[Event], StreamError | None]:
    step = ChatNormalizer(StepContext("m", **context), "hand", quirks or Quirks())
    events: list[Event] = []
    error = None
    try:
        for batch in batches:
            step.feed(batch, 0, events)
        step.finish(0, events)
    except StreamError as caught:
        error = caught
    assert [event.seq for event in events] == list(range(len(events)))
    return events, error


def golden(name: str) -> list[ChatWire]:
    return read_items((DATA / f"{name}.sse").read_bytes())


def fold(events: Sequence[Event]) -> Result:
    accumulator = Accumulator("m")
    accumulator.feed(events, 0, [])
    return accumulator.snapshot()


def run_golden(name: str, **context: Any) -> Result:
    events, error = run([golden(name)], **context)
    assert error is None
    return fold(events)


def chunk(
    delta: Mapping[str, Any] | None = None, finish: str | None = None, **more: Any
) -> ChatWire:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return decode("", json.dumps({"id": "c", "model": "m", "choices": choices, **more}).encode())


def calls(*fragments: Mapping[str, Any]) -> ChatWire:
    return chunk({"tool_calls": fragments})


def call(
    index: int | None = None,
    id: str | None = None,
    name: str | None = None,
    arguments: str | None = None,
) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    fragment = {
        "index": index,
        "id": id,
        "function": {key: value for key, value in function.items() if value is not None},
    }
    return {key: value for key, value in fragment.items() if value is not None}


def view(parts: Sequence[Part]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for part in parts:
        if part.type == "tool_call":
            rows.append((part.id, part.name, part.arguments, part.complete))
        elif part.type == "reasoning":
            rows.append(("reasoning", str(part.kind), part.text, part.signature, part.data))
        elif part.type == "block":
            rows.append(("block", part.block_type))
        else:
            rows.append((part.type, part.text))
    return rows


def native(text: str) -> tuple[Any, ...]:
    return ("reasoning", "native", text, None, None)


def only(events: Sequence[Event], kind: type) -> list[Any]:
    return [event for event in events if type(event) is kind]


# Golden vectors


@pytest.mark.parametrize("name", ["cumulative_usage", "trailing_usage"])
def test_usage_is_replaced(name: str) -> None:
    events, error = run([golden(name)])
    assert error is None
    result = fold(events)
    assert view(result.content) == [("text", "Hi there")]
    assert (result.usage.input_tokens, result.usage.output_tokens) == (10, 2)
    assert result.usage.cached_input_tokens == 3
    assert result.usage.reasoning_tokens is None
    assert type(events[-1]) is MessageEnd
    counts = [update.usage.output_tokens for update in only(events, UsageUpdate)]
    assert counts == sorted(set(counts))


def test_interleaved_calls() -> None:
    events, error = run([golden("interleaved_calls")], payload=TOOLS)
    assert error is None
    assert view(fold(events).content) == [
        ("call_a", "search", '{"q": "a b"}', True),
        ("call_b", "grep", '{"path": "/tmp", "n": 1}', True),
        ("call_c", "now", "", True),
    ]
    deltas = [(d.tool_call_id, d.name, d.arguments) for d in only(events, ToolCallDelta)]
    assert [d[2] for d in deltas if d[:2] == ("call_a", "search")] == ['{"q":', ' "a b"', "}"]
    assert [d[2] for d in deltas if d[:2] == ("call_b", "grep")] == [
        '{"path"',
        ': "/tmp"',
        ', "n": 1',
        "}",
    ]
    assert fold(events).tool_calls[2].parsed == {}


def test_omitted_reasoning_comes_after_the_provider_spoke() -> None:
    events, error = run([golden("hidden_reasoning")])
    assert error is None
    assert [type(event) for event in events[:2]] == [Ping, MessageStart]
    assert view(fold(events).content) == [
        ("text", "42"),
        ("reasoning", "omitted", "", None, None),
    ]


def test_text_that_looks_like_framing_is_text() -> None:
    result = run_golden("lookalikes")
    assert result.text == (
        'data: [DONE]\n\nevent: error\ndata: {"error":{"message":"no"}}\n\n'
        '"seq_id":5,\r\n: ping\r\n\u2028[DONE]'
    )
    assert result.tool_calls[0].parsed == {"line": "data: [DONE]"}


GOLDEN_PARTS: dict[str, list[tuple[Any, ...]]] = {
    "shared_index": [
        ("call_1", "add", '{"a":2,"b":3}', True),
        ("call_2", "add", '{"a":4,"b":5}', True),
        ("call_3", "multiply", '{"a":2,"b":3}', True),
    ],
    "no_ids": [
        ("call_0", "add", '{"a":1}', True),
        ("call_1", "add", '{"a":2}', True),
        ("call_2", "add", '{"a":3}', True),
        ("call_3", "halt", "", True),
    ],
    "custom_tool": [("call_1", "shell", "ls { -l", True)],
    "function_call": [("call_0", "look_up", '{"q":1}', True)],
    "cut_arguments": [
        ("call_1", "add", '{"a":1}', True),
        ("call_2", "write", '{"text":"once upon', False),
    ],
    "finish_on_every_chunk": [
        native("Think"),
        ("text", "OK"),
        ("call_1", "f", '{"a":1}', True),
    ],
    "whole_message": [("text", "All at once"), ("call_1", "f", '{"a":1}', True)],
    "reasoning_apart": [native("Six times seven.\n"), ("text", "42")],
    "reasoning_details": [
        ("reasoning", "native", "First thought", "SIG0", None),
        ("reasoning", "native", "Second", "SIG1", None),
        ("reasoning", "summary", "In short", None, "RU5D"),
        ("reasoning", "encrypted", "", None, "T1RIRVI="),
        ("text", "Done."),
    ],
    "content_parts": [native("Hm, yes."), ("text", "Answer text"), ("block", "image_url")],
    "gemini_seals": [
        native("I think."),
        ("text", "Fine."),
        ("call_1", "f", "{}", True),
    ],
    "first_chunk_without_ids": [("text", "Some")],
    "refusal": [("refusal", "I can't do that.")],
    "extras": [
        ("text", "See [1]"),
        ("block", "audio"),
        ("block", "image"),
        ("block", "executed_tool"),
        ("block", "search_results"),
        ("block", "moderation"),
    ],
    "odd_types": [
        ("text", "abc"),
        ("99", "f", '{"a":[1,null]}', True),
        ("text", "\N{GRINNING FACE}"),
    ],
    "think_tags": [("text", "<think>\nHm <b></think>\n\nYes</thin>")],
}


@pytest.mark.parametrize("name", GOLDEN_PARTS)
def test_parts(name: str) -> None:
    assert view(run_golden(name).content) == GOLDEN_PARTS[name]


def test_two_choices() -> None:
    result = run_golden("two_choices")
    assert view(result.content) == [("text", "abc")]
    (second,) = result.further_choices
    assert view(second.content) == [("text", "xy"), ("call_1", "f", "{}", True)]
    assert (result.raw_finish_reason, second.raw_finish_reason) == ("stop", "tool_calls")


def test_start_waits_for_ids() -> None:
    events, _ = run([golden("first_chunk_without_ids")])
    start = events[0]
    assert isinstance(start, MessageStart)
    assert (start.provider_message_id, start.model) == ("chatcmpl-hand2", "hand-model-2")
    assert only(events, Finish)[0].reason is FinishReason.CONTENT_FILTER


def test_reasoning_counted_apart_is_added() -> None:
    usage = run_golden("reasoning_apart").usage
    assert (usage.output_tokens, usage.reasoning_tokens, usage.total_tokens) == (66, 64, 75)
    assert usage.raw is not None
    assert usage.raw["completion_tokens"] == 2


def test_extras() -> None:
    events, _ = run([golden("extras")])
    assert [json.loads(event.data) for event in only(events, Citation)] == [
        {"type": "url_citation", "url_citation": {"url": "https://c.example"}},
        "https://a.example",
        "https://b.example",
    ]
    assert len(only(events, Logprobs)) == 1
    assert [json.loads(event.data) for event in only(events, ProviderDelta)] == [
        {"id": "audio_1", "data": "AAAA"},
        {"transcript": "hm"},
    ]
    assert only(events, UsageUpdate)[-1].usage.output_tokens == 5


def test_seals_stay_on_their_parts() -> None:
    parts = run_golden("gemini_seals").content
    assert [part.signature for part in parts] == [None, "VEVYVA==", "Q0FMTA=="]


def test_think_tags_on_request() -> None:
    events, error = run([golden("think_tags")], INLINE)
    assert error is None
    parts = view(fold(events).content)
    assert parts == [native("\nHm <b>"), ("text", "\n\nYes</thin>")]


@pytest.mark.parametrize("name", GOLDEN)
def test_every_cut_gives_the_same_events(name: str) -> None:
    body = (DATA / f"{name}.sse").read_bytes()
    items = read_items(body)
    assert read_items(body, range(1, len(body))) == items
    whole = run([items], payload=TOOLS)
    each = run([[item] for item in items], payload=TOOLS)
    assert each[0] == whole[0]
    assert str(each[1]) == str(whole[1])


def pieces(text: str, cuts: Iterable[int]) -> list[str]:
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(text)}), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


cuts = st.lists(st.integers(1, 60), max_size=8)


@given(cuts, cuts, cuts)
def test_fragments_of_any_size_give_the_same_result(
    text_cuts: list[int], thought_cuts: list[int], argument_cuts: list[int]
) -> None:
    text, thought = 'data: [DONE] "seq_id":5 \u00e9\U0001f600', " Let me\n think  "
    arguments = '{"q": "a \\"b\\" {[", "n": [1, {}]}'
    items = [
        *(chunk({"reasoning_content": p}) for p in pieces(thought, thought_cuts)),
        *(chunk({"content": p}) for p in pieces(text, text_cuts)),
        calls(call(0, "call_1", "search", "")),
        *(calls(call(0, None, None, p)) for p in pieces(arguments, argument_cuts)),
        chunk({}, "tool_calls"),
        Done(),
    ]
    events, error = run([items])
    assert error is None
    assert view(fold(events).content) == [
        native(thought),
        ("text", text),
        ("call_1", "search", arguments, True),
    ]


# Tool calls

json_objects = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=6),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=4,
    ),
    max_size=3,
).map(json.dumps)


@st.composite
def fragmented_calls(draw: st.DrawFn) -> list[list[dict[str, Any]]]:
    """Fragments of some calls: id and name at any fragment, id repeated, name in pieces."""
    found: list[list[dict[str, Any]]] = []
    for index in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from(["search", "grep", "now", "search_all"])) + f"_{index}"
        parts = pieces(draw(json_objects), draw(cuts))
        id_at = draw(st.integers(0, len(parts) - 1))
        name_at = draw(st.integers(0, len(parts) - 1))
        again = draw(st.booleans())
        fragments = []
        for at, arguments in enumerate(parts):
            with_id = at == id_at or (again and at > id_at)
            with_name = at == name_at or (again and at > name_at)
            fragments.append(
                call(
                    index,
                    f"id{index}" if with_id else draw(st.sampled_from([None, ""])),
                    name if with_name else draw(st.sampled_from([None, ""])),
                    arguments,
                )
            )
        if name_at == 0:
            named = [call(index, None, piece) for piece in pieces(name, draw(cuts))]
            if len(named) > 1:
                fragments[0]["function"].pop("name")
                fragments = [*named, *fragments]
        found.append(fragments)
    return found


def whole(fragments: Sequence[Mapping[str, Any]]) -> str:
    return "".join(fragment["function"].get("arguments") or "" for fragment in fragments)


@settings(max_examples=100)
@given(fragmented_calls(), st.randoms(use_true_random=False), st.booleans())
def test_any_interleaving_gives_every_call(
    found: list[list[dict[str, Any]]], random: Random, declared: bool
) -> None:
    order = [index for index, fragments in enumerate(found) for _ in fragments]
    random.shuffle(order)
    rest = [iter(fragments) for fragments in found]
    items = [calls(next(rest[index])) for index in order]
    tools = [
        {"function": {"name": f"{name}_{index}"}}
        for name in ("search", "grep", "now", "search_all")
        for index in range(4)
    ]
    events, error = run(
        [[*items, chunk({}, "tool_calls"), Done()]], payload={"tools": tools} if declared else {}
    )
    assert error is None
    got = {part.id: part.arguments for part in fold(events).tool_calls if part.complete}
    assert got == {f"id{index}": whole(fragments) for index, fragments in enumerate(found)}
    names = {part.id: part.name for part in fold(events).tool_calls}
    assert all(name.endswith(f"_{id_[2:]}") for id_, name in names.items())
    assert {d.tool_call_id for d in only(events, ToolCallDelta)} == set(got)


CALL_CASES: dict[str, tuple[list[ChatWire], list[tuple[Any, ...]]]] = {
    "whole calls, one index, own ids": (
        [calls(call(0, "a", "f", '{"x":1}')), calls(call(0, "b", "f", '{"x":2}'))],
        [("a", "f", '{"x":1}', True), ("b", "f", '{"x":2}', True)],
    ),
    "one chunk, one index, own ids": (
        [calls(call(0, "a", "f", "{}"), call(0, "b", "f", "{}"))],
        [("a", "f", "{}", True), ("b", "f", "{}", True)],
    ),
    "one index, ids on every fragment, in turns": (
        [
            calls(call(0, "a", "f", '{"x"')),
            calls(call(0, "b", "f", '{"y"')),
            calls(call(0, "a", None, ":1}")),
            calls(call(0, "b", None, ":2}")),
        ],
        [("a", "f", '{"x":1}', True), ("b", "f", '{"y":2}', True)],
    ),
    "no index, own ids": (
        [
            calls(call(None, "a", "f", '{"x"')),
            calls(call(None, None, None, ":1}")),
            calls(call(None, "b", "g", "{}")),
        ],
        [("a", "f", '{"x":1}', True), ("b", "g", "{}", True)],
    ),
    "no ids, one index, three calls of one tool": (
        [calls(call(0, None, "f", f'{{"x":{n}}}')) for n in range(3)],
        [(f"call_{n}", "f", f'{{"x":{n}}}', True) for n in range(3)],
    ),
    "no ids, one index, another name before the end": (
        [calls(call(0, None, "f", '{"x":')), calls(call(0, None, "g", "{}"))],
        [("call_0", "f", '{"x":', False), ("call_1", "g", "{}", True)],
    ),
    "a new id on every fragment": (
        [
            calls(call(0, "a", "f", '{"x"')),
            calls(call(0, "b", None, ":1")),
            calls(call(0, "c", None, "}")),
        ],
        [("a", "f", '{"x":1}', True)],
    ),
    "a new id, its name later": (
        [
            calls(call(0, "a", "f", "{}")),
            calls(call(0, "b", None, "")),
            calls(call(0, None, "g", "{}")),
        ],
        [("a", "f", "{}", True), ("b", "g", "{}", True)],
    ),
    "one id for two calls": (
        [
            calls(call(0, "a", "f", '{"x":1}')),
            calls(call(1, "a", "f", '{"x"')),
            calls(call(1, "a", None, ":2}")),
        ],
        [("a", "f", '{"x":1}', True), ("call_1", "f", '{"x":2}', True)],
    ),
    "the id moves to another index": (
        [calls(call(0, "a", "f", '{"x"')), calls(call(3, "a", None, ":1}"))],
        [("a", "f", '{"x":1}', True)],
    ),
    "full name repeated": (
        [
            calls(call(0, "a", "find", "")),
            calls(call(0, "a", "find", '{"x"')),
            calls(call(0, "a", "find", ":1}")),
            calls(call(0, "a", "find", "")),
        ],
        [("a", "find", '{"x":1}', True)],
    ),
    "name in pieces and as far as it got": (
        [
            calls(call(0, "a", "fi")),
            calls(call(0, None, "nd")),
            calls(call(1, "b", "gr")),
            calls(call(1, None, "grep")),
            calls(call(0, None, None, "{}"), call(1, None, None, "{}")),
        ],
        [("a", "find", "{}", True), ("b", "grep", "{}", True)],
    ),
    "two declared tools without id and arguments": (
        [calls(call(None, None, "now")), calls(call(None, None, "grep"))],
        [("call_0", "now", "", True), ("call_1", "grep", "", True)],
    ),
    "nothing but an index": (
        [calls(call(7)), calls(call(0, "a", "f", "{}"))],
        [("a", "f", "{}", True)],
    ),
    "no name at all": (
        [calls(call(0, "a", None, "{}"))],
        [("a", "", "{}", False)],
    ),
    "no level `function`": (
        [calls({"id": "a", "name": "f", "arguments": "{}"})],
        [("a", "f", "{}", True)],
    ),
    "more after the object": (
        [calls(call(0, "a", "f", "{}")), calls(call(0, None, None, '{"x":1}'))],
        [("a", "f", '{}{"x":1}', False)],
    ),
}


@pytest.mark.parametrize("case", CALL_CASES)
def test_calls_in_disguise(case: str) -> None:
    items, expected = CALL_CASES[case]
    events, error = run([[*items, chunk({}, "tool_calls"), Done()]], payload=TOOLS)
    assert error is None
    assert view(fold(events).content) == expected
    starts = only(events, ToolCallStart)
    assert len(starts) == len(only(events, ToolCallEnd)) == len(expected)


def test_a_declared_name_is_announced_at_once() -> None:
    step = ChatNormalizer(StepContext("m", payload=TOOLS), "hand")
    events: list[Event] = []
    step.feed([calls(call(0, "a", "search", ""))], 0, events)
    assert [type(event) for event in events] == [MessageStart, ToolCallStart]
    events.clear()
    step = ChatNormalizer(StepContext("m"), "hand")
    step.feed([calls(call(0, "a", "search", ""))], 0, events)
    assert [type(event) for event in events] == [MessageStart]
    step.feed([calls(call(0, None, None, "{"))], 0, events)
    assert [type(event) for event in events] == [MessageStart, ToolCallStart, ToolCallDelta]


@pytest.mark.parametrize(
    ("finish", "complete"),
    [
        ("stop", True),
        ("tool_calls", True),
        ("function_call", True),
        (None, True),
        ("length", False),
        ("content_filter", False),
        ("error", False),
        ("sideways", False),
    ],
)
def test_a_call_is_complete_if_the_model_stopped_of_itself(
    finish: str | None, complete: bool
) -> None:
    end = [] if finish is None else [chunk({}, finish)]
    events, _ = run([[calls(call(0, "a", "f", '{"x":1}')), *end, Done()]])
    assert [event.complete for event in only(events, ToolCallEnd)] == [complete]


@given(json_objects, st.lists(st.integers(1, 80), max_size=6), st.integers(0, 80))
def test_scan_tells_whole_arguments(text: str, at: list[int], end: int) -> None:
    scan = ArgumentsScan()
    for piece in pieces(text, at):
        scan.add(piece)
        assert scan.whole == (scan.balanced and piece[-1] == "}" and scan.balanced)
    assert scan.whole
    assert scan.balanced
    cut = ArgumentsScan()
    cut.add(text[: min(end, len(text) - 1)])
    assert not cut.whole
    scan.add(" \n")
    assert scan.balanced
    scan.add("{")
    assert not scan.balanced


# Ends and errors


def test_an_end_without_a_finish_reason_is_a_cut() -> None:
    events, error = run([golden("broken_off")])
    assert isinstance(error, StreamCutError)
    assert view(fold(events).content) == [
        ("text", "Let me look."),
        ("call_1", "search", '{"q":"x"}', False),
    ]
    assert not only(events, MessageEnd)


def test_an_end_without_done_is_well_if_all_choices_finished() -> None:
    events, error = run([[chunk({"content": "a"}), chunk({}, "stop")]])
    assert error is None
    end = events[-1]
    assert isinstance(end, MessageEnd)
    assert (end.reason, end.raw_reason) == (FinishReason.STOP, "stop")


def test_done_without_a_finish_reason_is_well() -> None:
    events, error = run([[chunk({"content": "a"}), Done(), chunk({"content": "late"})]])
    assert error is None
    assert fold(events).text == "a"
    assert events[-1] == MessageEnd(len(events) - 1, 0, "m", None, None)


def test_nothing_at_all() -> None:
    assert isinstance(run([[]])[1], StreamCutError)
    assert isinstance(run([[Comment(b"x")]])[1], StreamCutError)
    assert isinstance(run([[Done()]])[1], EmptyResponseError)
    assert isinstance(run([[chunk({"role": "assistant", "content": ""}), Done()]])[1], StreamError)
    silent, error = run([[chunk({"content": ""}), chunk({}, "length"), Done()]])
    assert error is None
    assert fold(silent).finish_reason is FinishReason.LENGTH


def test_one_finish_for_each_choice_and_a_correction() -> None:
    items = [chunk({"content": "a"}), chunk({}, "stop"), chunk({"content": ""}, "stop")]
    events, _ = run([[*items, Done()]])
    assert len(only(events, Finish)) == 1
    events, _ = run([[*items, chunk({"content": "b"}), chunk({}, "length"), Done()]])
    assert [event.raw_reason for event in only(events, Finish)] == ["stop", "length"]
    assert fold(events).text == "ab"


ERRORS: list[tuple[str, str, type[StreamError]]] = [
    ("", '{"error":{"message":"m","type":"server_error","code":null}}', ServerError),
    ("", '{"error":{"message":"m","type":"x","code":"rate_limit_exceeded"}}', RateLimitError),
    ("", '{"error":{"message":"m","type":"server_error","code":"who_knows"}}', ServerError),
    ("", '{"error":{"message":"m","type":"invalid_request_error","code":"tool_use_failed",'
     '"failed_generation":"<x>","status_code":400}}', BadRequestError),
    ("", '{"error":{"code":502,"message":"Provider returned error","metadata":{"raw":"no m"}}}',
     ServerError),
    ("", '{"error":{"code":"429","message":"m"}}', RateLimitError),
    ("", '{"error":{"code":401,"message":"m"}}', AuthenticationError),
    ("", '{"error":{"code":402,"message":"m"}}', CreditsError),
    ("", '{"error":"Model is overloaded m","error_type":"overloaded"}', OverloadedError),
    ("", '{"error":"m","code":"insufficient_quota"}', CreditsError),
    ("", '{"object":"error","message":"This model\'s maximum context length is 4 m","code":400}',
     ContextOverflowError),
    ("", '[{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}]', OverloadedError),
    ("", '{"detail":"m"}', ProviderError),
    ("", '{"detail":[{"msg":"m"}]}', ProviderError),
    ("error", '{"message":"m"}', ProviderError),
    ("error", '{"error":{"message":"m","type":"overloaded_error"}}', OverloadedError),
    ("error", "out of m", ProviderError),
    ("error", '"m"', ProviderError),
    ("", '{"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error",'
     '"error":{"code":502,"message":"m"}}]}', ServerError),
    ("", '{"choices":[],"x_groq":{"id":"r","error":"over capacity m"}}', OverloadedError),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "expected"), ERRORS)
def test_errors_inside_the_stream(name: str, data: str, expected: type[StreamError]) -> None:
    items = [chunk({"content": "half"}), decode(name, data.encode()), Done()]
    events, error = run([items])
    assert type(error) is expected
    assert "hand: " in str(error)
    assert "m" in str(error).removeprefix("hand: ")
    assert "\n" not in str(error)
    assert fold(events).text == "half"
    assert not only(events, MessageEnd)


def test_what_comes_with_an_error_is_kept() -> None:
    data = {
        "error": {"code": 400, "message": "Token limit reached"},
        "choices": [{"index": 0, "delta": {"content": "!"}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }
    item = decode("", json.dumps(data).encode())
    assert isinstance(item, ErrorChunk)
    events, error = run([[chunk({"content": "half"}), item]])
    assert isinstance(error, BadRequestError)
    result = fold(events)
    assert (result.text, result.raw_finish_reason) == ("half!", "length")
    assert result.usage.output_tokens == 2
    assert run([golden("error_inside")])[1] is not None


def test_failed_generation_is_a_note() -> None:
    data = b'{"error":{"message":"m","code":"tool_use_failed","failed_generation":"<x>"}}'
    _, error = run([[decode("error", data)]])
    assert error is not None
    assert "<x>" in error.__notes__[0]


def test_limits() -> None:
    long = [calls(call(0, "a", "f", "\u00e9" * 3)), calls(call(0, None, None, "\u00e9" * 3))]
    assert run([[*long, Done()]], limits=Limits(max_arguments_bytes=12))[1] is None
    _, error = run([[*long, Done()]], limits=Limits(max_arguments_bytes=11))
    assert isinstance(error, LimitExceededError)
    assert error.limit == "max_arguments_bytes"
    many = [calls(call(index, f"id{index}")) for index in range(4)]
    _, error = run([[*many, Done()]], limits=Limits(max_parts=3))
    assert isinstance(error, LimitExceededError)
    choices = [{"index": index, "delta": {}} for index in range(4)]
    _, error = run([[chunk(None), chunk({}, None, choices=choices)]], limits=Limits(max_parts=3))
    assert isinstance(error, LimitExceededError)


def test_unknown_input() -> None:
    item = decode("", b'{"type":"news","x":1}')
    assert item == Unknown("news", b'{"type":"news","x":1}')
    items = [chunk({"content": "a"}), item, chunk({}, "stop")]
    assert not only(run([items])[0], UnknownEvent)
    assert len(only(run([items], pass_unknown=True)[0], UnknownEvent)) == 1
    assert isinstance(run([items], strict=True)[1], UnknownEventError)


# Decoding


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("", b'{"type":"ping"}', Comment),
        ("ping", b"{}", Comment),
        ("", b"null", Unknown),
        ("", b"[]", Unknown),
        ("", b"{}", Unknown),
        ("message", b'{"choices":null,"usage":{}}', type(chunk(None))),
        ("", b'{"choices":[],"error":null}', type(chunk(None))),
        ("", b'{"error":{}, "id":"x"}', type(chunk(None))),
    ],
)
def test_decode(name: str, data: bytes, expected: type) -> None:
    assert type(decode(name, data)) is expected


@pytest.mark.parametrize("data", [b"", b"{", b'{"choices":[}', b'{"id":"\xff"}', b"<html>"])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode("", data)


def test_deep_json_is_refused() -> None:
    with pytest.raises(RecursionError):
        decode("", b'{"usage":' + b"[" * 100_000)


WIRE = (
    chunk_module.ChatChunk,
    chunk_module.Choice,
    chunk_module.Delta,
    chunk_module.ToolCallFragment,
    chunk_module.Function,
    chunk_module.ReasoningDetail,
    chunk_module.ContentPart,
)
FIELDS = {field for struct in WIRE for field in struct.__struct_fields__}
names = st.sampled_from([*sorted(FIELDS), "google", "thought_signature", "prompt_tokens"])
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "a", "{", "}", "stop", "text", "\ud83d", "0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)
deltas = st.dictionaries(names, values, max_size=6)
odd_choices = st.lists(
    st.fixed_dictionaries({"delta": deltas}, optional={"index": values, "finish_reason": values}),
    max_size=3,
)
odd_chunks = st.dictionaries(names, values, max_size=4) | st.fixed_dictionaries(
    {"choices": odd_choices}, optional={"usage": values, "x_groq": values, "id": values}
)


@settings(max_examples=60)
@given(st.lists(odd_chunks, max_size=5), st.booleans())
def test_odd_values_never_break_it(found: list[Any], inline: bool) -> None:
    items = [decode("", json.dumps(value).encode()) for value in found]
    events, error = run([items], INLINE if inline else None, limits=Limits(max_parts=20))
    assert (type(events[-1]) is MessageEnd) if error is None else True
    assert (
        run([[item] for item in items], INLINE if inline else None, limits=Limits(max_parts=20))[0]
        == events
    )
    result = fold(events)
    assert Result.model_validate_json(result.model_dump_json()) == result


@pytest.mark.parametrize(
    ("plain", "whole"),
    [
        (chunk_module.PlainChunk, chunk_module.ChatChunk),
        (chunk_module.PlainChoice, chunk_module.Choice),
        (chunk_module.PlainDelta, chunk_module.Delta),
    ],
)
def test_plain_structs_have_every_field(plain: Any, whole: Any) -> None:
    """Else a chunk with that field would pass for one of nothing but text."""
    assert set(plain.__struct_fields__) == set(whole.__struct_fields__)


plain_deltas = st.fixed_dictionaries({"content": st.text(max_size=3)}, optional={"role": values})
plain_choices = st.fixed_dictionaries(
    {"delta": plain_deltas | deltas},
    optional={"index": st.sampled_from([0, 1]), "finish_reason": st.none(), "text": values},
)
plain_chunks = st.fixed_dictionaries(
    {"choices": st.lists(plain_choices, max_size=2)},
    optional={"usage": st.none(), "id": values, "model": st.just("m"), "new": values},
)


@settings(max_examples=200)
@given(st.lists(plain_chunks | odd_chunks, max_size=8), st.booleans())
def test_trying_the_plain_form_first_changes_no_event(found: list[Any], inline: bool) -> None:
    quirks = INLINE if inline else None
    events = [json.dumps(value).encode() for value in found]
    first = PlainFirst()
    tried = [[first.decode("", data)] for data in events]
    whole = [[decode("", data)] for data in events]
    results = [run(items, quirks, limits=Limits(max_parts=20)) for items in (tried, whole)]
    assert results[0][0] == results[1][0]
    assert repr(results[0][1]) == repr(results[1][1])


def test_plain_chunks_are_decoded_as_such_and_others_tried_ever_more_seldom() -> None:
    text = b'{"choices":[{"index":0,"delta":{"content":"a"}}]}'
    other = b'{"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":[]}}]}'
    first = PlainFirst()
    assert type(first.decode("", text)) is chunk_module.PlainChunk
    assert type(first.decode("", other)) is chunk_module.ChatChunk
    kinds = [type(first.decode("", text)) for _ in range(3)]
    assert kinds == [chunk_module.ChatChunk, chunk_module.PlainChunk, chunk_module.PlainChunk]


def test_what_comes_before_any_choice_follows_the_start() -> None:
    cited = decode("", b'{"id":"i","citations":["https://a.example"]}')
    counted = decode("", b'{"id":"i","x_groq":{"usage":{"prompt_tokens":1}}}')
    for first in (cited, counted):
        events, error = run([[first, chunk({"content": "a"}, "stop"), Done()]])
        assert error is None
        assert type(events[0]) is MessageStart


def test_half_a_pair_in_a_name_is_mended() -> None:
    usage = '"usage":{"prompt_tokens":1,"cost":1e999,"x":"\\ud83d"}'
    odd = decode("", f'{{"id":"i\\ud83d","model":"m\\ud83d",{usage}}}'.encode())
    events, error = run([[odd, chunk({"content": "a"}, "stop"), Done()]])
    assert error is None
    result = fold(events)
    assert (result.provider_message_id, result.model) == ("i\ufffd", "m\ufffd")
    assert result.usage.raw == {"prompt_tokens": 1, "cost": None, "x": "\ufffd"}


# Usage, reasons, quirks


def test_usage_ledger() -> None:
    ledger = UsageLedger()
    assert ledger.take({"prompt_tokens": 5, "completion_tokens": None}) == Usage(
        input_tokens=5, raw={"prompt_tokens": 5, "completion_tokens": None}
    )
    details = {"cached_tokens": 2, "audio_tokens": 0}
    ledger.take({"completion_tokens": 1, "total_tokens": 6, "prompt_tokens_details": details})
    usage = ledger.take(
        {
            "prompt_tokens": None,
            "completion_tokens": 3,
            "total_tokens": 8,
            "prompt_tokens_details": {"cached_tokens": None},
            "completion_tokens_details": None,
        }
    )
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (5, 3, 8)
    assert usage.cached_input_tokens == 2
    assert ledger.take({"completion_tokens": 3}) is None


@pytest.mark.parametrize(
    ("raw", "field", "count"),
    [
        ({"prompt_cache_hit_tokens": 7}, "cached_input_tokens", 7),
        ({"cached_tokens": 7}, "cached_input_tokens", 7),
        ({"prompt_tokens_details": {"cache_write_tokens": 7}}, "cache_write_input_tokens", 7),
        ({"cache_creation_input_tokens": 7}, "cache_write_input_tokens", 7),
        ({"reasoning_tokens": 7}, "reasoning_tokens", 7),
        ({"input_tokens": 7}, "input_tokens", 7),
        ({"output_tokens": 0}, "output_tokens", 0),
        ({"prompt_tokens": "x"}, "input_tokens", None),
        ({"prompt_tokens": -1}, "input_tokens", None),
        ({"prompt_tokens": True}, "input_tokens", None),
    ],
)
def test_usage_names(raw: dict[str, Any], field: str, count: int | None) -> None:
    usage = UsageLedger().take(raw)
    assert getattr(usage, field) == count


def test_usage_in_every_position() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    in_choice = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": usage}]}
    places: list[list[ChatWire]] = [
        [chunk({"content": "a"}), chunk({}, "stop", usage=usage)],
        [chunk({"content": "a"}), chunk({}, "stop"), chunk(None, usage=usage)],
        [chunk({"content": "a"}), chunk({}, "stop"), chunk(None, choices=None, usage=usage)],
        [chunk({"content": "a"}), chunk({}, "stop", x_groq={"usage": usage})],
        [chunk({"content": "a"}), decode("", json.dumps(in_choice).encode())],
        [chunk({"content": "a"}, "stop", usage=usage)],
    ]
    for items in places:
        events, error = run([[*items, Done()]])
        assert error is None
        result = fold(events)
        assert (result.text, result.usage.total_tokens) == ("a", 3)
        assert result.raw_finish_reason == "stop"


def test_finish_reasons() -> None:
    assert read_reason("MAX_TOKENS") is FinishReason.LENGTH
    assert read_reason("anything else") is FinishReason.OTHER
    assert set(FINISH_REASONS.values()) == set(FinishReason) - {FinishReason.OTHER}


def test_quirks() -> None:
    wanted = "openai azure lmstudio vllm ollama llamacpp deepseek openrouter groq mistral xai"
    wanted += " together fireworks huggingface perplexity snowflake zai vercel"
    assert set(QUIRKS) == set(wanted.split())
    assert quirks_of("azure").genai_name == "azure.ai.openai"
    assert quirks_of("lmstudio").proxy
    assert not quirks_of("mistral").include_usage
    assert quirks_of("acme") == Quirks(genai_name="acme", needs_key=False)
    with pytest.raises(ConfigError):
        Quirks(reasoning_fields=("thoughts",))


# Recordings


def recordings(folder: Path) -> list[tuple[dict[str, Any], dict[str, Any], bytes]]:
    found = []
    for path in sorted(folder.glob("*.expected.json")):
        about = json.loads(path.with_name(path.name.replace(".expected", "")).read_bytes())
        if about["api"].startswith(("openai.chat", "openai.compat")):
            body = (folder / about["body_file"]).read_bytes()
            found.append((about, json.loads(path.read_bytes()), body))
    return found


def stated(expected: Mapping[str, Any]) -> dict[str, Any]:
    """What the recording states, in the terms of `told`."""
    names = ("text", "tool_calls", "stop_reason", "message_id", "model", "refusal", "choices")
    facts = {name: expected[name] for name in names if name in expected}
    thought = expected.get("reasoning", expected.get("reasoning_details_text"))
    if thought is not None:
        facts["reasoning"] = thought
    for name, count in expected.get("usage", {}).items():
        facts[f"usage.{name}"] = count
    facts["error"] = (expected.get("error") or {}).get("message")
    facts["partial"] = expected.get("partial", False)
    return facts


def told(events: Sequence[Event], error: StreamError | None, words: str | None) -> dict[str, Any]:
    result = fold(events)
    raw = result.usage.raw or {}
    said = words if error is not None and words is not None and words in str(error) else None
    return {
        "text": result.text,
        "reasoning": "".join(p.text for p in result.content if p.type == "reasoning"),
        "refusal": "".join(p.text for p in result.content if p.type == "refusal") or None,
        "tool_calls": [
            {"id": part.id, "name": part.name, "arguments": part.arguments}
            for part in result.tool_calls
        ],
        "stop_reason": result.raw_finish_reason,
        "message_id": result.provider_message_id or "",
        "model": result.model,
        "usage.input_tokens": raw.get("prompt_tokens"),
        "usage.output_tokens": raw.get("completion_tokens"),
        "usage.total_tokens": raw.get("total_tokens"),
        "usage.cached_tokens": result.usage.cached_input_tokens,
        "usage.cache_write_tokens": result.usage.cache_write_input_tokens,
        "usage.reasoning_tokens": result.usage.reasoning_tokens,
        "error": said if error is not None else None,
        "partial": error is not None,
    }


@pytest.mark.corpus
def test_recordings(corpus_dir: Path) -> None:
    found = recordings(corpus_dir)
    assert len(found) >= 49
    for about, expected, body in found:
        quirks = quirks_of(about["provider"])
        for payload in (about["request"].get("json") or {}, {}):
            events, error = run([read_items(body)], quirks, payload=payload, strict=True)
            facts = stated(expected)
            got = told(events, error, facts["error"])
            assert {name: got.get(name) for name in facts} == facts, about["id"]
            assert error is not None or all(c.complete for c in fold(events).tool_calls)


@pytest.mark.corpus
def test_recordings_in_pieces(corpus_dir: Path) -> None:
    random = Random(7)
    for about, _, body in recordings(corpus_dir):
        items = read_items(body)
        whole_run = run([items])
        at = sorted(random.sample(range(1, len(body)), 40))
        assert read_items(body, at) == items, about["id"]
        if len(body) <= 8_192:
            assert read_items(body, range(1, len(body))) == items, about["id"]
        batches = [items[start : start + 3] for start in range(0, len(items), 3)]
        assert run(batches)[0] == whole_run[0], about["id"]


def test_usual_chunks_take_the_fast_way() -> None:
    """The fast way and the long way give the same events."""
    plain = [chunk({"content": text}) for text in "abc"]
    # An empty refusal keeps nothing from the fast way, empty logprobs do.
    slow = [chunk({"content": text}, usage={}) for text in "abc"]
    end = [chunk({}, "stop"), Done()]
    assert run([[*plain, *end]]) == run([[*slow, *end]])
    thoughts = [chunk({"reasoning": text}) for text in "abc"]
    events, _ = run([[*thoughts, *plain, *end]])
    assert [type(event) for event in events[:3]] == [MessageStart, PartStart, ReasoningDelta]
    assert sum(type(event) is TextDelta for event in events) == 3
