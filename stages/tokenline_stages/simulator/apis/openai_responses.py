"""OpenAI Responses, streaming and not.

Wire form: https://platform.openai.com/docs/api-reference/responses-streaming (read November
2026). Reasoning is sent as a summary, with `encrypted_content` on its item.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tokenline_stages.simulator.answer import Answer, Part, Token
from tokenline_stages.simulator.frames import Frame, When

from .api import Framing, Job, bearer, whole_number
from .blocks import Change, Step, walk_blocks
from .encoding import encode_json, sse, sse_framing
from .openai_chat import CREATED, OPENAI_CHAT

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class OpenAIResponses:
    """`POST /v1/responses`."""

    name = "openai.responses"

    def framing(self, job: Job) -> Framing:
        """SSE with named events; pings are comments."""
        return sse_framing()

    def wants_stream(self, path: str, payload: Mapping[str, Any]) -> bool:
        """`stream: true`."""
        return payload.get("stream") is True

    def key(self, headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
        """A bearer token; Azure's `api-key`."""
        return bearer(headers) or headers.get("api-key")

    def max_tokens(self, payload: Mapping[str, Any]) -> int | None:
        """`max_output_tokens`."""
        return whole_number(payload, "max_output_tokens")

    def render(self, answer: Answer, job: Job) -> list[Frame]:
        """`response.created`, items with their parts, `response.completed` or `.incomplete`."""
        frames: list[Frame] = []
        for number, (event, when, token) in enumerate(_events(answer, job)):
            data = encode_json(event | {"sequence_number": number}, job.plan.ascii_json)
            frames.append(Frame(sse(data, event["type"]), when, token))
        return frames

    def whole(self, answer: Answer, job: Job) -> dict[str, Any]:
        """A `response` object."""
        items = [_item(answer, job, step) for step in _closed(answer)]
        return _response(answer, job, _final_status(answer), items)

    def error_body(self, status: int, message: str, error_type: str | None) -> dict[str, Any]:
        """OpenAI's error object."""
        return OPENAI_CHAT.error_body(status, message, error_type)

    def error_event(self, message: str, error_type: str | None) -> bytes:
        """An `error` event."""
        code = error_type or "server_error"
        event = {"type": "error", "code": code, "message": message, "param": None}
        return sse(encode_json(event | {"sequence_number": 0}), "error")


OPENAI_RESPONSES = OpenAIResponses()

_Event = tuple[dict[str, Any], When, Token | None]


def _events(answer: Answer, job: Job) -> Iterator[_Event]:
    begun = _response(answer, job, "in_progress", [])
    yield {"type": "response.created", "response": begun}, When.AT_ONCE, None
    yield {"type": "response.in_progress", "response": begun}, When.AT_ONCE, None
    items: list[dict[str, Any]] = []
    for step in walk_blocks(answer):
        match step.change:
            case Change.OPEN:
                for event in _opening(answer, job, step):
                    yield event, When.NEXT, None
            case Change.GROW:
                event = _part_event(answer, job, step, "delta", {"delta": step.token.text})
                yield event, When.TOKEN, step.token
            case Change.CLOSE:
                items.append(_item(answer, job, step))
                for event in _closing(answer, job, step, items[-1]):
                    yield event, When.AFTER, None
    status = _final_status(answer)
    ended = _response(answer, job, status, items)
    yield {"type": f"response.{status}", "response": ended}, When.AFTER, None


def _closed(answer: Answer) -> list[Step]:
    return [step for step in walk_blocks(answer) if step.change is Change.CLOSE]


def _final_status(answer: Answer) -> str:
    return "incomplete" if answer.finish in _INCOMPLETE else "completed"


def _response(answer: Answer, job: Job, status: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    ended = status != "in_progress"
    reason = _INCOMPLETE.get(answer.finish) if ended else None
    return {
        "id": f"resp_{job.message_id}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": None,
        "max_output_tokens": None,
        "model": job.model,
        "output": items,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": _usage(answer) if ended and job.plan.usage != "none" else None,
        "user": None,
        "metadata": {},
    }


def _usage(answer: Answer) -> dict[str, Any]:
    return {
        "input_tokens": answer.input_tokens,
        "input_tokens_details": {"cached_tokens": answer.cached_tokens},
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"reasoning_tokens": len(answer.reasoning)},
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }


def _item_id(answer: Answer, job: Job, step: Step) -> str:
    prefix = {Part.TEXT: "msg", Part.REASONING: "rs", Part.CALL: "fc"}[step.token.part]
    return f"{prefix}_{step.index}_{job.message_id}"


def _item(answer: Answer, job: Job, step: Step) -> dict[str, Any]:
    """The item of a block, as far as it has grown."""
    status = "completed" if step.change is Change.CLOSE else "in_progress"
    item: dict[str, Any] = {"id": _item_id(answer, job, step)}
    match step.token.part:
        case Part.TEXT:
            content = [_text_part(step.content)] if status == "completed" else []
            return item | {
                "type": "message",
                "status": status,
                "role": "assistant",
                "content": content,
            }
        case Part.REASONING:
            summary = [_summary_part(step.content)] if status == "completed" else []
            sealed = {"encrypted_content": answer.signature, "summary": summary}
            return item | {"type": "reasoning"} | sealed
        case Part.CALL:
            call = answer.calls[step.token.call]
            function = {"call_id": call.id, "name": call.name, "arguments": step.content}
            return item | {"type": "function_call", "status": status} | function


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _summary_part(text: str) -> dict[str, Any]:
    return {"type": "summary_text", "text": text}


_EVENT_NAMES = {
    Part.TEXT: "response.output_text",
    Part.REASONING: "response.reasoning_summary_text",
    Part.CALL: "response.function_call_arguments",
}
_PART_NAMES = {
    Part.TEXT: "response.content_part",
    Part.REASONING: "response.reasoning_summary_part",
}


def _place(answer: Answer, job: Job, step: Step) -> dict[str, Any]:
    place: dict[str, Any] = {
        "item_id": _item_id(answer, job, step),
        "output_index": step.index,
    }
    match step.token.part:
        case Part.TEXT:
            return place | {"content_index": 0}
        case Part.REASONING:
            return place | {"summary_index": 0}
        case Part.CALL:
            return place


def _part_event(
    answer: Answer, job: Job, step: Step, what: str, content: dict[str, Any]
) -> dict[str, Any]:
    event = {"type": f"{_EVENT_NAMES[step.token.part]}.{what}"} | _place(answer, job, step)
    if step.token.part is Part.TEXT:
        event["logprobs"] = []
    return event | content


def _opening(answer: Answer, job: Job, step: Step) -> Iterator[dict[str, Any]]:
    item = _item(answer, job, step)
    yield {"type": "response.output_item.added", "output_index": step.index, "item": item}
    if step.token.part is not Part.CALL:
        yield _whole_part(answer, job, step, "added")


def _closing(
    answer: Answer, job: Job, step: Step, item: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    name = "arguments" if step.token.part is Part.CALL else "text"
    yield _part_event(answer, job, step, "done", {name: step.content})
    if step.token.part is not Part.CALL:
        yield _whole_part(answer, job, step, "done")
    yield {"type": "response.output_item.done", "output_index": step.index, "item": item}


def _whole_part(answer: Answer, job: Job, step: Step, what: str) -> dict[str, Any]:
    make = _text_part if step.token.part is Part.TEXT else _summary_part
    event = {"type": f"{_PART_NAMES[step.token.part]}.{what}"} | _place(answer, job, step)
    return event | {"part": make(step.content)}
