"""The transport: requests through a real socket of this machine, whole pipeline beside the floor.

The server of `make bench-peers` answers from a process of its own, so that its CPU is not counted:
64 events in one write, which is one read as a rule. Both clients keep their connection.
"""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache

from benchmarks.clients.contract import Client
from benchmarks.clients.floor import Floor
from benchmarks.clients.tokenline import without_telemetry
from benchmarks.measures import headers_of
from benchmarks.sender import SenderProcess

from .case import Case, Work, close_later, looped

SOCKET_FLOOR = "socket floor"
_EVENTS = 64
_AT_ONCE = {"ttft_s": 0.0, "inter_token_s": 0.0, "tokens": _EVENTS, "events_per_write": _EVENTS + 8}


@cache
def _url() -> str:
    """The server's address; it ends with this process."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(SenderProcess()).url


def _reading(client: Client) -> tuple[Work, int]:
    headers = headers_of(_AT_ONCE)
    close_later(client.aclose)

    async def work() -> None:
        seen = await client.read(headers)
        assert seen == _EVENTS, seen

    return looped(work), 1


def shared_cases() -> Iterator[Case]:
    """The floor and the pipeline."""
    yield Case(SOCKET_FLOOR, "request", lambda: _reading(Floor(_url())))
    yield Case(
        "socket openai.chat",
        "request",
        lambda: _reading(without_telemetry(_url())),
        floor=SOCKET_FLOOR,
    )


CASES = tuple(shared_cases())
