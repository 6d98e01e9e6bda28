"""What a wait is laid to: collections, our turns, others, the way."""

import asyncio
import gc
import time

import pytest
from benchmarks.loop_turns import CAUSES, LoopWatch, Turn


def test_parts_of_a_wait_add_up_to_it() -> None:
    turns = [Turn(0, 100, 100), Turn(200, 300, 50), Turn(300, 500, 200)]
    watch = LoopWatch(turns, pauses=[(320, 360)])
    found = watch.causes(50, 400)
    # 50 of the first turn, half of the second, 100 of the third of which 40 collect.
    assert found == dict(zip(CAUSES, (40, 160, 50, 100), strict=True))
    assert sum(found.values()) == 350


def test_a_wait_beside_every_turn_is_the_way() -> None:
    assert LoopWatch([Turn(0, 10, 10)]).causes(20, 30) == dict(
        zip(CAUSES, (0, 0, 0, 10), strict=True)
    )


@pytest.mark.anyio
async def test_turns_and_collections_are_noted() -> None:
    watch = LoopWatch()
    with watch.watch():
        await asyncio.sleep(0)
        from_ns = time.perf_counter_ns()
        gc.collect()
        to_ns = time.perf_counter_ns()
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert watch.causes(from_ns, to_ns)[CAUSES[0]] > 0
    assert len(watch.pauses) == 1
    seen = len(watch.turns)
    assert seen >= 2
    await asyncio.sleep(0)
    assert len(watch.turns) == seen
