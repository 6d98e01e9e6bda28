"""What a case is, and the event loop that all share."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import cache
from typing import Any

Work = Callable[[], object]

FLOOR = "floor"


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure.

    Attributes:
        name: what it is.
        unit: what is counted: `event`, `run`, `request`.
        prepare: makes the input; gives the work and how many units it does.
        floor: the case that its cost is compared with.
    """

    name: str
    unit: str
    prepare: Callable[[], tuple[Work, int]]
    floor: str = FLOOR


@cache
def event_loop() -> asyncio.AbstractEventLoop:
    """The loop that all cases share."""
    atexit.register(close_loop)
    return asyncio.new_event_loop()


_closing: list[Callable[[], Coroutine[Any, Any, None]]] = []


def close_later(close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Let `close_loop` await this."""
    _closing.append(close)


def close_loop() -> None:
    """Close what cases hold open, and their loop; for whoever ends with them."""
    loop = event_loop()
    if loop.is_closed():
        return
    while _closing:
        loop.run_until_complete(_closing.pop()())
    loop.run_until_complete(asyncio.sleep(0))  # transports close in a turn of their own
    loop.close()


def looped(work: Callable[[], Coroutine[Any, Any, Any]]) -> Work:
    """A coroutine function as work: each time one coroutine, run to its end."""
    loop = event_loop()
    return lambda: loop.run_until_complete(work())
