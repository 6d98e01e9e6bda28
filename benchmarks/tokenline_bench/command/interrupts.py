"""Ctrl-C from the start of a measurement until its last file is written."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupts:
    """Takes SIGINT and SIGTERM: passed on to a loop while there is one, else only counted.

    asyncio's own handlers end with their loop, and what was measured is saved after that.

    Attributes:
        count: how many there were.
    """

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[int, Any] = {}
        self._target: tuple[asyncio.AbstractEventLoop, Callable[[], None]] | None = None

    def attach(self, loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> None:
        """Call `action` in the loop at each one from now on, and for those there were."""
        self._target = (loop, action)
        for _ in range(self.count):
            loop.call_soon(action)

    def detach(self) -> None:
        """Only count from now on."""
        self._target = None

    def __enter__(self) -> Self:
        with contextlib.suppress(ValueError):  # not the main thread: signals go elsewhere
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self._target is not None:
            loop, action = self._target
            loop.call_soon_threadsafe(action)
