"""Rules that are checked with the stage in an actor, as in a pipeline, and a reader with demand."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tokenline.actor import Actor, ActorSetup, Inlet
from tokenline.batch import AnyBatch, Batch
from tokenline.fused import fuse
from tokenline.options import Capacity, Execution
from tokenline.record import StageKind
from tokenline.stage_stats import ActorSpec

from .feeding import PATIENCE_S, at_random, singly, whole
from .loop import run_virtual, settle, virtual_clock
from .memory_rules import count_new, fresh_heap
from .rule import Broken, rule
from .stage_case import Sample, StageCase

_AMPLE = 1 << 30


class DemandInlet:
    """Takes as many batches as were requested, and no more.

    Attributes:
        items: what was taken.
        most_over: most batches taken beyond what was requested; 0 unless somebody cheats.
        closed: the stage before it has ended.
        error: what it ended with.
        late: batches that came after the end.
    """

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.closed = False
        self.error: BaseException | None = None
        self.late = 0
        self._room = 0
        self._requested = asyncio.Event()

    def request(self, batches: int) -> None:
        """Take that many batches more; requests add up (3.8)."""
        self._room += batches
        self._requested.set()

    def push_nowait(self, batch: AnyBatch) -> bool:
        """Take a batch if one is wanted."""
        if self.closed:
            self.late += 1
        if not self._room:
            return False
        self._room -= 1
        self.items += batch.items
        return True

    async def push(self, batch: AnyBatch) -> None:
        """Take a batch when one is wanted."""
        while not self.push_nowait(batch):
            self._requested.clear()
            await self._requested.wait()

    def close(self, error: BaseException | None) -> None:
        """Note the end."""
        self.closed = True
        self.error = error


@dataclass
class Rig:
    """One step in an actor, between a feeder and a `DemandInlet`."""

    case: StageCase
    sample: Sample
    execution: Execution
    failures: list[BaseException] = field(default_factory=list)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    def __post_init__(self) -> None:
        clock = virtual_clock()
        self.outlet = DemandInlet()
        stage = self.case.stage
        self.actor = Actor(
            ActorSpec(stage.name, StageKind.STEP, 0, Capacity(max_items=1)),
            ActorSetup(clock, self._spawn, self.execution),
            stage.open(self.sample.context),
            [self.outlet],
            lambda _, error: self.failures.append(error),
        )
        self.inlet: Inlet = fuse([self.actor], self.outlet, clock.now_ns)

    def _spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, name=name)
        self.tasks.add(task)
        return task

    async def feed(self, batches: Sequence[Sequence[Any]]) -> None:
        """Push all batches, waiting for room, then end the input."""
        for items in batches:
            batch: AnyBatch = Batch(list(items), 1, 1)
            if not self.inlet.push_nowait(batch):
                await self.inlet.push(batch)
        self.inlet.close(None)

    async def drain(self, seed: int) -> None:
        """Request a few batches at a time until the end."""
        random = Random(seed)
        for _ in range(_AMPLE):
            if self.outlet.closed:
                return
            self.outlet.request(random.choice((1, 1, 2, 5)))
            await asyncio.sleep(random.choice((0, 0, 0.5)))

    async def end(self) -> None:
        """Wait for the actor's tasks."""
        await asyncio.gather(*self.tasks, return_exceptions=True)


@rule
def fused_equals_queued(case: StageCase) -> None:
    """The same items and errors whether it runs in the feeding task or behind its queue.

    Under back-pressure too, with a reader that takes a batch at a time. (1.1: never more than was
    requested; 1.3: one call at a time; 1.7: nothing after the end.)
    """
    for sample in case.samples:
        for number, batches in enumerate((whole(sample.items), at_random(sample.items, 1))):
            fused = run_virtual(_through(case, sample, Execution.FUSED, batches, number))
            queued = run_virtual(_through(case, sample, Execution.QUEUED, batches, number))
            if fused != queued:
                raise Broken(f"{sample}: fused {_tell(fused)}, queued {_tell(queued)}")


async def _through(
    case: StageCase, sample: Sample, execution: Execution, batches: Sequence[Sequence[Any]], n: int
) -> tuple[list[Any], type | None, Any]:
    rig = Rig(case, sample, execution)
    limit = asyncio.timeout(PATIENCE_S * max(1, len(batches)))
    try:
        async with limit:
            await asyncio.gather(rig.feed(batches), rig.drain(n))
            await rig.end()
    except TimeoutError:
        raise Broken(f"{sample}, {execution}: it did not come to its end") from None
    if rig.outlet.late:
        raise Broken(f"{sample}, {execution}: it gave something after its end")
    error = rig.outlet.error
    cause = error.__cause__ or error if error is not None else None
    return rig.outlet.items, type(cause) if cause else None, case.state_of(rig.actor.step)


def _tell(outcome: tuple[list[Any], type | None, Any]) -> str:
    items, error, _ = outcome
    end = error.__name__ if error is not None else "a good end"
    return f"gave {len(items)} items and came to {end}"


@rule
def stops_when_dropped(case: StageCase) -> None:
    """A run dropped in the middle leaves no task and no step, and gives nothing (3.12, 3.13)."""
    kind = type(case.stage.open(case.samples[0].context))
    with fresh_heap():
        for sample in case.samples:
            for execution in Execution:
                run_virtual(_drop(case, sample, execution))
                if count_new(kind):
                    raise Broken(f"{sample}, {execution}: its {kind.__name__} outlived the run")


async def _drop(case: StageCase, sample: Sample, execution: Execution) -> None:
    rig = Rig(case, sample, execution)
    feeder = asyncio.create_task(rig.feed(singly(sample.items)[:50]))
    rig.outlet.request(2)
    await settle()
    rig.actor.abort()
    for task in (feeder, *rig.tasks):
        task.cancel()
    _, running = await asyncio.wait({feeder, *rig.tasks}, timeout=PATIENCE_S)
    if running:
        raise Broken(f"{sample}, {execution}: {len(running)} tasks go on after it was dropped")
    given = len(rig.outlet.items)
    await settle()
    if len(rig.outlet.items) != given:
        raise Broken(f"{sample}, {execution}: it gave items after it was dropped")
