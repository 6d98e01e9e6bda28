"""Chat Completions: what single servers do that no other does."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tokenline.errors import MalformedStreamError, ProviderError, StreamError, UnknownEventError
from tokenline.events import Event, Finish, FinishReason, UnknownEvent, UsageUpdate
from tokenline.result import BlockPart, ReasoningPart, Result, ToolCall
from tokenline.stage import RawChunk, StepContext
from tokenline_stages.accumulator import Accumulator
from tokenline_stages.providers.openai_chat import ChatNormalizer, decode
from tokenline_stages.providers.openai_chat.api import chat_api
from tokenline_stages.wire.items import Done


def run(*chunks: dict[str, Any], **context: Any) -> tuple[list[Event], StreamError | None]:
    step = ChatNormalizer(StepContext("m", **context), "hand")
    events: list[Event] = []
    try:
        step.feed([*(decode("", json.dumps(c).encode()) for c in chunks), Done()], 0, events)
        step.finish(0, events)
    except StreamError as error:
        return events, error
    return events, None


def fold(events: Sequence[Event]) -> Result:
    accumulator = Accumulator("m")
    accumulator.feed(events, 0, [])
    return accumulator.snapshot()


def result(*chunks: dict[str, Any]) -> Result:
    events, error = run(*chunks)
    assert error is None
    return fold(events)


def chunk(
    delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any
) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish, **more}
    return {"id": "c", "model": "m", "choices": [choice]}


def call(
    index: int, id: str | None = None, name: str | None = None, arguments: str = ""
) -> dict[str, Any]:
    fragment = {"index": index, "id": id, "function": {"name": name, "arguments": arguments}}
    return chunk({"tool_calls": [fragment]})


def calls(found: Result) -> list[tuple[str, str, str, bool]]:
    parts = [part for part in found.content if isinstance(part, ToolCall)]
    return [(part.id, part.name, part.arguments, part.complete) for part in parts]


def closing(finish: str, **message: Any) -> dict[str, Any]:
    return {
        "id": "c",
        "choices": [{"index": 0, "finish_reason": finish, "message": message}],
        "object": "chat.completion",
        "usage": {"prompt_tokens": 3, "completion_tokens": 6, "total_tokens": 9},
    }


def test_a_whole_message_after_deltas_is_passed_over() -> None:
    events, error = run(
        chunk({"content": "Good "}),
        chunk({"content": "day"}),
        chunk({"content": ""}, "stop"),
        closing("stop", role="assistant", content="Good day"),
    )
    assert error is None
    assert fold(events).text == "Good day"
    assert [e.reason for e in events if isinstance(e, Finish)] == [FinishReason.STOP]
    assert [e.usage.output_tokens for e in events if isinstance(e, UsageUpdate)] == [6]


def test_a_whole_message_does_not_repeat_tool_calls() -> None:
    whole = {"id": "a", "function": {"name": "find", "arguments": '{"n":1}'}}
    found = result(
        call(0, "a", "find", '{"n":1}'),
        closing("tool_calls", role="assistant", content="", tool_calls=[whole]),
    )
    assert calls(found) == [("a", "find", '{"n":1}', True)]
    assert found.finish_reason is FinishReason.TOOL_CALLS


def test_a_whole_message_alone_is_the_answer() -> None:
    assert result(chunk({"role": "assistant"}), closing("stop", content="All")).text == "All"


@pytest.mark.parametrize("second", ["grep", "find"])
def test_one_id_on_two_indices_is_two_calls(second: str) -> None:
    found = result(
        call(0, "a", "find"),
        call(1, "a", second),
        call(0, arguments='{"n":1}'),
        call(1, arguments='{"n":2}'),
        chunk(finish="tool_calls"),
    )
    assert calls(found) == [("a", "find", '{"n":1}', True), ("call_1", second, '{"n":2}', True)]


def test_one_id_on_two_indices_with_arguments_begun() -> None:
    found = result(
        call(0, "a", "find", '{"n":'),
        call(1, "a", "find", '{"n":'),
        call(0, arguments="1}"),
        call(1, arguments="2}"),
        chunk(finish="tool_calls"),
    )
    assert [row[2] for row in calls(found)] == ['{"n":1}', '{"n":2}']


# Unknown and rare fields

KNOWN_FIELDS = {
    "id": "c",
    "object": "chat.completion.chunk",
    "created": 1,
    "service_tier": "default",
    "system_fingerprint": "f",
    "obfuscation": "xx",
    "provider": "p",
    "x_groq": {"id": "r"},
    "timings": {"prompt_n": 1},
    "prompt_filter_results": [{"prompt_index": 0}],
}


def run_as_wired(*chunks: dict[str, Any], **options: Any) -> tuple[list[Event], StreamError | None]:
    api, context = chat_api("openai"), StepContext("m", **options)
    items: list[Any] = []
    events: list[Event] = []
    parser, step = api.parser().open(context), api.normalizer().open(context)
    body = b"".join(b"data: %s\n\n" % json.dumps(c).encode() for c in chunks)
    parser.feed([RawChunk(body + b"data: [DONE]\n\n")], 0, items)
    try:
        step.feed(items, 0, events)
    except StreamError as error:
        return events, error
    return events, None


def unknown_chunks() -> list[dict[str, Any]]:
    odd = chunk({"content": "b", "weird": {"a": 1}}, odder=[2])
    return [chunk({"content": "a"}), {**odd, "oddest": 3}, chunk({}, "stop")]


def test_unknown_fields_are_passed_on() -> None:
    events, error = run_as_wired(*unknown_chunks(), pass_unknown=True)
    assert error is None
    assert [(e.type, e.data) for e in events if isinstance(e, UnknownEvent)] == [
        ("oddest", b"3"),
        ("choices.odder", b"[2]"),
        ("choices.delta.weird", b'{"a":1}'),
    ]
    assert fold(events).text == "ab"


def test_unknown_fields_are_refused_by_name() -> None:
    *_, odd, end = unknown_chunks()
    del odd["oddest"], odd["choices"][0]["odder"]
    events, error = run_as_wired(odd, end, strict=True)
    assert isinstance(error, UnknownEventError)
    assert "choices.delta.weird" in str(error)
    assert fold(events).text == "b"


@pytest.mark.parametrize("options", [{}, {"strict": True}, {"pass_unknown": True}])
def test_known_and_empty_fields_say_nothing(options: dict[str, bool]) -> None:
    filtered: dict[str, Any] = {
        "content_filter_results": {"hate": {"filtered": False}},
        "later": None,
    }
    first = {**chunk({"role": "assistant", "content": "a"}, None, **filtered), **KNOWN_FIELDS}
    events, error = run_as_wired(first, chunk({}, "stop"), **options)
    assert error is None
    assert not [event for event in events if isinstance(event, UnknownEvent)]
    assert fold(events).text == "a"


def test_unknown_fields_cost_nothing_unless_asked_for() -> None:
    events, error = run_as_wired(*unknown_chunks())
    assert error is None
    assert fold(events).text == "ab"


def test_reasoning_text_is_reasoning() -> None:
    found = result(
        chunk({"reasoning_text": "so "}),
        chunk({"reasoning_text": "it is"}),
        chunk({"content": "x"}),
        chunk({"content": "y", "reasoning_text": "hm"}),
        chunk(finish="stop"),
    )
    assert [part.text for part in found.content if isinstance(part, ReasoningPart)] == [
        "so it is",
        "hm",
    ]
    assert found.text == "xy"


@pytest.mark.parametrize(("said", "stop"), [("END", "END"), (128009, None), (None, None)])
def test_stop_reason_is_the_stop_sequence(said: object, stop: str | None) -> None:
    events, _ = run(chunk({"content": "a"}), chunk({}, "stop", stop_reason=said))
    assert [e.stop_sequence for e in events if isinstance(e, Finish)] == [stop]


def test_text_of_the_older_api() -> None:
    choices = [{"index": 0, "text": "Once "}, {"index": 0, "text": "more", "finish_reason": "stop"}]
    assert result(*({"id": "c", "choices": [choice]} for choice in choices)).text == "Once more"


def test_moderation_beside_content_is_kept() -> None:
    found = result(
        chunk({"content": "a"}),
        {**chunk({"content": "b"}), "moderation": {"flagged": False}},
        chunk(finish="stop"),
    )
    assert found.text == "ab"
    assert [part.block_type for part in found.content if isinstance(part, BlockPart)] == [
        "moderation"
    ]


# Reasoning in details and in lists


def detail(kind: str, index: int | None = None, **fields: str) -> dict[str, Any]:
    return {"type": f"reasoning.{kind}", "index": index, "id": None, **fields}


def thoughts(*deltas: dict[str, Any]) -> list[tuple[Any, ...]]:
    found = result(*map(chunk, deltas), chunk({"content": "x"}), chunk(finish="stop"))
    parts = [part for part in found.content if isinstance(part, ReasoningPart)]
    return [(str(part.kind), part.text, part.signature, part.data) for part in parts]


@pytest.mark.parametrize("apart", [False, True])
def test_encrypted_details_of_other_indices_are_parts(apart: bool) -> None:
    details = [detail("encrypted", n, data=f"E{n}") for n in range(3)]
    deltas = [[one] for one in details] if apart else [details]
    assert thoughts(*({"reasoning_details": some} for some in deltas)) == [
        ("encrypted", "", None, f"E{n}") for n in range(3)
    ]


def test_encrypted_details_of_one_index_are_one_part() -> None:
    details = [detail("encrypted", 0, data="E"), detail("encrypted", 0, data="F")]
    assert thoughts({"reasoning_details": details}) == [("encrypted", "", None, "EF")]


@pytest.mark.parametrize("index", [1, None])
def test_redacted_block_after_signed_text_is_a_part(index: int | None) -> None:
    signed = detail("text", 0, text="A", signature="S")
    hidden = detail("encrypted", index, data="R")
    expected = [("native", "A", "S", None), ("encrypted", "", None, "R")]
    assert thoughts({"reasoning_details": [signed, hidden]}) == expected
    deltas = [{"reasoning_details": [one]} for one in (signed, hidden)]
    assert thoughts(*deltas) == expected


def test_a_signature_of_another_index_is_a_part() -> None:
    first = detail("text", 0, text="A", signature="S")
    second = detail("text", 1, signature="T")
    assert thoughts({"reasoning_details": [first]}, {"reasoning_details": [second]}) == [
        ("native", "A", "S", None),
        ("native", "", "T", None),
    ]


def test_a_part_learns_its_number() -> None:
    deltas = [{"reasoning_details": [detail("encrypted", n, data=f"E{n}")]} for n in (0, 1)]
    assert thoughts({"reasoning": "A"}, *deltas) == [
        ("native", "A", None, "E0"),
        ("encrypted", "", None, "E1"),
    ]


def test_summaries_in_a_content_list_are_one_part() -> None:
    def piece(text: str, signature: str = "") -> dict[str, Any]:
        summary = {"type": "summary_text", "text": text, "signature": signature}
        return {"content": [{"type": "reasoning", "summary": [summary]}]}

    assert thoughts(piece("Let "), piece("me"), piece("", "S")) == [
        ("summary", "Let me", "S", None)
    ]


# Tool calls


@pytest.mark.parametrize("arguments", [":1", "null", "1", "true", '{"n":}', '{"n":1]', "{'n':1}"])
def test_arguments_that_are_no_json_are_incomplete(arguments: str) -> None:
    found = result(call(0, "a", "find", arguments), chunk(finish="tool_calls"))
    assert calls(found) == [("a", "find", arguments, False)]


@pytest.mark.parametrize("arguments", ["", " ", "{}", '{"n":"a\nb"}', '"{}"', "[1]"])
def test_whole_arguments_are_complete(arguments: str) -> None:
    found = result(call(0, "a", "find", arguments), chunk(finish="tool_calls"))
    assert calls(found) == [("a", "find", arguments, True)]


def test_a_new_id_on_every_fragment_is_one_call() -> None:
    fragments = ['{"n"', ':{"', 'k":', "1}}"]
    found = result(
        *(call(0, f"id{n}", "find", text) for n, text in enumerate(fragments)),
        call(0, "other", "find", '{"n":2}'),
        chunk(finish="tool_calls"),
    )
    assert calls(found) == [
        ("id0", "find", '{"n":{"k":1}}', True),
        ("other", "find", '{"n":2}', True),
    ]


def test_a_tool_name_without_end_is_refused() -> None:
    _, error = run(*(call(0, "a", "n") for _ in range(1_030)))
    assert error is None  # repeated, not continued
    _, error = run(*(call(0, "a", f"{n:04}") for n in range(300)))
    assert isinstance(error, MalformedStreamError)


# Errors


@pytest.mark.parametrize(
    ("said", "message", "code"),
    [
        ({"base_resp": {"status_code": 1008, "status_msg": "no funds"}}, "no funds", "1008"),
        (
            {"choices": [], "base_resp": {"status_code": 1002, "status_msg": "slow down"}},
            "slow down",
            "1002",
        ),
        ({"error_code": 336100, "error_msg": "too busy"}, "too busy", "336100"),
        ({"errors": [{"message": "went wrong", "code": 7}]}, "went wrong", "7"),
        ({"errors": ["went wrong"]}, "went wrong", None),
        ({"error": [{"message": "went wrong"}]}, "went wrong", None),
        ({"error": True, "message": "Internal"}, "Internal", None),
        ({"error": True}, '{"error":true}', None),
    ],
)
def test_errors_of_single_servers(said: dict[str, Any], message: str, code: str | None) -> None:
    events, error = run(chunk({"content": "half"}), said)
    assert isinstance(error, ProviderError)
    assert message in str(error)
    assert error.code == code
    assert fold(events).text == "half"


def test_a_base_resp_of_zero_is_no_error() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1}
    base = {"status_code": 0, "status_msg": ""}
    end = {"id": "c", "choices": [], "usage": usage, "base_resp": base}
    found = result(chunk({"content": "a"}), chunk(finish="stop"), end)
    assert found.usage.output_tokens == 1
