"""Wakes the task that reads in the same turn of the event loop that brought what it waits for.

A future wakes its task by way of the loop's queue: a turn more for every token, with one more
question to the selector. That is a third of what a token costs when it comes alone. A read
callback that has handed everything on can let the waiting task go on at once instead; nothing
else runs in between that would have run before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any

_IN_ASYNCIO = vars(asyncio)  # `hasattr` would write an error message for each token


class Wakes:
    """Waiters of one run that go on when what a read brought has been handed on.

    Attributes:
        due: who goes on at the end of this read.
        held: a read is being handed on; nobody is woken before that is done.
        releasing: those who wait are being let go on, one after the other; for `pass_to`.
    """

    __slots__ = ("due", "held", "releasing")

    def __init__(self) -> None:
        self.held = self.releasing = False
        self.due: list[Waiter] = []

    def release(self) -> None:
        """The read is handed on: let those who wait for it go on, here and now."""
        self.held = False
        due = self.due
        if not due:
            return
        try:
            while due:
                due.pop(0).resume()
        finally:
            # Left over where one of them ended the program: the others see to their clean-up.
            while due:
                due.pop(0).resume_soon()

    def pass_to(self, other: Wakes | None) -> None:
        """The read is handed on, but inside a task: those who wait for it go on after that task.

        Args:
            other: what let this task go on, if something did: it sees to them too, in this turn
                of the loop, while it is at work.
        """
        self.held = False
        if other is not None and other.releasing:
            other.due += self.due
        else:
            for waiter in self.due:
                waiter.resume_soon()
        self.due.clear()


class Waiter:
    """What a task awaits: a future, as far as tasks look, that can do without the loop's queue.

    Tasks take any object with the protocol of futures (`asyncio.isfuture`). One task awaits it,
    once.

    Args:
        loop: the loop of that task.
        wakes: while a read is being handed on, that is waited for; None wakes as futures do.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_cancelled",
        "_context",
        "_done",
        "_loop",
        "_wakes",
        "_wakeup",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, wakes: Wakes | None = None) -> None:
        self._asyncio_future_blocking = False
        self._loop = loop
        self._wakes = wakes
        self._wakeup: Callable[[Waiter], object] | None = None
        self._context: Context | None = None
        self._done = False
        self._cancelled: asyncio.CancelledError | None = None

    def __await__(self) -> Generator[Waiter, None, None]:
        if not self._done:
            self._asyncio_future_blocking = True
            yield self
        if self._cancelled is not None:
            raise self._cancelled

    def set(self) -> None:
        """What was waited for is there. Idempotent."""
        if self._done:
            return
        self._done = True
        if self._wakes is not None and self._wakes.held:
            self._wakes.due.append(self)
        else:
            self.resume_soon()

    def resume(self) -> None:
        """Let the task go on, before this returns if nothing is in its way."""
        # With `nest_asyncio` a loop that the reader runs would call this read back.
        if self._wakeup is None or self._context is None or "_nest_patched" in _IN_ASYNCIO:
            self.resume_soon()
            return
        try:
            self._context.run(self._wakeup, self)
        except RuntimeError:
            # It did not begin: a task is running here, or something in the same context.
            self.resume_soon()

    def resume_soon(self) -> None:
        """Let the task go on in the loop's next turn."""
        if self._wakeup is not None:
            self._loop.call_soon(self._wakeup, self, context=self._context)

    def let_go(self) -> None:
        """Nobody waits any more: forget who did, and the error, whose traceback leads to them."""
        self._wakeup = self._context = self._cancelled = None

    # --- what asyncio's tasks ask of a future ------------------------------------------------

    def add_done_callback(
        self, wakeup: Callable[[Waiter], object], /, *, context: Context | None = None
    ) -> None:
        """How to let the task go on."""
        self._wakeup = wakeup
        self._context = context

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the task."""
        return self._loop

    def done(self) -> bool:
        """Whether there is nothing to wait for any more."""
        return self._done

    def result(self) -> None:
        """Nothing; raises `CancelledError` if the task was cancelled meanwhile."""
        if self._cancelled is not None:
            raise self._cancelled

    def cancel(self, msg: Any = None) -> bool:
        """The task is cancelled; False if it was to go on already.

        The message stays with the error: by it whoever cancelled knows its own cancellation.
        """
        if self._done:
            return False
        self._done = True
        self._cancelled = asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg)
        self.resume_soon()
        return True
