"""The JSON of every message, byte for byte, and what the documentation says of it."""

import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from tests.stages.message_view.script import Script, noon, show

from tokenline.errors import RateLimitError
from tokenline.events import FinishReason, Ping, ReasoningKind, Reset, ToolKind
from tokenline.stage import StepContext
from tokenline_stages.message_view import (
    STOP_REASONS,
    Message,
    MessageView,
    MessageViewOptions,
    StopReason,
    decode_message,
    encode_message,
)
from tokenline_stages.message_view.failures import _KINDS
from tokenline_stages.message_view.messages import MessageType

TESTS = Path(__file__).parents[2]
SNAPSHOT = (TESTS / "data" / "message_view" / "messages.ndjson").read_bytes().splitlines()
DOCUMENT = (TESTS.parent / "docs" / "message-view.md").read_text()
COMMON = {"id", "date", "otid", "seq_id", "run_id", "step_id", "name", "sender_id", "is_err"}


def full_response() -> list[Message]:
    script = (
        Script()
        .add(Ping)
        .reasoning("Let me think", signature=["U0lH"])
        .reasoning(data=["RU5D"], kind=ReasoningKind.REDACTED)
        .reasoning(kind=ReasoningKind.OMITTED)
        .text('Hi, "yo"\n')
        .refusal("No.")
        .call("search", '{"q":"a"}')
        .call("grep", '{"p": 1}')
        .call("now")
        .call("write", '{"te', complete=False)
        .call("look", '{"thinking":"why","q":2}')
        .call("web_search", "{}", kind=ToolKind.SERVER)
        .usage(
            input_tokens=145,
            output_tokens=57,
            cached_input_tokens=40,
            cache_write_input_tokens=5,
            reasoning_tokens=0,
        )
        .end(FinishReason.TOOL_CALLS, "tool_use")
    )
    options = MessageViewOptions(
        requires_approval_tools=frozenset({"grep"}), inner_thoughts_key="thinking"
    )
    return show(script.events, options)[0]


def failed_response() -> list[Message]:
    view = MessageView(StepContext("turn-7"), now=noon)
    out: list[Message] = []
    view.feed([Reset(0, 0, "turn-7", 2)], 0, out)
    text = "openai: too many requests (429); wait and send it again"
    view.fail(RateLimitError(text, status=429, code="rate_limit_exceeded"), 0, out)
    return out


def test_json_of_every_message() -> None:
    messages = full_response() + failed_response()
    assert [encode_message(message) for message in messages] == SNAPSHOT
    assert [decode_message(line) for line in SNAPSHOT] == messages
    types = {msgspec.json.decode(line)["message_type"] for line in SNAPSHOT}
    assert types == set(get_args(MessageType))


def test_every_field_is_always_written() -> None:
    shapes: dict[str, set[frozenset[str]]] = {}
    for line in SNAPSHOT:
        fields = msgspec.json.decode(line)
        assert fields.keys() >= COMMON
        shapes.setdefault(fields["message_type"], set()).add(frozenset(fields))
    assert all(len(keys) == 1 for keys in shapes.values())
    # Calls and requests for approval look the same, down to the fragment.
    assert shapes["tool_call_message"] == shapes["approval_request_message"]
    calls = [msgspec.json.decode(line).get("tool_call") for line in SNAPSHOT]
    assert {frozenset(call) for call in calls if call} == {
        frozenset({"name", "arguments", "tool_call_id"})
    }


def test_unknown_fields_are_passed_over() -> None:
    line = SNAPSHOT[0].replace(b'"name":null', b'"name":null,"new":[1]')
    assert decode_message(line) == decode_message(SNAPSHOT[0])
    with pytest.raises(msgspec.ValidationError):
        decode_message(b'{"message_type":"tool_return_message"}')


def fields_of(kind: Any) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)}


@pytest.mark.parametrize("kind", get_args(Message), ids=lambda kind: str(kind.__name__))
def test_every_type_and_field_is_documented(kind: Any) -> None:
    (row,) = re.findall(rf"^\| `{kind.__struct_config__.tag}` \|(.*)\|$", DOCUMENT, re.MULTILINE)
    missing = {field for field in fields_of(kind) - COMMON if f"`{field}`" not in row}
    assert missing == set()


def test_ids_reasons_and_errors_are_documented() -> None:
    assert {name for name in COMMON if f"| `{name}` |" not in DOCUMENT} == set()
    for reason, stop in STOP_REASONS.items():
        assert re.search(rf"^\| `{reason.value}` \| `{stop.value}`", DOCUMENT, re.MULTILINE)
    for stop, error_type in _KINDS.values():
        assert f"`{stop.value}`" in DOCUMENT
        assert f"`{error_type}`" in DOCUMENT or stop is StopReason.CANCELLED
    for name in MessageViewOptions.model_fields:
        assert f"`{name}`" in DOCUMENT
