"""Compares what a response gave with what its recording says it holds.

Expectations come from other readers of the same bytes, so they say what those saw: a field that
is absent is unknown. `FIELDS` and `SPECIAL` list what is compared; other fields are left alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenline.errors import EmptyResponseError, ProviderError, StreamCutError, StreamError
from tokenline.events import MessageEnd, MessageStart, ReasoningKind, ReasoningSignature, ToolKind
from tokenline.result import Answer, Choice, ReasoningPart, Result, ToolCall

from .block_names import content_blocks, output_items
from .playing import Reading
from .usage_meaning import own_counts

_FAILED = frozenset({"failed", "cancelled"})
_CODES = ("code", "type", "status")
_OBJECT_ARGUMENTS = ("gemini", "ollama")


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that is not as it should be.

    Attributes:
        recording: name of the recording.
        check: which reading of it: `whole`, `cut with seed 3`, `byte by byte`, `http`.
        field: what differs.
        expected: what was expected.
        got: what was there.
    """

    recording: str
    check: str
    field: str
    expected: Any
    got: Any

    def __str__(self) -> str:
        from .report import failure_line

        return failure_line(self)


Difference = tuple[str, Any, Any]
"""Field, expected, got."""


def differences(expected: Mapping[str, Any], reading: Reading, api: str) -> Iterator[Difference]:
    """Where a reading is not what its expectation states.

    Args:
        expected: the expectation.
        reading: what the response gave.
        api: wire API, as the recording names it.
    """
    yield from _ending(expected, reading)
    for name, read in FIELDS.items():
        if expected.get(name) is not None:
            got = read(reading)
            if got != expected[name]:
                yield name, expected[name], got
    as_json = "arguments_are" in expected or api.startswith(_OBJECT_ARGUMENTS)
    for name, compare in SPECIAL.items():
        if expected.get(name) is not None:
            yield from compare(expected, reading, as_json)


def not_compared(expected: Mapping[str, Any]) -> list[str]:
    """Fields that are stated and cannot be compared with events."""
    known = FIELDS.keys() | SPECIAL.keys() | _NOTES
    return sorted(name for name in expected if name not in known)


# --- one value each --------------------------------------------------------------------------


def _start(reading: Reading) -> MessageStart | None:
    return next((event for event in reading.events if type(event) is MessageStart), None)


def _stop_reason(reading: Reading) -> str | None:
    """The status of the whole response where it has one beside the reason, else the reason."""
    end = next((event for event in reading.events if type(event) is MessageEnd), None)
    if end is not None:
        return end.raw_reason
    return reading.result.raw_finish_reason


def _message_id(reading: Reading) -> str:
    start = _start(reading)
    return (start.provider_message_id if start is not None else None) or ""


def _model(reading: Reading) -> str:
    start = _start(reading)
    return (start.model if start is not None else None) or ""


def _citations_count(reading: Reading) -> int:
    return sum(len(part.citations) for choice in reading.result.choices for part in choice.content)


def _reasoning_parts(result: Result, kind: ReasoningKind) -> list[str]:
    return [part.text for part in result.parts(ReasoningPart) if part.kind is kind]


FIELDS: dict[str, Callable[[Reading], Any]] = {
    "text": lambda reading: reading.result.text,
    "reasoning": lambda reading: reading.result.reasoning,
    "refusal": lambda reading: reading.result.refusal,
    "message_id": _message_id,
    "model": _model,
    "stop_reason": _stop_reason,
    "incomplete_reason": lambda reading: reading.result.raw_finish_reason,
    "citations_count": _citations_count,
    "items": lambda reading: output_items(reading.result),
    "blocks": lambda reading: content_blocks(reading.result),
    "reasoning_summary_parts": lambda reading: _reasoning_parts(
        reading.result, ReasoningKind.SUMMARY
    ),
    "reasoning_text_parts": lambda reading: _reasoning_parts(reading.result, ReasoningKind.NATIVE),
    "redacted_thinking_blocks": lambda reading: len(
        [p for p in reading.result.parts(ReasoningPart) if p.kind is ReasoningKind.REDACTED]
    ),
    "thought_signatures": lambda reading: sum(
        type(event) is ReasoningSignature for event in reading.events
    ),
}
"""Fields that one value answers for."""


# --- the end ---------------------------------------------------------------------------------


def _ending(expected: Mapping[str, Any], reading: Reading) -> Iterator[Difference]:
    error = reading.error
    if error is not None and not isinstance(error, StreamError):
        yield "error", "a documented exception", f"{type(error).__name__}: {error}"
    elif expected.get("error") is not None or expected.get("partial"):
        if error is None:
            yield "partial", True, False
        elif expected.get("partial") is False:
            yield "partial", False, True
    elif error is not None and not _is_stated_otherwise(expected, error):
        yield "error", None, f"{type(error).__name__}: {error}"


def _is_stated_otherwise(expected: Mapping[str, Any], error: StreamError) -> bool:
    """Whether the error says no more than the expectation does without naming an error."""
    if expected.get("partial") is not None:
        return False
    if isinstance(error, StreamCutError):
        return expected.get("stop_reason") is None
    if isinstance(error, EmptyResponseError):
        content = ("text", "reasoning", "tool_calls", "refusal", "blocks", "items")
        return not any(expected.get(name) for name in content)
    return isinstance(error, ProviderError) and expected.get("stop_reason") in _FAILED


def _compare_error(
    expected: Mapping[str, Any], reading: Reading, as_json: bool
) -> Iterator[Difference]:
    """The provider's words and code; an SDK may have put the code into the words."""
    stated, error = expected["error"], reading.error
    if error is None:
        return
    inner = stated.get("error", stated) if isinstance(stated, Mapping) else stated
    about = inner if isinstance(inner, Mapping) else {"message": inner}
    words = str(about.get("message") or "")
    has_words = words in str(error) or (getattr(error, "code", None) or "\0") in words
    if not isinstance(error, ProviderError) or not (has_words and _same_code(about, error)):
        yield "error", stated, f"{type(error).__name__}: {error}"


def _same_code(about: Mapping[str, Any], error: ProviderError) -> bool:
    codes = {str(about[name]) for name in _CODES if about.get(name) is not None}
    return not codes or error.code is None or not codes.isdisjoint((error.code, str(error.status)))


# --- several values --------------------------------------------------------------------------


def _compare_usage(
    expected: Mapping[str, Any], reading: Reading, as_json: bool
) -> Iterator[Difference]:
    got = own_counts(reading.result.usage.raw)
    for name, count in expected["usage"].items():
        if count is not None and name in got and got[name] != count:
            yield f"usage.{name}", count, got[name]


def _compare_calls(
    expected: Mapping[str, Any], reading: Reading, as_json: bool
) -> Iterator[Difference]:
    yield from _calls("tool_calls", expected["tool_calls"], reading.result, as_json)


def _calls(
    field: str, stated: Sequence[Mapping[str, Any]], answer: Answer, as_json: bool
) -> Iterator[Difference]:
    """Calls of functions; those of other kinds, where they are stated.

    Not every reader lists custom tools and what the provider runs itself as tool calls.
    """
    ids = {call.get("id") for call in stated}
    got = [
        call for call in answer.parts(ToolCall) if call.kind is ToolKind.FUNCTION or call.id in ids
    ]
    if len(got) != len(stated):
        yield field, [call.get("name") for call in stated], [call.name for call in got]
        return
    for index, (wanted, call) in enumerate(zip(stated, got, strict=True)):
        if wanted.get("id") and wanted["id"] != call.id:
            yield f"{field}[{index}].id", wanted["id"], call.id
        if wanted.get("name") is not None and wanted["name"] != call.name:
            yield f"{field}[{index}].name", wanted["name"], call.name
        arguments = wanted.get("arguments")
        if arguments is not None and not _same_arguments(arguments, call.arguments, as_json):
            yield f"{field}[{index}].arguments", arguments, call.arguments


def _same_arguments(stated: Any, got: str, as_json: bool) -> bool:
    if stated == got:
        return True
    if not as_json and isinstance(stated, str):
        return False
    try:
        value = json.loads(stated or "{}") if isinstance(stated, str) else stated
        return bool(value == json.loads(got or "{}"))
    except ValueError:
        return False


def _compare_details(
    expected: Mapping[str, Any], reading: Reading, as_json: bool
) -> Iterator[Difference]:
    """The text of `reasoning_details` is that of all reasoning, or of one kind of it."""
    result = reading.result
    kinds = [_reasoning_parts(result, kind) for kind in ReasoningKind]
    texts = [result.reasoning, *("".join(parts) for parts in kinds)]
    if expected["reasoning_details_text"] not in texts:
        yield "reasoning_details_text", expected["reasoning_details_text"], result.reasoning


def _compare_choices(
    expected: Mapping[str, Any], reading: Reading, as_json: bool
) -> Iterator[Difference]:
    stated, got = expected["choices"], reading.result.choices
    count = stated if isinstance(stated, int) else len(stated)
    if count != len(got):
        yield "choices", count, len(got)
        return
    if isinstance(stated, list):
        for place, choice in enumerate(stated):
            if isinstance(choice, Mapping):
                index = choice.get("index", place)
                found = next((one for one in got if one.index == index), None)
                yield from _choice(f"choices[{index}]", choice, found, as_json)
            elif choice != got[place].text:
                yield f"choices[{place}].text", choice, got[place].text


_CHOICE_FIELDS: dict[str, Callable[[Choice], Any]] = {
    "text": lambda choice: choice.text,
    "content": lambda choice: choice.text,
    "reasoning": lambda choice: choice.reasoning,
    "refusal": lambda choice: choice.refusal,
    "stop_reason": lambda choice: choice.raw_finish_reason,
    "finish_reason": lambda choice: choice.raw_finish_reason,
}


def _choice(
    field: str, stated: Mapping[str, Any], choice: Choice | None, as_json: bool
) -> Iterator[Difference]:
    if choice is None:
        yield field, stated, None
        return
    for name, read in _CHOICE_FIELDS.items():
        if stated.get(name) is not None and stated[name] != read(choice):
            yield f"{field}.{name}", stated[name], read(choice)
    if stated.get("tool_calls") is not None:
        yield from _calls(f"{field}.tool_calls", stated["tool_calls"], choice, as_json)


SPECIAL: dict[str, Callable[[Mapping[str, Any], Reading, bool], Iterator[Difference]]] = {
    "error": _compare_error,
    "usage": _compare_usage,
    "tool_calls": _compare_calls,
    "reasoning_details_text": _compare_details,
    "choices": _compare_choices,
}
"""Fields that take more than one comparison."""

_NOTES = frozenset({"oracle", "partial", "arguments_are", "usage_raw"})
