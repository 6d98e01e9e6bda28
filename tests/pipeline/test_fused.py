"""The fast way through a chain counts what the actors themselves would."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenline.actor import Actor, ActorSetup, Inlet
from tokenline.batch import AnyBatch, Batch
from tokenline.clock import SYSTEM_CLOCK
from tokenline.fused import FusedChain, FusedStage, fuse
from tokenline.record import StageKind
from tokenline.stage_stats import ActorSpec

_FAILS = -1


class Scripted:
    """A step that gives so many items for each batch, in turn."""

    def __init__(self, counts: Sequence[int]) -> None:
        self._counts = iter(counts)

    def feed(self, items: Sequence[Any], recv_ns: int, out: list[Any]) -> None:
        """Give what the script says."""
        count = next(self._counts, 1)
        if count == _FAILS:
            out.append(0)
            raise ValueError("the script says so")
        out += range(count)

    def finish(self, recv_ns: int, out: list[Any]) -> None:
        """Nothing."""


class Taking:
    """Takes everything."""

    def __init__(self) -> None:
        self.taken: list[tuple[list[Any], int]] = []

    def push_nowait(self, batch: AnyBatch) -> bool:
        """Keep it."""
        self.taken.append((batch.items, batch.size_bytes))
        return True

    async def push(self, batch: AnyBatch) -> None:
        """Keep it."""
        self.push_nowait(batch)

    def close(self, error: BaseException | None) -> None:
        """Nothing."""


def chain(scripts: Sequence[Sequence[int]]) -> tuple[list[Actor], Taking]:
    setup = ActorSetup(SYSTEM_CLOCK, lambda work, name: asyncio.ensure_future(work))
    end = Taking()
    below: Inlet = end
    actors: list[Actor] = []
    for index, counts in reversed(list(enumerate(scripts))):
        spec = ActorSpec(f"stage {index}", StageKind.PARSER, index)
        actor = Actor(spec, setup, Scripted(counts), [below], lambda actor, error: None)
        actors.insert(0, actor)
        below = actor
    return actors, end


def counts_of(actors: list[Actor]) -> list[tuple[int, ...]]:
    records = [actor.record(1) for actor in actors]
    return [(r.items_in, r.items_out, r.batches, r.bytes, r.errors) for r in records]


some_counts = st.lists(st.sampled_from([1, 1, 1, 1, 0, 2, _FAILS]), max_size=8)
some_sizes = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 9)), max_size=10)


@given(st.lists(some_counts, min_size=1, max_size=3), some_sizes)
def test_counts_and_items_are_those_of_the_actors(
    scripts: list[list[int]], sizes: list[tuple[int, int]]
) -> None:
    fused, fused_end = chain(scripts)
    plain, plain_end = chain(scripts)
    inlet = fuse(fused, fused_end, SYSTEM_CLOCK.now_ns)
    for count, size_bytes in sizes:
        batch: AnyBatch = Batch(list(range(count)), 0, size_bytes)
        inlet.push_nowait(batch)
        plain[0].push_nowait(batch)
    assert counts_of(fused) == counts_of(plain)
    assert fused_end.taken == plain_end.taken


@pytest.mark.parametrize(("stages", "kind"), [(1, FusedStage), (2, FusedChain)])
def test_the_fastest_way_is_taken(stages: int, kind: type) -> None:
    actors, end = chain([[]] * stages)
    assert type(fuse(actors, end, SYSTEM_CLOCK.now_ns)) is kind


def test_a_stage_that_is_not_idle_takes_over_after_single_items() -> None:
    async def run() -> None:
        actors, end = chain([[], []])
        inlet = fuse(actors, end, SYSTEM_CLOCK.now_ns)
        one: AnyBatch = Batch([0], 0, 5)
        for _ in range(3):
            inlet.push_nowait(one)
        actors[1].ready = False
        actors[1]._busy = True
        inlet.push_nowait(one)
        await asyncio.sleep(0)  # its own task takes it from its queue
        assert counts_of(actors) == [(4, 4, 4, 20, 0), (4, 4, 4, 20, 0)]
        assert len(end.taken) == 4

    asyncio.run(run())
