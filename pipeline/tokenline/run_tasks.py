"""The tasks of one run: started in its context, and waited for by whoever closes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from .closed import ignore
from .wake import Waiter


class RunTasks:
    """All tasks that one run owns.

    Args:
        loop: where they run.
        on_done: called with each one that is done.

    Attributes:
        running: those that are not done.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_done: Callable[[asyncio.Task[Any]], None]
    ) -> None:
        self.running: set[asyncio.Task[Any]] = set()
        self._loop = loop
        self._on_done = on_done
        self._closers: list[Waiter] = []

    def spawn(
        self, work: Coroutine[Any, Any, Any], name: str, context: Context
    ) -> asyncio.Task[Any]:
        """Start a task in a copy of `context`."""
        try:
            task = self._loop.create_task(work, name=f"tokenline:{name}", context=context.copy())
        except BaseException:
            work.close()
            raise
        self.running.add(task)
        task.add_done_callback(self._done)
        return task

    def others(self) -> set[asyncio.Task[Any]]:
        """Those that are not done, but for the one that asks."""
        return self.running - {asyncio.current_task()}

    def cancel(self) -> None:
        """Cancel all."""
        for task in self.running:
            task.cancel()

    async def others_end(self, within_s: float | None) -> bool:
        """Return when none but the one that asks is left; False if one is, after that time."""
        late = False

        def expire() -> None:
            nonlocal late
            late = True
            self._wake_closers()

        timer = None if within_s is None else self._loop.call_later(within_s, expire)
        try:
            while not late and self.others():
                closer = Waiter(self._loop)
                self._closers.append(closer)
                try:
                    await closer
                finally:
                    self._closers.remove(closer)
        finally:
            if timer is not None:
                timer.cancel()
        return not late

    def let_go(self) -> None:
        """No task is left, and nobody is to hear of one."""
        self._on_done = ignore

    def _done(self, task: asyncio.Task[Any]) -> None:
        self.running.discard(task)
        self._on_done(task)
        self._wake_closers()

    def _wake_closers(self) -> None:
        for closer in self._closers:
            closer.set()
