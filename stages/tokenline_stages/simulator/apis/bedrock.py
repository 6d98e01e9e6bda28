"""Amazon Bedrock: `converse-stream` and `invoke-with-response-stream`, and their whole forms.

Wire form: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
and .../API_runtime_InvokeModelWithResponseStream.html (read November 2026). Invoked Anthropic
models send Messages events inside `chunk` frames, Amazon's models Converse events.
Ids are inside checksummed frames, so they are the same for every request of a plan.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tokenline_stages.simulator.answer import Answer, Part, Token
from tokenline_stages.simulator.frames import Frame, When

from .anthropic import ANTHROPIC
from .anthropic import events as anthropic_events
from .api import Framing, Job, bearer, whole_number
from .blocks import Change, Step, walk_blocks
from .encoding import encode_json, parse_arguments
from .eventstream import chunk_frame, event_frame, eventstream_framing, exception_frame

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)")

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "content_filtered",
}

_STATUS_TYPES = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}


class Bedrock:
    """What both operations share."""

    name = "bedrock"

    def framing(self, job: Job) -> Framing:
        """AWS event-stream frames."""
        return eventstream_framing()

    def wants_stream(self, path: str, payload: Mapping[str, Any]) -> bool:
        """The path says it."""
        return path.endswith("-stream")

    def key(self, headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
        """A bearer token, or the access key id of a SigV4 signature (not verified)."""
        match = _CREDENTIAL.search(headers.get("Authorization", ""))
        return match[1] if match else bearer(headers)

    def error_body(self, status: int, message: str, error_type: str | None) -> dict[str, Any]:
        """An AWS JSON error; its type is in `__type`."""
        kind = error_type or _STATUS_TYPES.get(status, "InternalServerException")
        return {"__type": kind, "message": message}

    def error_event(self, message: str, error_type: str | None) -> bytes:
        """An exception frame, `serviceUnavailableException` unless told otherwise."""
        return exception_frame(error_type or "serviceUnavailableException", message)


class BedrockConverse(Bedrock):
    """`POST /model/{model}/converse-stream` and `/converse`."""

    name = "bedrock.converse"

    def max_tokens(self, payload: Mapping[str, Any]) -> int | None:
        """`inferenceConfig.maxTokens`."""
        config = payload.get("inferenceConfig")
        return whole_number(config, "maxTokens") if isinstance(config, dict) else None

    def render(self, answer: Answer, job: Job) -> list[Frame]:
        """`messageStart`, blocks, `messageStop`, `metadata`."""
        return [
            Frame(event_frame(name, body, job.plan.ascii_json), when, token)
            for name, body, when, token in _converse_events(answer, job)
        ]

    def whole(self, answer: Answer, job: Job) -> dict[str, Any]:
        """A `ConverseResponse`."""
        content: list[dict[str, Any]] = []
        if answer.reasoning:
            thinking = {"text": "".join(answer.reasoning), "signature": answer.signature}
            content.append({"reasoningContent": {"reasoningText": thinking}})
        if answer.text:
            content.append({"text": "".join(answer.text)})
        for call in answer.calls:
            tool = {"toolUseId": call.id, "name": call.name}
            content.append({"toolUse": tool | {"input": parse_arguments(call.arguments)}})
        return {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": _STOP_REASONS.get(answer.finish, answer.finish),
            "usage": _usage(answer),
            "metrics": {"latencyMs": 1},
        }


class BedrockInvoke(Bedrock):
    """`POST /model/{model}/invoke-with-response-stream` and `/invoke`."""

    name = "bedrock.invoke"

    def max_tokens(self, payload: Mapping[str, Any]) -> int | None:
        """`max_tokens`, as Anthropic's models have it."""
        return whole_number(payload, "max_tokens")

    def render(self, answer: Answer, job: Job) -> list[Frame]:
        """The model's own events in `chunk` frames."""
        events = _nova_events if "amazon." in job.model else _anthropic_events
        return [
            Frame(chunk_frame(encode_json(event, job.plan.ascii_json)), when, token)
            for event, when, token in events(answer, job)
        ]

    def whole(self, answer: Answer, job: Job) -> dict[str, Any]:
        """The model's own answer."""
        if "amazon." in job.model:
            return BEDROCK_CONVERSE.whole(answer, job)
        return ANTHROPIC.whole(answer, job)


BEDROCK_CONVERSE = BedrockConverse()
BEDROCK_INVOKE = BedrockInvoke()

_Event = tuple[dict[str, Any], When, Token | None]
_NamedEvent = tuple[str, dict[str, Any], When, Token | None]


def _anthropic_events(answer: Answer, job: Job) -> Iterator[_Event]:
    for event, when, token in anthropic_events(answer, job):
        if event["type"] == "message_stop":
            event["amazon-bedrock-invocationMetrics"] = {
                "inputTokenCount": answer.input_tokens,
                "outputTokenCount": answer.output_tokens,
                "invocationLatency": 1,
                "firstByteLatency": 1,
            }
        yield event, when, token


def _nova_events(answer: Answer, job: Job) -> Iterator[_Event]:
    for name, body, when, token in _converse_events(answer, job):
        yield {name: body}, when, token


def _converse_events(answer: Answer, job: Job) -> Iterator[_NamedEvent]:
    yield "messageStart", {"role": "assistant"}, When.AT_ONCE, None
    for step in walk_blocks(answer):
        place: dict[str, Any] = {"contentBlockIndex": step.index}
        match step.change:
            case Change.OPEN if step.token.part is Part.CALL:
                call = answer.calls[step.token.call]
                start = {"toolUse": {"toolUseId": call.id, "name": call.name}}
                yield "contentBlockStart", place | {"start": start}, When.NEXT, None
            case Change.OPEN:
                pass
            case Change.GROW:
                yield "contentBlockDelta", place | _delta(step), When.TOKEN, step.token
            case Change.CLOSE:
                if step.token.part is Part.REASONING:
                    seal = {"delta": {"reasoningContent": {"signature": answer.signature}}}
                    yield "contentBlockDelta", place | seal, When.AFTER, None
                yield "contentBlockStop", place, When.AFTER, None
    reason = _STOP_REASONS.get(answer.finish, answer.finish)
    yield "messageStop", {"stopReason": reason}, When.AFTER, None
    if job.plan.usage != "none":
        metadata = {"usage": _usage(answer), "metrics": {"latencyMs": 1}}
        yield "metadata", metadata, When.AFTER, None


def _delta(step: Step) -> dict[str, Any]:
    text = step.token.text
    match step.token.part:
        case Part.TEXT:
            return {"delta": {"text": text}}
        case Part.REASONING:
            return {"delta": {"reasoningContent": {"text": text}}}
        case Part.CALL:
            return {"delta": {"toolUse": {"input": text}}}


def _usage(answer: Answer) -> dict[str, Any]:
    usage = {
        "inputTokens": max(0, answer.input_tokens - answer.cached_tokens),
        "outputTokens": answer.output_tokens,
        "totalTokens": answer.input_tokens + answer.output_tokens,
    }
    return usage | ({"cacheReadInputTokens": answer.cached_tokens} if answer.cached_tokens else {})
