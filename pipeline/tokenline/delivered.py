"""Accumulates what a run's attempts deliver, at the moment they do.

A response is continued after all that was delivered. The run's own accumulator may be behind:
where a slow reader holds up the fan-out, or with queues between the stages.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

from .actor import Inlet, open_step
from .batch import AnyBatch
from .pipeline import Pipeline
from .record import StageKind, Timings
from .result import Result
from .stage import StepContext


class Delivered:
    """Stands before the fan-out and keeps a result of its own.

    Args:
        pass_on: the fan-out.
        step: a step of the pipeline's accumulator.
        now_ns: the clock.
    """

    def __init__(self, pass_on: Inlet, step: Any, now_ns: Callable[[], int]) -> None:
        self._pass_on = pass_on
        self._step = step
        self._now = now_ns

    def push_nowait(self, batch: AnyBatch) -> bool:
        """Pass on, and accumulate what was taken."""
        if not self._pass_on.push_nowait(batch):
            return False
        self._step.feed(batch.items, batch.recv_ns, [])
        return True

    async def push(self, batch: AnyBatch) -> None:
        """Like `push_nowait`, waiting for room."""
        await self._pass_on.push(batch)
        self._step.feed(batch.items, batch.recv_ns, [])

    def close(self, error: BaseException | None) -> None:
        """Pass on."""
        self._pass_on.close(error)

    def snapshot(self) -> Result:
        """All that was delivered."""
        result: Result = self._step.snapshot(outcome=None, error=None, timings=Timings(self._now()))
        return result


def keep_delivered(
    plan: Pipeline, context: StepContext, pass_on: Inlet, now_ns: Callable[[], int]
) -> Delivered | None:
    """Keeps what is delivered; None where no accumulator, or only one that awaits, is there."""
    for branch in plan.branches:
        if branch.kind is StageKind.ACCUMULATOR and branch.stage is not None:
            step = open_step(branch.stage, context)
            return None if iscoroutinefunction(step.feed) else Delivered(pass_on, step, now_ns)
    return None
