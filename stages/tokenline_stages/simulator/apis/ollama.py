"""Ollama's own API: `/api/chat` and `/api/generate`, one JSON object a line.

Wire form: https://github.com/ollama/ollama/blob/main/docs/api.md (read November 2026). A stream
is the default there. Tool calls come whole.
"""

from collections.abc import Mapping
from typing import Any

from tokenline_stages.simulator.answer import Answer, Part, Token
from tokenline_stages.simulator.frames import Frame, When

from .api import Framing, Job, bearer, whole_number
from .encoding import encode_json, ndjson_framing, parse_arguments

_CREATED = "2026-01-01T00:00:00.000000Z"
_DONE_REASONS = {"tool_calls": "stop"}


class Ollama:
    """Both endpoints; `generate` has neither roles nor tools."""

    def __init__(self, name: str, chat: bool) -> None:
        self.name = name
        self._chat = chat

    def framing(self, job: Job) -> Framing:
        """Lines; there is no ping."""
        return ndjson_framing()

    def wants_stream(self, path: str, payload: Mapping[str, Any]) -> bool:
        """Unless `stream` is false."""
        return payload.get("stream") is not False

    def key(self, headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
        """A bearer token, as ollama.com asks for."""
        return bearer(headers)

    def max_tokens(self, payload: Mapping[str, Any]) -> int | None:
        """`options.num_predict`."""
        options = payload.get("options")
        return whole_number(options, "num_predict") if isinstance(options, dict) else None

    def render(self, answer: Answer, job: Job) -> list[Frame]:
        """One line a token; the last line is `done` and has the counts."""
        tokens = [t for t in answer.tokens(whole_calls=True) if self._chat or not t.call >= 0]
        lines = [
            (_line(job) | self._content(self._fields(answer, token)) | {"done": False}, token)
            for token in tokens
        ]
        ascii_json = job.plan.ascii_json
        frames = [
            Frame(encode_json(line, ascii_json) + b"\n", When.TOKEN, token) for line, token in lines
        ]
        last = encode_json(self._last(answer, job, {}), ascii_json)
        return [*frames, Frame(last + b"\n", When.AFTER)]

    def whole(self, answer: Answer, job: Job) -> dict[str, Any]:
        """The last line, with all content."""
        fields: dict[str, Any] = {self._text_name: "".join(answer.text)}
        if answer.reasoning:
            fields["thinking"] = "".join(answer.reasoning)
        if answer.calls and self._chat:
            fields["tool_calls"] = [
                _call(answer, Token(Part.CALL, call.arguments, n))
                for n, call in enumerate(answer.calls)
            ]
        return self._last(answer, job, fields)

    def error_body(self, status: int, message: str, error_type: str | None) -> dict[str, Any]:
        """One string."""
        return {"error": message}

    def error_event(self, message: str, error_type: str | None) -> bytes:
        """A line with an error."""
        return encode_json({"error": message}) + b"\n"

    @property
    def _text_name(self) -> str:
        return "content" if self._chat else "response"

    def _fields(self, answer: Answer, token: Token) -> dict[str, Any]:
        match token.part:
            case Part.TEXT:
                return {self._text_name: token.text}
            case Part.REASONING:
                return {self._text_name: "", "thinking": token.text}
            case Part.CALL:
                return {self._text_name: "", "tool_calls": [_call(answer, token)]}

    def _content(self, fields: dict[str, Any]) -> dict[str, Any]:
        fields = {self._text_name: ""} | fields
        return {"message": {"role": "assistant"} | fields} if self._chat else fields

    def _last(self, answer: Answer, job: Job, fields: dict[str, Any]) -> dict[str, Any]:
        reason = _DONE_REASONS.get(answer.finish, answer.finish)
        line = _line(job) | self._content(fields) | {"done": True, "done_reason": reason}
        return line if job.plan.usage == "none" else line | _counts(answer)


OLLAMA_CHAT = Ollama("ollama.chat", chat=True)
OLLAMA_GENERATE = Ollama("ollama.generate", chat=False)


def _line(job: Job) -> dict[str, Any]:
    return {"model": job.model, "created_at": _CREATED}


def _call(answer: Answer, token: Token) -> dict[str, Any]:
    call = answer.calls[token.call]
    return {"function": {"name": call.name, "arguments": parse_arguments(token.text)}}


def _counts(answer: Answer) -> dict[str, Any]:
    return {
        "total_duration": 1_000_000,
        "load_duration": 0,
        "prompt_eval_count": answer.input_tokens,
        "prompt_eval_duration": 500_000,
        "eval_count": answer.output_tokens,
        "eval_duration": 500_000,
    }
