"""Answers ready to be sent: the simulator's, rendered once for each plan and path."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from tokenline_stages.simulator.apis import find_route
from tokenline_stages.simulator.apis.api import Job
from tokenline_stages.simulator.frames import PLACEHOLDER
from tokenline_stages.simulator.plan import Plan, ToolCall
from tokenline_stages.simulator.transmission import plan_transmission

_MESSAGE_ID = b"0" * len(PLACEHOLDER)
_LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        writes: bytes of each write, chunked coding included; the head goes before the first.
        due_ns: planned time of each write, after the request's arrival.
        tokens: how many content events each write completes.
    """

    writes: tuple[bytes, ...]
    due_ns: tuple[int, ...]
    tokens: tuple[int, ...]


@lru_cache(maxsize=2048)
def prepare(path: str, plan_text: str, arguments: str, include_usage: bool) -> Answer | None:
    """The answer to a request; None where no API is at that path.

    Args:
        path: the request's.
        plan_text: the simulator's plan, JSON; empty for the default one.
        arguments: `BYTES/FRAGMENTS`: add a tool call of that size in so many pieces.
        include_usage: the request asks for token counts.
    """
    route = find_route(path)
    if route is None:
        return None
    plan = Plan().with_changes(msgspec.json.decode(plan_text)) if plan_text else Plan()
    if arguments:
        plan = msgspec.structs.replace(plan, tool_calls=(_tool_call(arguments),))
    job = Job(plan, "sim", PLACEHOLDER, include_usage, path=path)
    planned = plan_transmission(route[0], job, 0, True, PLACEHOLDER)
    progress = planned.layout.progress
    tokens, before = [], 0
    for events in progress.events:
        tokens.append(sum(progress.content[before:events]))
        before = events
    writes = [data.replace(PLACEHOLDER.encode(), _MESSAGE_ID) for data in planned.layout.payloads]
    writes[-1] += _LAST_CHUNK
    return Answer(tuple(writes), planned.due_ns, tuple(tokens))


def _tool_call(size: str) -> ToolCall:
    size_bytes, fragments = map(int, size.split("/"))
    text = msgspec.json.encode({"text": "word " * (size_bytes // 5)}).decode()
    return ToolCall(arguments=text, fragments=fragments)


def wants_usage(body: bytes) -> bool:
    """Whether a chat request asks for token counts."""
    payload: Any = msgspec.json.decode(body)
    options = payload.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True
