"""What a case is, and the event loop that all share."""

from __future__ import annotations

import asyncio
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
    """The loop that all cases share; whoever ends with them may close it."""
    return asyncio.new_event_loop()


def looped(work: Callable[[], Coroutine[Any, Any, Any]]) -> Work:
    """A coroutine function as work: each time one coroutine, run to its end."""
    loop = event_loop()
    return lambda: loop.run_until_complete(work())
