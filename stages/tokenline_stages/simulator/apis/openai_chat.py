"""OpenAI Chat Completions, streaming and not.

Wire form: https://platform.openai.com/docs/api-reference/chat-streaming (read November 2026).
Reasoning is no part of OpenAI's own API; it is sent as `reasoning_content`, the field that
DeepSeek, vLLM and llama.cpp use.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tokenline_stages.simulator.answer import Answer, Part, Token
from tokenline_stages.simulator.frames import Frame, When

from .api import Framing, Job, bearer, whole_number
from .encoding import encode_json, sse, sse_framing

CREATED = 1_760_000_000
"""Creation time in every answer, Unix seconds: fixed, so that bodies are rendered once."""

_STATUS_TYPES = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}


class OpenAIChat:
    """`POST /v1/chat/completions`."""

    name = "openai.chat"

    def framing(self, job: Job) -> Framing:
        """SSE; pings are comments, as proxies and compatible servers send them."""
        return sse_framing()

    def wants_stream(self, path: str, payload: Mapping[str, Any]) -> bool:
        """`stream: true`."""
        return payload.get("stream") is True

    def key(self, headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
        """A bearer token; Azure's `api-key`."""
        return bearer(headers) or headers.get("api-key")

    def max_tokens(self, payload: Mapping[str, Any]) -> int | None:
        """`max_completion_tokens` or the older `max_tokens`."""
        return whole_number(payload, "max_completion_tokens", "max_tokens")

    def render(self, answer: Answer, job: Job) -> list[Frame]:
        """Role chunk, deltas, finishing chunk, usage chunk, `[DONE]`."""
        return list(_Renderer(answer, job).frames())

    def whole(self, answer: Answer, job: Job) -> dict[str, Any]:
        """A `chat.completion` object."""
        message: dict[str, Any] = {"role": "assistant", "content": "".join(answer.text) or None}
        if answer.reasoning:
            message["reasoning_content"] = "".join(answer.reasoning)
        if answer.calls:
            message["tool_calls"] = [
                _function(call.id, call.name, call.arguments) for call in answer.calls
            ]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish}
        whole = _envelope(job, "chat.completion") | {"choices": [choice]}
        return whole if job.plan.usage == "none" else whole | {"usage": usage(answer)}

    def error_body(self, status: int, message: str, error_type: str | None) -> dict[str, Any]:
        """OpenAI's error object."""
        default = ("server_error", None) if status >= 500 else ("invalid_request_error", None)
        kind, code = _STATUS_TYPES.get(status, default)
        if error_type is not None:
            kind = code = error_type
        return {"error": {"message": message, "type": kind, "param": None, "code": code}}

    def error_event(self, message: str, error_type: str | None) -> bytes:
        """An error object in place of a chunk, as compatible servers send it."""
        code = error_type or "server_error"
        error = {"message": message, "type": code, "param": None, "code": code}
        return sse(encode_json({"error": error}))


OPENAI_CHAT = OpenAIChat()


def usage(answer: Answer) -> dict[str, Any]:
    """Token counts in OpenAI's form."""
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": len(answer.reasoning),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _envelope(job: Job, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{job.message_id}",
        "object": kind,
        "created": CREATED,
        "model": job.model,
        "service_tier": "default",
        "system_fingerprint": "fp_tokenline",
    }


def _function(id_: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


class _Renderer:
    def __init__(self, answer: Answer, job: Job) -> None:
        self._answer = answer
        self._plan = job.plan
        self._envelope = _envelope(job, "chat.completion.chunk")
        mode = job.plan.usage
        self._final_usage = mode == "final" or (mode == "auto" and job.include_usage)
        self._opened: set[int] = set()

    def _chunk(self, choices: list[dict[str, Any]], counts: dict[str, Any] | None = None) -> bytes:
        chunk = self._envelope | {"choices": choices}
        if counts is not None or self._final_usage:
            chunk["usage"] = counts
        return sse(encode_json(chunk, self._plan.ascii_json))

    def _choice(
        self, delta: dict[str, Any], finish: str | None = None, counts: dict[str, Any] | None = None
    ) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._chunk([choice], counts)

    def _delta(self, token: Token) -> dict[str, Any]:
        if token.part is Part.TEXT:
            return {"content": token.text}
        if token.part is Part.REASONING:
            return {"reasoning_content": token.text}
        return {"tool_calls": [self._call(token)]}

    def _call(self, token: Token) -> dict[str, Any]:
        entry: dict[str, Any] = {"index": token.call, "function": {"arguments": token.text}}
        if token.call not in self._opened:
            self._opened.add(token.call)
            call = self._answer.calls[token.call]
            entry |= _function(call.id, call.name, token.text)
        return entry

    def frames(self) -> Iterator[Frame]:
        if self._plan.role_chunk:
            role = {"role": "assistant", "content": "", "refusal": None}
            yield Frame(self._choice(role), When.AT_ONCE)
        for token in self._answer.tokens():
            yield Frame(self._choice(self._delta(token)), When.TOKEN, token)
        counts = usage(self._answer)
        on_finish = counts if self._plan.usage == "finish" else None
        yield Frame(self._choice({}, self._answer.finish, on_finish), When.AFTER)
        if self._final_usage:
            yield Frame(self._chunk([], counts), When.AFTER)
        if self._plan.done_marker:
            yield Frame(sse(b"[DONE]"), When.AFTER)
