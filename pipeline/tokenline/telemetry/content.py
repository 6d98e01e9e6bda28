"""Prompts and answers for telemetry: off unless asked for, cut to size, cleaned before any sink.

Shape: the JSON schemas of the GenAI conventions,
https://github.com/open-telemetry/semantic-conventions/tree/v1.41.1/docs/gen-ai
(`gen-ai-input-messages.json`, `gen-ai-output-messages.json`, `gen-ai-system-instructions.json`,
`gen-ai-tool-definitions.json`). What a request's payload means is known to its provider's reader,
see `add_prompt_reader`; the answer is read from the run's result.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

from tokenline.events import FinishReason, ToolKind
from tokenline.record import RunInfo, RunRecord
from tokenline.result import BlockPart, Choice, ReasoningPart, RefusalPart, Result, ToolCall

ContentMode = Literal["none", "span", "event", "span_and_event"]
Json = dict[str, Any]

VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

_MODES: Mapping[str, ContentMode] = {
    "": "none",
    "NO_CONTENT": "none",
    "SPAN_ONLY": "span",
    "EVENT_ONLY": "event",
    "SPAN_AND_EVENT": "span_and_event",
}
_FINISH_REASONS = {
    FinishReason.TOOL_CALLS: "tool_call",
    FinishReason.REFUSAL: "content_filter",
    FinishReason.CONTEXT_OVERFLOW: "length",
    FinishReason.MALFORMED_TOOL_CALL: "error",
}
_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Prompt:
    """What a request says, in the conventions' shape.

    Attributes:
        system_instructions: parts that were given apart from the messages.
        messages: `{"role": ..., "parts": [...]}` in the order sent.
        tools: `{"type": ..., "name": ...}`.
    """

    system_instructions: list[Json] = field(default_factory=list)
    messages: list[Json] = field(default_factory=list)
    tools: list[Json] = field(default_factory=list)


@dataclass(slots=True)
class Content:
    """What a redaction hook is given; it may change the lists or give another `Content`.

    The values inside are those of the caller's payload: replace them, do not change them.

    Attributes:
        system_instructions: parts.
        input_messages: messages of the request, oldest first.
        output_messages: one message for each choice, with its `finish_reason`.
        tool_definitions: tools the model was offered.
    """

    system_instructions: list[Json] = field(default_factory=list)
    input_messages: list[Json] = field(default_factory=list)
    output_messages: list[Json] = field(default_factory=list)
    tool_definitions: list[Json] = field(default_factory=list)


Redact = Callable[[Content, RunInfo], Content | None]
"""Gives what may be kept of a run's content, None for nothing. Called once, before any sink."""

PromptReader = Callable[[str, Mapping[str, Any]], Prompt | None]
"""Reads the payload of a wire API; None for an API it does not know."""

_readers: list[str] = []


def add_prompt_reader(path: str) -> None:
    """Add a reader of payloads: `package.module:function`, imported when content is captured."""
    if path not in _readers:
        _readers.append(path)


def content_mode(chosen: ContentMode | None) -> ContentMode:
    """What is captured: as chosen, else as `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`."""
    if chosen is not None:
        return chosen
    word = os.environ.get(VARIABLE, "").strip().upper()
    if word not in _MODES:
        known = ", ".join(filter(None, _MODES))
        _logger.warning("%s is %r; no content is captured (known: %s)", VARIABLE, word, known)
    return _MODES.get(word, "none")


def has_events(mode: ContentMode | None) -> bool:
    """Whether a choice, or the variable where there is none, asks for log records."""
    return content_mode(mode) in ("event", "span_and_event")


def content_of(record: RunRecord, redact: Redact | None = None) -> Content | None:
    """The content of a run after redaction; None if the hook keeps nothing or fails."""
    prompt = read_prompt(record.info.api, record.info.payload)
    found = Content(
        system_instructions=prompt.system_instructions,
        input_messages=prompt.messages,
        output_messages=output_messages(record.result) if record.result is not None else [],
        tool_definitions=prompt.tools,
    )
    if redact is None:
        return found
    try:
        return redact(found, record.info)
    except (Exception, SystemExit):
        # What could not be redacted must not get out.
        _logger.warning("the redaction hook failed; the run's content is left out", exc_info=True)
        return None


def read_prompt(api: str, payload: Mapping[str, Any]) -> Prompt:
    """The request in the conventions' shape; empty if no reader knows the API."""
    for path in _readers:
        module, _, name = path.partition(":")
        try:
            reader: PromptReader = getattr(import_module(module), name)
            prompt = reader(api, payload)
        except Exception:
            _logger.warning("the payload of a run could not be read for telemetry", exc_info=True)
            continue
        if prompt is not None:
            return prompt
    return Prompt()


def output_messages(result: Result) -> list[Json]:
    """The answer: one message for each choice that has content or ended."""
    return [
        {
            "role": "assistant",
            "parts": [_part(part) for part in choice.content],
            "finish_reason": _finish_reason(choice, result),
        }
        for choice in result.choices
        if choice.content or choice.finish_reason is not None
    ]


def _finish_reason(choice: Choice, result: Result) -> str:
    reason = choice.finish_reason
    if reason is None:
        return "stop" if result.error is None and result.outcome == "ok" else "error"
    if reason is FinishReason.OTHER and choice.raw_finish_reason:
        return choice.raw_finish_reason
    return _FINISH_REASONS.get(reason, reason.value)


def _part(part: Any) -> Json:
    if isinstance(part, ToolCall):
        return _tool_call(part)
    if isinstance(part, ReasoningPart):
        return {"type": "reasoning", "content": part.text}
    if isinstance(part, BlockPart):
        return {"type": part.block_type or "block", "data": part.data}
    if isinstance(part, RefusalPart):
        return {"type": "refusal", "content": part.text}
    return {"type": "text", "content": part.text}


def _tool_call(call: ToolCall) -> Json:
    arguments = call.parsed if call.parsed is not None else call.arguments
    if call.kind is ToolKind.SERVER:
        details = {"type": call.name, "arguments": arguments}
        return {
            "type": "server_tool_call",
            "id": call.id,
            "name": call.name,
            "server_tool_call": details,
        }
    return {"type": "tool_call", "id": call.id, "name": call.name, "arguments": arguments}
