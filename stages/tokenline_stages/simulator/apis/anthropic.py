"""Anthropic Messages, streaming and not.

Wire form: https://docs.anthropic.com/en/docs/build-with-claude/streaming and
https://docs.anthropic.com/en/api/errors (read November 2026).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tokenline_stages.simulator.answer import Answer, Part, Token
from tokenline_stages.simulator.frames import Frame, When

from .api import Framing, Job, bearer, whole_number
from .encoding import encode_json, sse, sse_framing

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
    """`POST /v1/messages`."""

    name = "anthropic.messages"

    def framing(self, job: Job) -> Framing:
        """SSE with named events; pings are events too."""
        return sse_framing(_PING)

    def wants_stream(self, path: str, payload: Mapping[str, Any]) -> bool:
        """`stream: true`."""
        return payload.get("stream") is True

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
            {"type": "tool_use", "id": call.id, "name": call.name, "input": _input(call.arguments)}
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
    yield from _Blocks(answer).events()
    stop = {
        "stop_reason": STOP_REASONS.get(answer.finish, answer.finish),
        "stop_sequence": None,
    }
    end = {"type": "message_delta", "delta": stop}
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


def _input(arguments: str) -> Any:
    return json.loads(arguments) if arguments else {}


class _Blocks:
    """Opens a content block when its first token comes and closes it when its last one has."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._open: dict[tuple[Part, int], int] = {}
        self._next = 0

    def events(self) -> Iterator[_Event]:
        tokens = list(self._answer.tokens())
        last = {(token.part, token.call): n for n, token in enumerate(tokens)}
        for n, token in enumerate(tokens):
            block = token.part, token.call
            if block not in self._open:
                yield self._start(token), When.NEXT, None
            yield self._delta(token), When.TOKEN, token
            if last[block] == n:
                yield from self._stop(block)

    def _start(self, token: Token) -> dict[str, Any]:
        index = self._open[token.part, token.call] = self._next
        self._next += 1
        block: dict[str, Any]
        if token.part is Part.TEXT:
            block = {"type": "text", "text": ""}
        elif token.part is Part.REASONING:
            block = {"type": "thinking", "thinking": "", "signature": ""}
        else:
            call = self._answer.calls[token.call]
            block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        return {"type": "content_block_start", "index": index, "content_block": block}

    def _delta(self, token: Token) -> dict[str, Any]:
        index = self._open[token.part, token.call]
        if token.part is Part.TEXT:
            delta = {"type": "text_delta", "text": token.text}
        elif token.part is Part.REASONING:
            delta = {"type": "thinking_delta", "thinking": token.text}
        else:
            delta = {"type": "input_json_delta", "partial_json": token.text}
        return {"type": "content_block_delta", "index": index, "delta": delta}

    def _stop(self, block: tuple[Part, int]) -> Iterator[_Event]:
        index = self._open[block]
        if block[0] is Part.REASONING:
            delta = {"type": "signature_delta", "signature": self._answer.signature}
            yield {"type": "content_block_delta", "index": index, "delta": delta}, When.AFTER, None
        yield {"type": "content_block_stop", "index": index}, When.AFTER, None
