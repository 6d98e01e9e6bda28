"""The fast way through a chain: one loop over its stages instead of a call from each to the next.

It does what the actors do when all of them are idle, with their own counters; the first one that
is not idle takes over, and from there on its queue and its task do. How tokens really arrive, one
event a read, the code between the stages costs as much as the stages: this is that code, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from .actor import Actor, Inlet
from .batch import AnyBatch, Batch
from .stage_stats import Passed, StageStats

Feed = Callable[[list[Any], int, list[Any]], None]
Link = tuple[Actor, Feed, StageStats]


class FusedChain:
    """The inlet of a chain of actors whose steps do not await.

    Args:
        actors: the chain, in flow order; each one's only outlet is the next.
        below: what stands behind the last.
        now_ns: the clock.
    """

    __slots__ = ("_begun", "_below", "_last", "_links", "_now", "_passed")

    def __init__(self, actors: list[Actor], below: Inlet, now_ns: Callable[[], int]) -> None:
        self._links: tuple[Link, ...] = tuple(
            (actor, actor.step.feed, actor.stats) for actor in actors
        )
        self._last = actors[-1]
        self._below = below
        self._now = now_ns
        self._begun = False  # every stage has given something
        self._passed = Passed()
        for actor in actors:
            actor.stats.passed = self._passed

    def push_nowait(self, batch: AnyBatch) -> bool:
        """Handle the batch; False if the first stage has no room in its inbox."""
        now = self._now
        items = batch.items
        from_ns = now()
        if not self._begun or len(items) != 1:
            return self._push(iter(self._links), None, items, batch, from_ns)
        recv_ns = batch.recv_ns
        links = iter(self._links)
        for actor, feed, stats in links:
            if not actor.ready:
                above = self._count_before(actor, batch.size_bytes)
                return _hand_over(above, actor, batch, items)
            out: list[Any] = []
            try:
                feed(items, recv_ns, out)
            except (Exception, asyncio.CancelledError, GeneratorExit) as error:
                self._count_before(actor, batch.size_bytes)
                stats.taken(from_ns, now(), 1, len(out), batch.size_bytes)
                actor.break_down(batch, out, error)
                return True
            to_ns = now()
            if len(out) != 1:
                self._count_before(actor, batch.size_bytes)
                stats.taken(from_ns, to_ns, 1, len(out), batch.size_bytes)
                return not out or self._push(links, actor, out, batch, to_ns)
            # `StageStats.taken`, spelled out: a call for each stage and read is too much here.
            took_ns = to_ns - from_ns
            stats.processing_ns += took_ns
            if took_ns > stats.max_processing_ns:
                stats.max_processing_ns = took_ns
            stats.ended_ns = from_ns = to_ns
            items = out
        passed = self._passed
        passed.batches += 1
        passed.bytes += batch.size_bytes
        rest = Batch(items, recv_ns, batch.size_bytes)
        if not self._below.push_nowait(rest):
            self._last.hold(rest, self._below)
        return True

    def _push(
        self,
        links: Iterator[Link],
        above: Actor | None,
        items: list[Any],
        batch: AnyBatch,
        from_ns: int,
    ) -> bool:
        """Handle any batch from one of the stages on; `above` is the one before."""
        for actor, feed, stats in links:
            if not actor.ready:
                return _hand_over(above, actor, batch, items)
            out: list[Any] = []
            try:
                feed(items, batch.recv_ns, out)
            except (Exception, asyncio.CancelledError, GeneratorExit) as error:
                stats.taken(from_ns, self._now(), len(items), len(out), batch.size_bytes)
                actor.break_down(batch, out, error)
                return True
            to_ns = self._now()
            stats.taken(from_ns, to_ns, len(items), len(out), batch.size_bytes)
            if not out:
                return True
            items = out
            from_ns = to_ns
            above = actor
        self._begun = True
        rest = Batch(items, batch.recv_ns, batch.size_bytes)
        if not self._below.push_nowait(rest):
            self._last.hold(rest, self._below)
        return True

    def _count_before(self, last: Actor, size_bytes: int) -> Actor | None:
        """Count one item for each stage before `last`, now that not all go on with one."""
        above: Actor | None = None
        for actor, _, stats in self._links:
            if actor is last:
                break
            stats.items_in += 1
            stats.items_out += 1
            stats.batches += 1
            stats.bytes += size_bytes
            above = actor
        return above

    async def push(self, batch: AnyBatch) -> None:
        """Like `push_nowait`, waiting for room."""
        await self._links[0][0].push(batch)

    def close(self, error: BaseException | None) -> None:
        """Close the chain from its head."""
        self._links[0][0].close(error)


class FusedStage:
    """The inlet of one actor alone whose step does not await; a branch's, as a rule.

    Args:
        actor: it has one outlet.
        below: that outlet.
        now_ns: the clock.
    """

    __slots__ = ("_actor", "_below", "_feed", "_now", "_stats")

    def __init__(self, actor: Actor, below: Inlet, now_ns: Callable[[], int]) -> None:
        self._actor = actor
        self._feed: Feed = actor.step.feed
        self._stats = actor.stats
        self._below = below
        self._now = now_ns

    def push_nowait(self, batch: AnyBatch) -> bool:
        """Handle the batch; False if the stage has no room in its inbox."""
        if not self._actor.ready:
            return self._actor.push_nowait(batch)
        stats = self._stats
        now = self._now
        items = batch.items
        out: list[Any] = []
        from_ns = now()
        try:
            self._feed(items, batch.recv_ns, out)
        except (Exception, asyncio.CancelledError, GeneratorExit) as error:
            stats.taken(from_ns, now(), len(items), len(out), batch.size_bytes)
            self._actor.break_down(batch, out, error)
            return True
        to_ns = now()
        if out or not stats.started_ns:
            stats.taken(from_ns, to_ns, len(items), len(out), batch.size_bytes)
            if out:
                self._pass_on(Batch(out, batch.recv_ns, batch.size_bytes))
            return True
        # `StageStats.taken`, spelled out, for one that gives nothing: the accumulator.
        took_ns = to_ns - from_ns
        stats.processing_ns += took_ns
        if took_ns > stats.max_processing_ns:
            stats.max_processing_ns = took_ns
        stats.ended_ns = to_ns
        stats.items_in += len(items)
        stats.batches += 1
        stats.bytes += batch.size_bytes
        return True

    async def push(self, batch: AnyBatch) -> None:
        """Like `push_nowait`, waiting for room."""
        await self._actor.push(batch)

    def close(self, error: BaseException | None) -> None:
        """Close the actor."""
        self._actor.close(error)

    def _pass_on(self, rest: AnyBatch) -> None:
        if not self._below.push_nowait(rest):
            self._actor.hold(rest, self._below)


def _hand_over(above: Actor | None, below: Actor, batch: AnyBatch, items: list[Any]) -> bool:
    """Give what there is to one that is not idle; if it has no room, the one before keeps it."""
    if above is None:
        return below.push_nowait(batch)
    rest = Batch(items, batch.recv_ns, batch.size_bytes)
    if not below.push_nowait(rest):
        above.hold(rest, below)
    return True


def fuse(actors: list[Actor], below: Inlet, now_ns: Callable[[], int]) -> Inlet:
    """The fastest inlet that does the same as the first actor's own."""
    if actors and all(actor.ready for actor in actors):
        if len(actors) == 1:
            return FusedStage(actors[0], below, now_ns)
        return FusedChain(actors, below, now_ns)
    return actors[0] if actors else below
