"""A virtual clock: timers fire in order, at once; hours pass in milliseconds."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from tokenline.clock import Clock

T = TypeVar("T")

_START_S = 1000.0
_PATIENCE_S = 5.0
_TURNS = 50


class StuckError(AssertionError):
    """Every task waits, and nothing is left that could wake one."""


class _JumpingSelector(selectors.SelectSelector):
    """Never waits: where a selector would sleep, the loop's time jumps ahead."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = _START_S

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            return self._wait_for_threads()
        ready = super().select(0)
        if not ready:
            self.now_s += timeout
        return ready

    def _wait_for_threads(self) -> Any:
        """Without a timer only another thread can go on; one that is at work is not waited for."""
        ready = super().select(_PATIENCE_S)
        if not ready:
            raise StuckError(
                "nothing can happen any more: every task waits and there is no timer;"
                " print the tasks (asyncio.all_tasks()) before the line that hangs"
            )
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is virtual; for tests without a network.

    Attributes:
        clock: a `Clock` on the loop's time; give it to the pipeline (`.clock(loop.clock)`).
    """

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        self.clock = Clock(self._now_ns, self._now_ns)

    def time(self) -> float:
        """Virtual seconds."""
        return self._jumping.now_s

    def _now_ns(self) -> int:
        return round(self._jumping.now_s * 1e9)


def virtual_clock() -> Clock:
    """The clock of the running `VirtualLoop`.

    Raises:
        TypeError: the running loop is no `VirtualLoop`.
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        raise TypeError("virtual_clock() needs run_virtual(...): the running loop is a real one")
    return loop.clock


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on a virtual clock: `asyncio.sleep(3600)` takes no time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


async def settle() -> None:
    """Return when every task that could go on without time passing has gone on."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)
