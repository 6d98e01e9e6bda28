"""Runs levels of load in one process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice

import msgspec

from tokenline_bench.sample import Outcome, Sample
from tokenline_bench.work.conversation import Message, Source, Turn

from .arrivals import schedule_ns
from .budget import Budget, share
from .client import Client
from .dealing import Dealing
from .measure import Measurement, Order
from .spec import ClosedLoop, Load, OpenLoop, TimedTrace

_NS = 1_000_000_000
SampleSink = Callable[[Sample], None]


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """One level of load, as every process gets it.

    Attributes:
        number: from 0; -1 for the warm-up.
        load: how requests come.
        start_ns: when it begins, monotonic.
        requests: most requests of all processes together.
        duration_s: longest time in which requests are sent.
        first: number of its first piece of work.
    """

    number: int
    load: Load
    start_ns: int
    requests: int | None = None
    duration_s: float | None = None
    first: int = 0


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of the load this process generates.

    Attributes:
        worker: its number, from 0.
        workers: how many there are.
    """

    worker: int = 0
    workers: int = 1


ALL = Share()
"""All of the load."""


class Generator:
    """Sends requests by a level's plan; every measured request goes to `sink`.

    Args:
        clients: the endpoints.
        work: what is asked.
        dealing: who gets what.
        sink: takes samples as they are made.
        part: which part of the load this process generates.
        timeout_s: longest time of one request.
        grace_s: how long requests under way may take after the level's time.
    """

    def __init__(
        self,
        clients: Sequence[Client],
        work: Source,
        dealing: Dealing,
        sink: SampleSink,
        *,
        part: Share = ALL,
        timeout_s: float | None = None,
        grace_s: float = 30.0,
    ) -> None:
        self._clients = clients
        self._work = work
        self._dealing = dealing
        self._sink = sink
        self._part = part
        self._timeout_s = timeout_s
        self._grace_s = grace_s
        self._budget = Budget(0, None)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, level: Level) -> None:
        """Run a level to its end; requests that outlast it are noted as unfinished."""
        until = level.start_ns + round(level.duration_s * _NS) if level.duration_s else None
        self._budget = Budget(_part_of_requests(level, self._part), until)
        sending = asyncio.create_task(self._send(level))
        self._tasks.add(sending)
        try:
            await asyncio.wait({sending}, timeout=_seconds_left(until, self._grace_s))
            if arrived := self._tasks - {sending}:
                await asyncio.wait(arrived, timeout=_seconds_left(until, self._grace_s))
        finally:
            await self._drop_tasks()
        if not sending.cancelled():
            await sending  # for what it may have raised

    async def stop(self) -> None:
        """Send nothing more and drop what is under way."""
        self._budget.stop()
        await self._drop_tasks()

    async def _drop_tasks(self) -> None:
        tasks = [task for task in self._tasks if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._tasks.clear()

    async def _send(self, level: Level) -> None:
        await _sleep_until(level.start_ns)
        match level.load:
            case ClosedLoop() as load:
                await self._send_closed(level, load)
            case OpenLoop() as load:
                times = self._own(schedule_ns(load, self._dealing.seed + level.number))
                await self._send_open(level, times, load.max_concurrency)
            case TimedTrace() as load:
                await self._send_open(level, self._trace_times(load), load.max_concurrency)

    def _own(self, everything: Iterator[int]) -> Iterator[tuple[int, int]]:
        """The entries that this process takes, with their numbers."""
        numbered = zip(count(), everything, strict=False)
        return islice(numbered, self._part.worker, None, self._part.workers)

    def _trace_times(self, load: TimedTrace) -> Iterator[tuple[int, int]]:
        times = self._work.times_s() or ()
        each = (round(at * _NS / load.speed) for at in times for _ in self._clients)
        return self._own(iter(each))

    # --- closed loop -----------------------------------------------------------------------

    async def _send_closed(self, level: Level, load: ClosedLoop) -> None:
        part = self._part
        numbers = count(level.first + part.worker, part.workers)
        users = share(load.concurrency, part.worker, part.workers) or 0
        step_ns = round(load.ramp_s * _NS / load.concurrency)
        async with asyncio.TaskGroup() as group:
            for user in range(users):
                place = part.worker + user * part.workers
                begin_ns = level.start_ns + place * step_ns
                group.create_task(self._be_user(level, numbers, begin_ns))

    async def _be_user(self, level: Level, numbers: Iterator[int], begin_ns: int) -> None:
        await _sleep_until(begin_ns)
        while self._budget.open:
            await self._converse(level, next(numbers), time.perf_counter_ns())

    # --- open loop -------------------------------------------------------------------------

    async def _send_open(
        self, level: Level, times: Iterator[tuple[int, int]], most: int | None
    ) -> None:
        room = self._room(most)
        for number, offset_ns in times:
            due_ns = level.start_ns + offset_ns
            if not self._budget.take_at(due_ns):
                return
            await _sleep_until(due_ns)
            task = asyncio.create_task(self._arrive(level, level.first + number, due_ns, room))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _room(self, most: int | None) -> asyncio.Semaphore | None:
        own = share(most, self._part.worker, self._part.workers)
        return None if own is None else asyncio.Semaphore(max(1, own))

    async def _arrive(
        self, level: Level, number: int, due_ns: int, room: asyncio.Semaphore | None
    ) -> None:
        if room is None:
            await self._converse(level, number, due_ns, counted=True)
            return
        async with room:
            await self._converse(level, number, due_ns, counted=True)

    # --- a piece of work -------------------------------------------------------------------

    async def _converse(
        self, level: Level, number: int, due_ns: int, *, counted: bool = False
    ) -> None:
        """All turns of a conversation, one after the other."""
        conversation = self._work.conversation(self._dealing.conversation(number))
        history: list[Message] = []
        for place, turn in enumerate(conversation.turns):
            if place:
                due_ns = time.perf_counter_ns() + round(turn.delay_s * _NS)
                await _sleep_until(due_ns)
            if not (counted and place == 0) and not self._budget.take():
                return
            measurement = self._measurement(level, number, place, due_ns, turn, history)
            try:
                sample = await measurement.take()
            finally:
                if measurement.sample is not None:
                    self._sink(measurement.sample)
            if sample.outcome is not Outcome.OK:
                return
            if place + 1 < len(conversation.turns):
                reply = turn.reply if turn.reply is not None else measurement.text
                history = [*history, *turn.messages, Message("assistant", reply)]

    def _measurement(
        self,
        level: Level,
        number: int,
        place: int,
        due_ns: int,
        turn: Turn,
        history: list[Message],
    ) -> Measurement:
        dealing = self._dealing
        client = self._clients[dealing.endpoint(number)]
        order = Order(
            endpoint=client.name,
            level=level.number,
            number=number,
            conversation=dealing.conversation(number),
            turn=place,
            scheduled_ns=due_ns,
            worker=self._part.worker,
            asked_input_tokens=turn.input_tokens,
            asked_output_tokens=turn.output_tokens,
        )
        leave_s = dealing.cancel_after(number, place)
        return Measurement(lambda: client.run(turn, history), order, self._timeout_s, leave_s)


def _part_of_requests(level: Level, part: Share) -> int | None:
    """How many requests a process sends; in a closed loop by its users, who all send as many."""
    if not isinstance(level.load, ClosedLoop) or level.requests is None:
        return share(level.requests, part.worker, part.workers)
    users = level.load.concurrency
    own = range(part.worker, users, part.workers)
    return sum(level.requests // users + (user < level.requests % users) for user in own)


async def _sleep_until(due_ns: int) -> None:
    left_ns = due_ns - time.perf_counter_ns()
    if left_ns > 0:
        await asyncio.sleep(left_ns / _NS)


def _seconds_left(until_ns: int | None, grace_s: float) -> float | None:
    if until_ns is None:
        return None
    return max(0.0, (until_ns - time.perf_counter_ns()) / _NS + grace_s)
