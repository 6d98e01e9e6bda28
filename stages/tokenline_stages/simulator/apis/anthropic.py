"""Anthropic Messages, streaming and not.

Wire form: https://docs.anthropic.com/en/docs/build-with-claude/streaming and
https://docs.anthropic.com/en/api/errors (read November 2026).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tokenline_stages.simulator.answer import Answer, Part, Token
from tokenline_stages.simulator.frames import Frame, When

from .api import Framing, Job, bearer, whole_number
from .blocks import Change, Step, walk_blocks
from .encoding import encode_json, parse_arguments, sse, sse_framing

_PING = sse(b'{"type": "ping"}', "ping")

STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}

_STATUS_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class Anthropic:
    """`POST /v1/messages`; Vertex's `:streamRawPredict` and `:rawPredict`."""

    name = "anthropic.messages"

    def framing(self, job: Job) -> Framing:
        """SSE with named events; pings are events too."""
        return sse_framing(_PING)

    def wants_stream(self, path: str, payload: Mapping[str, Any]) -> bool:
        """`stream: true`; on Vertex the path says it."""
        return payload.get("stream") is True or path.endswith(":streamRawPredict")

    def key(self, headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
        """`x-api-key`, or a bearer token."""
        return headers.get("x-api-key") or bearer(headers)

    def max_tokens(self, payload: Mapping[str, Any]) -> int | None:
        """`max_tokens`."""
        return whole_number(payload, "max_tokens")

    def render(self, answer: Answer, job: Job) -> list[Frame]:
        """`message_start`, blocks, `message_delta`, `message_stop`."""
        ascii_json = job.plan.ascii_json
        return [
            Frame(sse(encode_json(event, ascii_json), event["type"]), when, token)
            for event, when, token in events(answer, job)
        ]

    def whole(self, answer: Answer, job: Job) -> dict[str, Any]:
        """A `message` object."""
        content: list[dict[str, Any]] = []
        if answer.reasoning:
            thinking = "".join(answer.reasoning)
            content.append(
                {"type": "thinking", "thinking": thinking, "signature": answer.signature}
            )
        if answer.text:
            content.append({"type": "text", "text": "".join(answer.text)})
        content.extend(
            {
                "type": "tool_use",
                "id": call.id,
                "name": call.name,
                "input": parse_arguments(call.arguments),
            }
            for call in answer.calls
        )
        counts = _input_counts(answer) | {"output_tokens": answer.output_tokens}
        return _message(job, counts) | {
            "content": content,
            "stop_reason": STOP_REASONS.get(answer.finish, answer.finish),
        }

    def error_body(self, status: int, message: str, error_type: str | None) -> dict[str, Any]:
        """Anthropic's error object."""
        kind = error_type or _STATUS_TYPES.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": message}}

    def error_event(self, message: str, error_type: str | None) -> bytes:
        """An `error` event, `overloaded_error` unless told otherwise."""
        return sse(encode_json(self.error_body(529, message, error_type)), "error")


ANTHROPIC = Anthropic()

_Event = tuple[dict[str, Any], When, Token | None]


def events(answer: Answer, job: Job) -> Iterator[_Event]:
    """The stream's events before framing; Bedrock frames the same ones differently."""
    counts = _input_counts(answer) | {"output_tokens": 1}
    yield {"type": "message_start", "message": _message(job, counts)}, When.AT_ONCE, None
    yield from _block_events(answer)
    stop = {
        "stop_reason": STOP_REASONS.get(answer.finish, answer.finish),
        "stop_sequence": None,
    }
    end: dict[str, Any] = {"type": "message_delta", "delta": stop}
    if job.plan.usage != "none":
        end["usage"] = {"output_tokens": answer.output_tokens}
    yield end, When.AFTER, None
    yield {"type": "message_stop"}, When.AFTER, None


def _message(job: Job, counts: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"msg_{job.message_id}",
        "type": "message",
        "role": "assistant",
        "model": job.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": counts,
    }


def _input_counts(answer: Answer) -> dict[str, Any]:
    # Anthropic's input_tokens leaves out what came from the cache.
    return {
        "input_tokens": max(0, answer.input_tokens - answer.cached_tokens),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": answer.cached_tokens,
    }


def _block_events(answer: Answer) -> Iterator[_Event]:
    for step in walk_blocks(answer):
        match step.change:
            case Change.OPEN:
                yield _start(answer, step), When.NEXT, None
            case Change.GROW:
                yield _delta(step), When.TOKEN, step.token
            case Change.CLOSE:
                if step.token.part is Part.REASONING:
                    signature = {"type": "signature_delta", "signature": answer.signature}
                    yield _block_delta(step, signature), When.AFTER, None
                yield {"type": "content_block_stop", "index": step.index}, When.AFTER, None


def _start(answer: Answer, step: Step) -> dict[str, Any]:
    block: dict[str, Any]
    match step.token.part:
        case Part.TEXT:
            block = {"type": "text", "text": ""}
        case Part.REASONING:
            block = {"type": "thinking", "thinking": "", "signature": ""}
        case Part.CALL:
            call = answer.calls[step.token.call]
            block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
    return {"type": "content_block_start", "index": step.index, "content_block": block}


def _delta(step: Step) -> dict[str, Any]:
    text = step.token.text
    match step.token.part:
        case Part.TEXT:
            return _block_delta(step, {"type": "text_delta", "text": text})
        case Part.REASONING:
            return _block_delta(step, {"type": "thinking_delta", "thinking": text})
        case Part.CALL:
            return _block_delta(step, {"type": "input_json_delta", "partial_json": text})


def _block_delta(step: Step, delta: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": step.index, "delta": delta}
