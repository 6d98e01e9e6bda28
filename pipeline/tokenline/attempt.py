"""One request to the provider: the source and the chain of actors behind it.

The source has no inbox: it is the task that reads. Its waiting time is the provider's time;
what it waits for room downstream is its blocked time.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from .actor import Actor, ActorSetup, Inlet, name_stage
from .batch import AnyBatch, Batch
from .commit import CommitGate
from .errors import StreamError
from .first_request import SentRequest
from .fused import fuse
from .meter import Meter
from .pipeline import Pipeline, Route
from .record import StageRecord
from .source import ByteStream, PushStream, Request
from .stage import RawChunk
from .stage_stats import ActorSpec, StageStats
from .wake import Waiter
from .watchdog import Watchdog


@dataclass(slots=True)
class Stamps:
    """Source-side stamps of one attempt, monotonic ns."""

    request_ns: int | None = None
    headers_ns: int | None = None
    first_byte_ns: int | None = None


@dataclass(slots=True)
class ByteBudget:
    """What may still be read, by all attempts of a run together.

    Attributes:
        left_bytes: below 0 once it is spent.
        on_spent: called when it is.
    """

    left_bytes: int
    on_spent: Callable[[], None]


class ChainEnd:
    """What stands behind the chain: passes batches on and notes how the chain ended.

    Attributes:
        error: what the chain ended with.
    """

    __slots__ = ("_closed", "_pass_on", "error")

    def __init__(self, pass_on: Inlet) -> None:
        self._pass_on = pass_on
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.error: BaseException | None = None

    def push_nowait(self, batch: AnyBatch) -> bool:
        """Pass on."""
        return self._pass_on.push_nowait(batch)

    async def push(self, batch: AnyBatch) -> None:
        """Pass on, waiting for room."""
        await self._pass_on.push(batch)

    def close(self, error: BaseException | None) -> None:
        """The chain has given everything."""
        if not self._closed.done():
            self.error = error
            self._closed.set_result(None)

    async def wait(self) -> None:
        """Return when the chain has given everything."""
        await self._closed


class Attempt:
    """Reads one response into a fresh chain of actors.

    Args:
        plan: the pipeline.
        route: which way to take.
        request: what to send.
        setup: what the run's actors share.
        pass_on: where normalized events go.
        meter: the run's token clocks.
        gate: holds events until the first content, where another attempt may follow.
        steps: those of the chain, in flow order.
        sent: its request, where that is on its way already.

    Attributes:
        route: the way taken.
        number: which request of the run it is, from 1; 0 before it is made.
        given_up: another attempt has won.
        stamps: source-side stamps.
        stats: the source's counters.
        actors: the chain, in flow order.
    """

    def __init__(
        self,
        plan: Pipeline,
        route: Route,
        request: Request,
        setup: ActorSetup,
        pass_on: Inlet,
        meter: Meter,
        gate: CommitGate | None,
        steps: Sequence[Any],
        sent: SentRequest | None = None,
    ) -> None:
        self.stamps = Stamps()
        self.stats = StageStats()
        self.actors: list[Actor] = []
        self.route = route
        self.number = 0
        self.given_up = False
        self._source = route.source
        self._request = request
        self._meter = meter
        self._gate = gate
        self._limits = plan.options.timeouts
        self._failure: StreamError | None = None
        self._waiting_ns = 0  # since when it waits for the provider; 0 while it does not
        self._blocked_batch: AnyBatch | None = None
        self._resumed_ns = 0
        self._byte_budget: ByteBudget | None = None
        self._budgeted_bytes = 0
        self._now = setup.clock.now_ns
        self._wakes = setup.wakes
        self._release: Callable[[], None] = setup.wakes.release
        self._turn = Waiter(asyncio.get_running_loop(), setup.wakes)
        self._wait_ns = 0
        self._halted = False
        self._halted_by: BaseException | None = None
        self._cancelled_by_halt = False
        self._reading = False
        self._body_over = False
        self._body_error: BaseException | None = None
        self._task: asyncio.Task[Any] | None = None
        self._end = ChainEnd(pass_on)
        self._head = self._build_chain(steps, setup, pass_on)
        self._sent = sent
        if sent is not None:
            self.stamps.request_ns = self.stats.started_ns = sent.request_ns
            self._waiting_ns = sent.request_ns

    def _build_chain(self, steps: Sequence[Any], setup: ActorSetup, pass_on: Inlet) -> Inlet:
        below: Inlet = self._end
        for index in range(len(self.route.chain), 0, -1):
            place = self.route.chain[index - 1]
            spec = ActorSpec(place.stage.name, place.kind, index, place.capacity)
            actor = Actor(spec, setup, steps[index - 1], [below], self._stage_failed)
            self.actors.insert(0, actor)
            below = actor
        # Batches need not pass the end; it is told by the last actor, and only it hears.
        return fuse(self.actors, pass_on, setup.clock.now_ns) if self.actors else self._end

    async def run(self) -> BaseException | None:
        """Read the response to its end; gives the error that ended it early, if any."""
        self._task = asyncio.current_task()
        error: BaseException | None = None
        watchdog = Watchdog(self._limits, self, self._now, self.fail)
        watchdog.start()
        try:
            await self._read_all()
        except asyncio.CancelledError:
            if not self._cancelled_by_halt or self._task is None or self._task.uncancel():
                raise
        except Exception as failure:
            self.stats.errors += 1
            error = name_stage(failure, self._source.name)
        finally:
            watchdog.stop()
        if self._failure is not None:
            error = name_stage(self._failure, self._source.name)
        error = error or self._halted_by
        self.stats.ended_ns = self.stats.ended_ns or self._now()
        self._head.close(error)
        await self._end.wait()
        if self.committed:
            self._meter.ended_attempts.append(self.stamps)
        return self._end.error

    def halt(self, error: BaseException | None = None) -> None:
        """Stop reading; what was read goes on through the chain.

        With an error the chain is closed with it, so that no stage takes it for a good end.
        """
        self._halted = True
        self._halted_by = self._halted_by or error
        if self._reading and self._task is not None:
            self._reading = False
            self._cancelled_by_halt = True
            self._task.cancel()

    def fail(self, error: StreamError) -> None:
        """End the attempt with an error from outside (a time limit)."""
        if self._failure is None and not self._halted:
            error.provider = error.provider or self._source.provider
            self._failure = error
            self.halt()

    def give_up(self) -> None:
        """Another attempt has won: close the provider's socket, drop everything."""
        self.given_up = True
        self.abort()
        if self._task is not None:
            self._task.cancel()

    def entered_as(self, task: asyncio.Task[Any]) -> None:
        """The task that will run this attempt."""
        self._task = task

    def put_first(self, batch: AnyBatch) -> None:
        """Deliver `batch` before anything of this attempt, which is about to commit."""
        if self._gate is not None:
            self._gate.put_first(batch)

    def limit_rest(self, budget: ByteBudget) -> None:
        """What is read from now on is taken off `budget`."""
        self._byte_budget = budget
        self._budgeted_bytes = self.stats.bytes

    def let_go(self) -> None:
        """The run is closed: forget everybody."""
        for actor in self.actors:
            actor.let_go()
        self._task = None
        self._turn.let_go()
        if self._gate is not None:
            self._gate.let_go()

    def abort(self) -> None:
        """Drop everything at once."""
        for actor in self.actors:
            actor.abort()
        self.take_back()
        self._end.close(None)

    def take_back(self) -> None:
        """If its request was sent and nobody waits for the response, close that socket."""
        sent, self._sent = self._sent, None
        if sent is not None:
            sent.opening.abort()

    # --- what the watchdog and the run look at ----------------------------------------------

    @property
    def committed(self) -> bool:
        """Whether content of this attempt was delivered."""
        if self._gate is not None:
            return self._gate.committed
        return self._meter.first_token_ns is not None

    @property
    def request_ns(self) -> int | None:
        """See `Watched`."""
        return self.stamps.request_ns

    @property
    def headers_ns(self) -> int | None:
        """See `Watched`."""
        return self.stamps.headers_ns

    @property
    def waiting_since_ns(self) -> int | None:
        """See `Watched`."""
        return self._waiting_ns or None

    @property
    def first_token_ns(self) -> int | None:
        """See `Watched`."""
        if self._gate is not None:
            return self._gate.first_content_ns
        return self._meter.first_token_ns

    @property
    def last_token_ns(self) -> int | None:
        """See `Watched`."""
        if self.first_token_ns is None:
            return None
        return max(self._meter.last_token_ns, self._resumed_ns)

    @property
    def unknown_events(self) -> int:
        """What the chain's steps did not know: those that count it say so as `unknown`."""
        counted = [getattr(actor.step, "unknown", 0) for actor in self.actors]
        return sum([number for number in counted if type(number) is int])

    def records(self, ended_ns: int) -> list[StageRecord]:
        """What source and chain did for a request that ended at `ended_ns`."""
        wait_ns = self._wait_ns
        if self._waiting_ns:
            wait_ns += max(0, (self.stats.ended_ns or self._now()) - self._waiting_ns)
        source = self.stats.source_record(
            self._source.name, ended_ns, self.stamps.first_byte_ns, wait_ns
        )
        return [source, *(actor.record(ended_ns) for actor in self.actors)]

    def _stage_failed(self, actor: Actor, error: BaseException) -> None:
        self.halt(error)

    async def _read_all(self) -> None:
        self._reading = True
        stream = await self._open()
        try:
            if hasattr(stream, "attach"):  # a runtime check of the protocol costs 50 µs
                await self._pump_pushed(cast(PushStream, stream))
            else:
                await self._pump(stream)
        finally:
            self._reading = False
            await stream.aclose()

    async def _open(self) -> ByteStream:
        sent, self._sent = self._sent, None
        if sent is not None:
            request_ns = sent.request_ns
            stream = await sent.opening.stream()
        else:
            await self._source.prepare()
            request_ns = self._waiting_ns = self._now()
            self.stamps.request_ns = self.stats.started_ns = request_ns
            stream = await self._source.open(self._request)
        headers_ns = self.stamps.headers_ns = self._now()
        self._waiting_ns = 0
        self._wait_ns += headers_ns - request_ns
        return stream

    async def _pump(self, stream: ByteStream) -> None:
        """Read until the end, one task wake-up a read."""
        while not self._halted:
            self._begin_wait()
            data = await stream.read()
            batch = self._received(data)
            if not data:
                return
            if not self._head.push_nowait(batch):
                await self._push_blocked(batch)
            await self._check_budget()

    async def _pump_pushed(self, stream: PushStream) -> None:
        """Let the stream push; wake up only to wait for room and at the end."""
        loop = asyncio.get_running_loop()
        # Read callbacks run in the context of whoever opened the connection: a copy of ours.
        run: Any = contextvars.copy_context().run
        self._begin_wait()
        # What is pushed in here goes to readers that cannot go on while this task runs.
        self._release = partial(self._wakes.pass_to, getattr(stream, "wakes", None))
        stream.attach(partial(run, self._take_pushed), self._pushed_all)
        while True:
            self._release = self._wakes.release
            await self._turn
            if self._body_over:
                if self._body_error is not None:
                    raise self._body_error
                return
            self._turn = Waiter(loop, self._wakes)
            if self._blocked_batch is not None:
                batch, self._blocked_batch = self._blocked_batch, None
                await self._push_blocked(batch)
            await self._check_budget()
            if self._halted:
                return
            self._begin_wait()
            self._release = partial(self._wakes.pass_to, None)
            stream.resume()

    def _take_pushed(self, data: bytes) -> bool:
        self._wakes.held = True
        try:
            batch = self._received(data)
            if not self._head.push_nowait(batch):
                self._blocked_batch = batch
            elif self._byte_budget is None and not self._halted:
                self._reading = True  # `_begin_wait`, spelled out
                self._waiting_ns = self._now()
                return True
        finally:
            self._release()
        self._turn.set()
        return False

    def _pushed_all(self, error: BaseException | None) -> None:
        self._received(b"")
        if self._turn.done():
            return
        self._body_over, self._body_error = True, error
        self._wakes.held = True
        self._turn.set()
        self._release()

    # --- one read --------------------------------------------------------------------------

    def _begin_wait(self) -> None:
        self._reading = True
        self._waiting_ns = self._now()

    def _received(self, data: bytes) -> AnyBatch:
        """Stamp what one read brought (nothing, at the end)."""
        now = self._now
        recv_ns = now()
        self._reading = False
        if self._waiting_ns:
            self._wait_ns += recv_ns - self._waiting_ns
            self._waiting_ns = 0
        size_bytes = len(data)
        batch: AnyBatch = Batch([RawChunk(data)], recv_ns, size_bytes)
        if size_bytes:
            stats = self.stats
            if not stats.first_out_ns:
                self.stamps.first_byte_ns = stats.first_out_ns = recv_ns
            stats.batches += 1
            stats.bytes += size_bytes
            took_ns = now() - recv_ns
            stats.processing_ns += took_ns
            if took_ns > stats.max_processing_ns:
                stats.max_processing_ns = took_ns
        else:
            # Here, not when the task that reads is next run: stages may be at work until then.
            self.stats.ended_ns = recv_ns
        return batch

    async def _push_blocked(self, batch: AnyBatch) -> None:
        from_ns = self._now()
        await self._head.push(batch)
        self._resumed_ns = self._now()
        self.stats.blocked_ns += self._resumed_ns - from_ns

    async def _check_budget(self) -> None:
        budget = self._byte_budget
        if budget is None:
            return
        budget.left_bytes -= self.stats.bytes - self._budgeted_bytes
        self._budgeted_bytes = self.stats.bytes
        if budget.left_bytes < 0:
            budget.on_spent()
            await asyncio.get_running_loop().create_future()  # until it cancels us
