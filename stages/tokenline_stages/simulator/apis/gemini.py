"""Gemini `generateContent` and `streamGenerateContent`.

Wire form: https://ai.google.dev/api/generate-content (read November 2026). With `alt=sse` the
stream is server-sent events, without it one JSON array that grows. Function calls come whole.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tokenline_stages.simulator.answer import Answer, Part, Token
from tokenline_stages.simulator.frames import Frame, When

from .api import Framing, Job, bearer, whole_number
from .encoding import encode_json, json_array_framing, parse_arguments, sse, sse_framing

_FINISH_REASONS = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
    "refusal": "PROHIBITED_CONTENT",
}

_STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class Gemini:
    """`POST /v1beta/models/{model}:streamGenerateContent` and `:generateContent`."""

    name = "gemini"

    def framing(self, job: Job) -> Framing:
        """SSE where asked for, else a JSON array; comments as pings."""
        if _is_sse(job):
            return sse_framing(content_type="text/event-stream")
        return json_array_framing()

    def wants_stream(self, path: str, payload: Mapping[str, Any]) -> bool:
        """The path says it."""
        return path.endswith(":streamGenerateContent")

    def key(self, headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
        """`x-goog-api-key`, the query's `key`, or a bearer token on Vertex."""
        return headers.get("x-goog-api-key") or query.get("key") or bearer(headers)

    def max_tokens(self, payload: Mapping[str, Any]) -> int | None:
        """`generationConfig.maxOutputTokens`."""
        config = payload.get("generationConfig")
        return whole_number(config, "maxOutputTokens") if isinstance(config, dict) else None

    def render(self, answer: Answer, job: Job) -> list[Frame]:
        """One response object a token; the last one has the finish reason."""
        chunks = [
            (encode_json(chunk, job.plan.ascii_json), when, token)
            for chunk, when, token in _chunks(answer, job)
        ]
        if _is_sse(job):
            return [Frame(sse(data), when, token) for data, when, token in chunks]
        frames = [
            Frame((b"," if n else b"[") + data + b"\r\n", when, token)
            for n, (data, when, token) in enumerate(chunks)
        ]
        return [*frames, Frame(b"]", When.AFTER)]

    def whole(self, answer: Answer, job: Job) -> dict[str, Any]:
        """A `GenerateContentResponse`."""
        parts: list[dict[str, Any]] = []
        if answer.reasoning:
            parts.append({"text": "".join(answer.reasoning), "thought": True})
        if answer.text:
            parts.append({"text": "".join(answer.text)})
        calls = [t for t in answer.tokens(whole_calls=True) if t.part is Part.CALL]
        parts.extend(_part(answer, token) for token in calls)
        return _chunk(answer, job, parts, answer.output_tokens, finished=True)

    def error_body(self, status: int, message: str, error_type: str | None) -> dict[str, Any]:
        """A Google API error."""
        name = error_type or _STATUS_NAMES.get(status, "UNKNOWN")
        return {"error": {"code": status, "message": message, "status": name}}

    def error_event(self, message: str, error_type: str | None) -> bytes:
        """An error object in place of a response."""
        return sse(encode_json(self.error_body(503, message, error_type)))


GEMINI = Gemini()


def _is_sse(job: Job) -> bool:
    return "alt=sse" in job.path


def _chunks(answer: Answer, job: Job) -> Iterator[tuple[dict[str, Any], When, Token | None]]:
    count = 0
    for token in answer.tokens(whole_calls=True):
        count += len(answer.calls[token.call].fragments) if token.part is Part.CALL else 1
        yield _chunk(answer, job, [_part(answer, token)], count), When.TOKEN, token
    last = _chunk(answer, job, [{"text": ""}], answer.output_tokens, finished=True)
    yield last, When.AFTER, None


def _part(answer: Answer, token: Token) -> dict[str, Any]:
    match token.part:
        case Part.TEXT:
            return {"text": token.text}
        case Part.REASONING:
            return {"text": token.text, "thought": True}
        case Part.CALL:
            call = answer.calls[token.call]
            function = {"name": call.name, "args": parse_arguments(token.text), "id": call.id}
            part: dict[str, Any] = {"functionCall": function}
            # The real API signs the first call of a response only.
            return part | ({"thoughtSignature": answer.signature} if token.call == 0 else {})


def _chunk(
    answer: Answer, job: Job, parts: list[dict[str, Any]], output: int, finished: bool = False
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finished:
        candidate["finishReason"] = _FINISH_REASONS.get(answer.finish, answer.finish)
    chunk: dict[str, Any] = {"candidates": [candidate]}
    if job.plan.usage != "none":
        chunk["usageMetadata"] = _usage(answer, output)
    return chunk | {"modelVersion": job.model, "responseId": job.message_id}


def _usage(answer: Answer, output: int) -> dict[str, Any]:
    # Gemini's candidates leave out the thoughts.
    thoughts = min(output, len(answer.reasoning))
    usage = {
        "promptTokenCount": answer.input_tokens,
        "candidatesTokenCount": output - thoughts,
        "totalTokenCount": answer.input_tokens + output,
    }
    if answer.cached_tokens:
        usage["cachedContentTokenCount"] = answer.cached_tokens
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    return usage
