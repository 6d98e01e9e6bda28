"""Rules of steps that await: cancellation and what they leave running."""

from __future__ import annotations

import asyncio
from typing import Any

from .feeding import PATIENCE_S, Hand, singly
from .loop import run_virtual, settle
from .rule import Broken, rule, skip
from .stage_case import Sample, StageCase

CANCEL_AFTER_S = (0.0, 0.001, 0.01, 0.1, 1.0, 10.0, 60.0)


@rule
def can_be_cancelled(case: StageCase) -> None:
    """Wherever it awaits, a cancel ends it at once, and it gives nothing any more (3.12)."""
    if not case.is_async:
        raise skip("the step does not await")
    for sample in case.samples:
        for after_s in CANCEL_AFTER_S:
            run_virtual(_cancel(case, sample, after_s))


async def _cancel(case: StageCase, sample: Sample, after_s: float) -> None:
    hand = Hand(case.stage.open(sample.context))
    task = asyncio.create_task(_run(hand, sample))
    await asyncio.sleep(after_s)
    if not task.cancel():
        return
    at_s = asyncio.get_running_loop().time()
    await asyncio.wait({task}, timeout=PATIENCE_S)
    if not task.done():
        raise Broken(f"{sample}: cancelled after {after_s:g} s, it goes on")
    took_s = asyncio.get_running_loop().time() - at_s
    if not task.cancelled():
        how = f"raised {task.exception()!r}" if task.exception() else "came back as if nothing was"
        raise Broken(f"{sample}: cancelled after {after_s:g} s, it {how}")
    if took_s > 0:
        raise Broken(f"{sample}: cancelled after {after_s:g} s, it took {took_s:g} s more")
    given = [len(out) for out, _ in hand.given]
    await asyncio.sleep(PATIENCE_S)
    if [len(out) for out, _ in hand.given] != given:
        raise Broken(f"{sample}: it gave items after it was cancelled")


@rule
def leaves_no_task(case: StageCase) -> None:
    """Tasks that a step starts are over when it has finished, raised or was cancelled (3.12)."""
    if not case.is_async:
        raise skip("the step does not await")
    for sample in case.samples:
        for after_s in (None, *CANCEL_AFTER_S):
            run_virtual(_count_tasks(case, sample, after_s))


async def _count_tasks(case: StageCase, sample: Sample, after_s: float | None) -> None:
    hand = Hand(case.stage.open(sample.context))
    task = asyncio.create_task(_run(hand, sample))
    await asyncio.wait({task}, timeout=PATIENCE_S if after_s is None else after_s)
    task.cancel()
    await asyncio.wait({task}, timeout=PATIENCE_S)
    await settle()
    left: set[asyncio.Task[Any]] = asyncio.all_tasks() - {task}
    left.discard(asyncio.current_task())
    if left:
        names = ", ".join(sorted(str(task.get_coro()) for task in left))
        how = "finished" if after_s is None else f"was cancelled after {after_s:g} s"
        raise Broken(f"{sample}: it {how}, and these go on: {names}")


async def _run(hand: Hand, sample: Sample) -> None:
    try:
        for batch in singly(sample.items):
            await hand.feed(batch)
        await hand.finish()
    except Exception:
        return  # other rules look at errors
