"""Every stated field counts; what is not stated does not."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tokenline.stage import StepContext
from tokenline_stages.conformance.expectation import differences, not_compared
from tokenline_stages.conformance.playing import Reading, play
from tokenline_stages.conformance.wiring import wire

from .conftest import HELLO, HELLO_EXPECTED

DATA = Path(__file__).parents[2] / "data"


def read(api: str, body: bytes | str) -> Reading:
    data = body if isinstance(body, bytes) else (DATA / body).read_bytes()
    return play(wire(api).api, [data], StepContext("m"))


def fields(expected: dict[str, Any], reading: Reading, api: str = "openai.chat") -> list[str]:
    return [field for field, _, _ in differences(expected, reading, api)]


# What each stream of tests/data holds, read by hand.
VECTORS: dict[str, tuple[str, str | bytes, dict[str, Any]]] = {
    "chat": ("openai.chat", HELLO, HELLO_EXPECTED),
    "messages": (
        "anthropic.messages",
        "anthropic/full_turn.sse",
        {
            "text": "Hello",
            "reasoning": "Let me think",
            "tool_calls": [
                {"id": "toolu_s", "name": "search", "arguments": '{"q": "a"}'},
                {"id": "toolu_g", "name": "grep", "arguments": '{"p":1}'},
            ],
            "arguments_are": "JSON",
            "stop_reason": "tool_use",
            "message_id": "msg_hand_1",
            "model": "claude-hand",
            "blocks": ["thinking", "redacted_thinking", "text", "tool_use", "tool_use"],
            "redacted_thinking_blocks": 1,
            "thought_signatures": 1,
            "usage": {
                "input_tokens": 100,
                "output_tokens": 57,
                "cached_tokens": 40,
                "cache_write_tokens": 5,
            },
        },
    ),
    "server tools": (
        "anthropic.messages",
        "anthropic/server_tools.sse",
        {
            "text": "High tide is at six.",
            "tool_calls": [],
            "stop_reason": "pause_turn",
            "citations_count": 1,
            "blocks": [
                "compaction",
                "server_tool_use",
                "web_search_tool_result",
                "text",
                "mcp_tool_use",
                "mcp_tool_result",
                "container_upload",
            ],
        },
    ),
    "responses": (
        "openai.responses",
        "openai_responses/filtered.sse",
        {
            "text": "I can",
            "stop_reason": "incomplete",
            "incomplete_reason": "content_filter",
            "message_id": "resp_1",
            "model": "gpt-test",
            "items": ["message"],
            "usage": {
                "input_tokens": 40,
                "output_tokens": 30,
                "total_tokens": 70,
                "cached_tokens": 12,
                "cache_write_tokens": 3,
                "reasoning_tokens": 9,
            },
        },
    ),
    "failed response": (
        "openai.responses",
        "openai_responses/failed.sse",
        {
            "text": "Half an ans",
            "stop_reason": "failed",
            "items": ["message", "function_call"],
            "error": {"code": "server_error", "message": "The server had an error while"},
            "partial": True,
        },
    ),
    "choices": (
        "openai.chat",
        "openai_chat/two_choices.sse",
        {
            "text": "abc",
            "stop_reason": "stop",
            "choices": [
                {"index": 0, "text": "abc", "stop_reason": "stop", "tool_calls": []},
                {
                    "index": 1,
                    "content": "xy",
                    "finish_reason": "tool_calls",
                    "tool_calls": [{"id": "call_1", "name": "f", "arguments": "{}"}],
                },
            ],
        },
    ),
    "refusal": ("openai.chat", "openai_chat/refusal.sse", {"refusal": "I can't do that."}),
    "error": (
        "openai.chat",
        "openai_chat/error_inside.sse",
        {
            "text": "Half an ans",
            "error": {"message": "The server had an error", "type": "server_error"},
            "partial": True,
        },
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_what_a_stream_holds(name: str) -> None:
    api, body, expected = VECTORS[name]
    assert list(differences(expected, read(api, body), api)) == []
    assert not_compared(expected) == []


def altered(expected: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The expectation with one value changed, in every possible place."""
    found: list[tuple[str, dict[str, Any]]] = []

    def walk(value: Any, path: tuple[Any, ...]) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, (*path, key))
        elif isinstance(value, list) and value:
            for index, inner in enumerate(value):
                walk(inner, (*path, index))
        else:
            other = deepcopy(expected)
            target: Any = other
            for key in path[:-1]:
                target = target[key]
            target[path[-1]] = change(value, path[-1])
            found.append((".".join(map(str, path)), other))

    for name in expected.keys() - {"oracle", "arguments_are", "partial"}:
        walk(expected[name], (name,))
    return found


def change(value: Any, key: Any) -> Any:
    if key == "arguments":
        return '{"other":1}'
    if key == "index":
        return 5
    if isinstance(value, str):
        return f"{value}x"
    return value + 1 if isinstance(value, int) else [{"id": "a", "name": "b", "arguments": ""}]


@pytest.mark.parametrize("name", VECTORS)
def test_every_stated_value_counts(name: str) -> None:
    api, body, expected = VECTORS[name]
    reading = read(api, body)
    found = altered(expected)
    assert found
    for place, other in found:
        if name == "failed response" and place == "error.message":
            continue  # the code is in the words
        assert fields(other, reading, api), place


@pytest.mark.parametrize("name", VECTORS)
def test_absent_fields_are_unknown(name: str) -> None:
    api, body, expected = VECTORS[name]
    reading = read(api, body)
    for field in expected.keys() - {"error", "partial", "arguments_are"}:
        rest = {key: value for key, value in expected.items() if key != field}
        assert fields(rest, reading, api) == []


def test_nulls_are_unknown() -> None:
    call = {"id": None, "name": "f", "arguments": "{}"}
    other = VECTORS["choices"][2]["choices"][1] | {"tool_calls": [call], "content": None}
    expected = {
        "choices": [{"index": 0}, other],
        "reasoning": None,
        "usage": {"input_tokens": None},
    }
    assert fields(expected, read("openai.chat", "openai_chat/two_choices.sse")) == []


def test_arguments_are_text_unless_it_says_otherwise() -> None:
    api, body, expected = VECTORS["messages"]
    exact = {key: value for key, value in expected.items() if key != "arguments_are"}
    found = ["tool_calls[0].arguments", "tool_calls[1].arguments"]
    assert fields(exact, read(api, body), api) == found


def test_calls_of_the_provider_count_where_they_are_stated() -> None:
    api, body, _ = VECTORS["server tools"]
    call = {"id": "srvtoolu_1", "name": "web_search", "arguments": '{"query": "tide"}'}
    assert fields({"tool_calls": [call]}, read(api, body), api) == []
    assert fields({"tool_calls": [call | {"id": "x"}]}, read(api, body), api) == ["tool_calls"]


def test_custom_calls_count_where_they_are_stated() -> None:
    reading = read("openai.chat", "openai_chat/custom_tool.sse")
    call = {"id": "call_1", "name": "shell", "arguments": "ls { -l"}
    assert fields({"tool_calls": [call]}, reading) == []
    assert fields({"tool_calls": [call | {"name": "sh"}]}, reading) == ["tool_calls[0].name"]
    assert fields({"tool_calls": []}, reading) == []


@pytest.mark.parametrize(
    ("body", "expected", "found"),
    [
        (HELLO, {"partial": True}, ["partial"]),
        (HELLO, {"error": {"message": "no"}}, ["partial"]),
        ("openai_chat/error_inside.sse", {}, ["error"]),
        ("openai_chat/error_inside.sse", {"partial": False}, ["error"]),
        ("openai_chat/error_inside.sse", {"error": "The server had an error"}, []),
        (
            "openai_chat/error_inside.sse",
            {"error": "The server had an error", "partial": False},
            ["partial"],
        ),
        (
            "openai_chat/error_inside.sse",
            {"error": "The server had an error", "partial": True},
            [],
        ),
        ("openai_chat/error_inside.sse", {"error": {"code": "rate_limit"}}, ["error"]),
        ("openai_chat/error_inside.sse", {"error": {"message": "no"}}, ["error"]),
        # A body that stops: that is an error only if something says that it had an end.
        ("openai_chat/broken_off.sse", {}, []),
        ("openai_chat/broken_off.sse", {"partial": True}, []),
        ("openai_chat/broken_off.sse", {"partial": False}, ["error"]),
        ("openai_chat/broken_off.sse", {"partial": None, "stop_reason": None}, []),
        ("openai_chat/broken_off.sse", {"error": {"message": "x"}}, ["error"]),
        ("openai_chat/broken_off.sse", {"stop_reason": "stop"}, ["error", "stop_reason"]),
        # Nothing at all is an error unless nothing at all is stated.
        (b"data: [DONE]\n\n", {"text": "", "tool_calls": []}, []),
        (b"data: [DONE]\n\n", {"text": "x"}, ["error", "text"]),
        (b"data: {\n\n", {}, ["error"]),
    ],
)
def test_endings(body: bytes | str, expected: dict[str, Any], found: list[str]) -> None:
    assert fields(expected, read("openai.chat", body)) == found


def test_a_failed_response_may_say_so_by_its_status() -> None:
    reading = read("openai.responses", "openai_responses/failed.sse")
    assert fields({"stop_reason": "failed"}, reading, "openai.responses") == []
    assert fields({"stop_reason": "completed"}, reading, "openai.responses") == [
        "error",
        "stop_reason",
    ]


def test_an_error_with_the_code_in_its_words() -> None:
    reading = read("openai.responses", "openai_responses/failed.sse")
    words = {"error": {"error": {"message": "An error occurred (server_error): no"}}}
    assert fields(words, reading, "openai.responses") == []


def test_an_undocumented_exception_is_a_failure() -> None:
    good = read("openai.chat", HELLO)
    bad = Reading(good.events, KeyError("x"), good.result)
    assert fields({"partial": True}, bad) == ["error"]
    assert fields({"error": {"message": "x"}}, bad) == ["error", "error"]


def test_details_of_reasoning_may_be_all_of_it_or_one_kind() -> None:
    reading = read("openai.chat", HELLO)
    assert fields({"reasoning_details_text": "Hm."}, reading) == []
    assert fields({"reasoning_details_text": "Hm"}, reading) == ["reasoning_details_text"]


def test_choices_may_be_a_number_or_texts() -> None:
    reading = read("openai.chat", "openai_chat/two_choices.sse")
    for stated, found in (
        (2, []),
        (3, ["choices"]),
        (["abc", "xy"], []),
        (["abc", "x"], ["choices[1].text"]),
        ([{"index": 0}, {"index": 7}], ["choices[7]"]),
    ):
        assert fields({"choices": stated}, reading) == found


def test_fields_that_no_event_answers_for_are_named() -> None:
    assert not_compared({"text": "", "chunks": 1, "novel": 2}) == ["chunks", "novel"]
