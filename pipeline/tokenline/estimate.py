"""Token counts by a local counter, for runs whose server reports none.

Counting starts when the response has ended, in a worker thread: the stream never waits for it.
`run.result()` and the run's record do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from .closed import ignore, refuse
from .events import Usage
from .result import Result

logger = logging.getLogger("tokenline")

TIMEOUT_S = 5.0
"""Longest wait for a count; a run whose counter takes longer stays without."""


class UsageEstimator(Protocol):
    """Counts the tokens of a request and of what came back."""

    def estimate(self, payload: Mapping[str, Any], result: Result) -> Usage:
        """Count. Called in a worker thread, by several runs at once."""
        ...


class Estimation:
    """The count of one run.

    Args:
        spawn: starts a task that the run owns.
        on_done: called once when the count is there, or is given up.

    Attributes:
        usage: the counts; None until they are there, and if counting failed.
    """

    __slots__ = ("_on_done", "_spawn", "_task", "usage")

    def __init__(
        self,
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
        on_done: Callable[[], None],
    ) -> None:
        self.usage: Usage | None = None
        self._spawn = spawn
        self._on_done = on_done
        self._task: asyncio.Task[None] | None = None

    @property
    def pending(self) -> bool:
        """Counting is under way."""
        return self._task is not None

    def start(self, estimator: UsageEstimator, payload: Mapping[str, Any], result: Result) -> None:
        """Begin to count."""
        self._task = self._spawn(self._count(estimator, payload, result), "token-counter")

    def let_go(self) -> None:
        """The run is closed: forget it."""
        self._spawn = refuse
        self._on_done = ignore

    async def wait(self) -> None:
        """Return when nothing is pending any more."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _count(
        self, estimator: UsageEstimator, payload: Mapping[str, Any], result: Result
    ) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                self.usage = await asyncio.to_thread(estimator.estimate, payload, result)
        except TimeoutError:
            logger.warning("the token counter took more than %g s; usage stays unknown", TIMEOUT_S)
        except Exception as error:
            logger.warning(
                "the token counter failed, usage stays unknown: %s: %s", type(error).__name__, error
            )
        finally:
            self._task = None
            self._on_done()
