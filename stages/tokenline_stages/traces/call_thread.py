"""Awaits calls that may block, in one daemon thread: a hung call holds up nobody's exit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

_Calls = SimpleQueue[Callable[[], None] | None]


class CallThread:
    """Runs calls one after the other.

    Args:
        name: name of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: _Calls | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; from Python 3.12 on none can be started at the end of the process.

        Raises:
            RuntimeError: it is too late for that.
        """
        # After a fork there is a queue and no thread.
        if self._calls is None or self._thread is None or not self._thread.is_alive():
            calls: _Calls = SimpleQueue()
            thread = threading.Thread(target=_run, args=(calls,), name=self._name, daemon=True)
            thread.start()
            self._calls, self._thread = calls, thread

    def stop(self) -> None:
        """End the thread after what it was given; one that hangs is left to itself."""
        if self._calls is not None:
            self._calls.put(None)
            self._calls = None

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Have `function` run there and wait for what it gives; raises what it raises."""
        self.start()
        assert self._calls is not None
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def run() -> None:
            try:
                result = function(*args)
            except Exception as error:
                _tell(loop, done, error)
            else:
                _tell(loop, done, None, result)

        self._calls.put(run)
        return await done


def _tell(
    loop: asyncio.AbstractEventLoop,
    done: asyncio.Future[T],
    error: Exception | None,
    *result: T,
) -> None:
    def settle() -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(*result)

    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(settle)


def _run(calls: _Calls) -> None:
    while (call := calls.get()) is not None:
        call()
