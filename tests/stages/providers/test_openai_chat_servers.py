"""Chat Completions: what single servers do that no other does."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tokenline.errors import StreamError
from tokenline.events import Event, Finish, FinishReason, UsageUpdate
from tokenline.result import Result, ToolCall
from tokenline.stage import StepContext
from tokenline_stages.accumulator import Accumulator
from tokenline_stages.providers.openai_chat import ChatNormalizer, decode
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
