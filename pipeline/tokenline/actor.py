"""The actor: runs one stage of one run.

An actor owns a bounded inbox and, when it needs one, a task. While its inbox is empty and
everything below it takes what it gives, a batch is handled at once in the task that brings it
("fused"): no queue operation, no wake-up. As soon as something below has no room, the actor
becomes *busy*: its own task waits for room, and what arrives meanwhile goes to the inbox, up to
its limits; then the feeder waits too. Order, results and errors are the same either way
(`Execution.QUEUED` forces the queue, to prove it or to debug).

States: idle -> busy (output had no room) -> idle (inbox empty again); any -> ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import lru_cache
from inspect import iscoroutinefunction
from typing import Any, Protocol

from .batch import AnyBatch, Batch
from .channel import Channel, ChannelBrokenError, EndOfChannel
from .clock import Clock
from .closed import ignore
from .conflate import join_deltas
from .errors import QueueFullError, StageFailedError, StreamError, TokenlineError, UsageError
from .options import Execution
from .record import StageRecord
from .stage import FailureStep, Stage, StepContext
from .stage_stats import ActorSpec, StageStats
from .wake import Wakes
from .wiring import check_step

Spawn = Callable[[Coroutine[Any, Any, Any], str], "asyncio.Task[Any]"]


class Inlet(Protocol):
    """Anything that takes batches."""

    def push_nowait(self, batch: AnyBatch) -> bool:
        """Take a batch; False if there is no room (nothing was taken)."""
        ...

    async def push(self, batch: AnyBatch) -> None:
        """Take a batch, waiting for room."""
        ...

    def close(self, error: BaseException | None) -> None:
        """No more will come; `error` says why if that is no good end."""
        ...


@dataclass(slots=True)
class ActorSetup:
    """What all actors of a run share; nobody changes it.

    Attributes:
        clock: where stamps come from.
        spawn: starts a task that the run owns.
        execution: fused or queued.
        wakes: who goes on at the end of a read.
    """

    clock: Clock
    spawn: Spawn
    execution: Execution = Execution.FUSED
    wakes: Wakes = field(default_factory=Wakes)


class Actor:
    """Runs one step; see the module's docstring.

    Args:
        spec: name, place and capacity.
        setup: what the run's actors share.
        step: the stage's step.
        outlets: where its output goes.
        on_failure: called with the typed error when the step raises.

    Attributes:
        ready: idle, so a batch is handled at once in the task that brings it.
        awaiting_since_ns: when it called the step that it is awaiting; 0 while it awaits none.
    """

    __slots__ = (
        "_async",
        "_async_finish",
        "_blocked",
        "_busy",
        "_close_later",
        "_closing",
        "_emitting",
        "_ended",
        "_error",
        "_finished",
        "_inbox",
        "_now",
        "_on_failure",
        "_persistent",
        "_setup",
        "_step",
        "_task",
        "awaiting_since_ns",
        "outlets",
        "ready",
        "spec",
        "stats",
    )

    def __init__(
        self,
        spec: ActorSpec,
        setup: ActorSetup,
        step: Any,
        outlets: list[Inlet],
        on_failure: Callable[[Actor, BaseException], None],
    ) -> None:
        self.spec = spec
        self.outlets = outlets
        self._inbox: Channel[Any] | None = None
        self.stats = StageStats()
        self._setup = setup
        self._step = step
        self._now = setup.clock.now_ns
        self._on_failure = on_failure
        self._blocked: list[tuple[Inlet, AnyBatch]] = []
        self._closing = False
        self._ended = False
        self._finished = False
        self._error: BaseException | None = None
        self._task: asyncio.Task[None] | None = None
        self._async = _is_async(step.feed)
        self._async_finish = _is_async(step.finish)
        self._persistent = self._async or self._async_finish or setup.execution is Execution.QUEUED
        self._emitting = False
        self._close_later = False
        self._busy = self._persistent
        self.awaiting_since_ns = 0
        self.ready = not self._persistent

    # --- Inlet -----------------------------------------------------------------------------

    def push_nowait(self, batch: AnyBatch) -> bool:
        """Handle the batch now if idle, else queue it; False if the inbox is full."""
        if self.ready:
            self._handle(batch)
            return True
        if self._ended or self._closing:
            return True
        if self._task is None:
            self._start()
        try:
            return self.inbox.send_nowait(batch)
        except QueueFullError as error:
            # What waits is still handled; what comes from now on is not.
            self._note_failure(error)
            self._closing = True
            self.inbox.close()
            return True

    async def push(self, batch: AnyBatch) -> None:
        """Like `push_nowait`, waiting for room."""
        if not self.push_nowait(batch):
            try:
                await self.inbox.send(batch)
            except (ChannelBrokenError, UsageError):
                if not (self._closing or self._ended):
                    raise

    def close(self, error: BaseException | None) -> None:
        """Finish the step, or tell it of `error`; pass the rest on, then close what is below."""
        if self._closing or self._ended:
            return
        self._closing = True
        self.ready = False
        self._error = error
        if self._inbox is not None:
            self._inbox.close()
        if self._emitting:
            self._close_later = True
        elif self._busy:
            self._start()
        else:
            self._close_now()

    def _close_now(self) -> None:
        self._finish_step()
        if not self._blocked:
            self._end()

    def abort(self) -> None:
        """Drop everything and stop; what is below is not told."""
        self._ended = True
        self.ready = False
        if self._inbox is not None:
            self._inbox.break_off()
        self._blocked.clear()

    def lift_limits(self) -> None:
        """Take everything from now on, if the policy is to wait; for the last that comes."""
        if self._inbox is not None:
            self._inbox.lift_limits()

    def cut_off(self, error: BaseException) -> None:
        """Stop it inside a step that does not return."""
        self.abort()
        if self._task is not None:
            self._task.cancel()
        self._note_failure(error)

    @property
    def awaits(self) -> bool:
        """Whether its step may take its time."""
        return self._async or self._async_finish

    @property
    def feeder_waits(self) -> bool:
        """Whether what feeds it waits for room."""
        return self._inbox is not None and self._inbox.send_waiting

    @property
    def inbox(self) -> Channel[Any]:
        """The queue of what came while it was not idle; made when there is need of one."""
        inbox = self._inbox
        if inbox is None:
            clock = self._setup.clock
            inbox = self._inbox = Channel(self.spec.capacity, clock=clock, conflate=join_deltas)
            if self._closing or self._ended:
                inbox.close()
        return inbox

    @property
    def step(self) -> Any:
        """The step that the actor runs."""
        return self._step

    def record(self, now_ns: int) -> StageRecord:
        """What the stage did up to `now_ns`."""
        return self.stats.record(self.spec, now_ns, self._inbox)

    def let_go(self) -> None:
        """Forget everybody; nothing comes any more."""
        self.abort()
        self.outlets = []
        self._on_failure = ignore

    # --- the work --------------------------------------------------------------------------

    def _handle(self, batch: AnyBatch) -> None:
        out: list[Any] = []
        from_ns = self._now()
        try:
            self._step.feed(batch.items, batch.recv_ns, out)
        except (Exception, asyncio.CancelledError, GeneratorExit) as error:
            self._handled(batch, from_ns, out)
            self._fail(error)
            return
        self._handled(batch, from_ns, out)

    def _handled(self, batch: AnyBatch, from_ns: int, out: list[Any]) -> None:
        self.stats.taken(from_ns, self._now(), len(batch.items), len(out), batch.size_bytes)
        if out:
            self._emit(Batch(out, batch.recv_ns, batch.size_bytes))

    def _emit(self, batch: AnyBatch) -> None:
        self._emitting = True
        for outlet in self.outlets:
            if not outlet.push_nowait(batch):
                self._blocked.append((outlet, batch))
        self._emitting = False
        if self._blocked or self._close_later:
            self._after_emitting()

    def _after_emitting(self) -> None:
        """Something below had no room, or asked for the end while it was being given a batch."""
        if self._blocked and not self._busy:
            self._become_busy()
        if not self._close_later:
            return
        self._close_later = False
        if self._busy:
            self._start()
        else:
            self._close_now()

    def hold(self, batch: AnyBatch, outlet: Inlet) -> None:
        """Its output found no room: wait for it in a task of its own."""
        self._blocked.append((outlet, batch))
        self._become_busy()

    def break_down(self, batch: AnyBatch, out: list[Any], error: BaseException) -> None:
        """Its step raised: pass on what it gave before, then fail."""
        if out:
            self._emit(Batch(out, batch.recv_ns, batch.size_bytes))
        self._fail(error)

    def _become_busy(self) -> None:
        self._busy = True
        self.ready = False
        self._start()

    def _finish_step(self) -> None:
        if self._finished:
            return
        self._finished = True
        out: list[Any] = []
        try:
            if self._error is None:
                self._step.finish(self._now(), out)
            elif isinstance(self._step, FailureStep):
                self._step.fail(self._error, self._now(), out)
        except Exception as error:
            self._note_failure(error)
        self._emit_last(out)

    def _emit_last(self, out: list[Any]) -> None:
        if out:
            self.stats.items_out += len(out)
            self._emit(Batch(out, self._now(), 0))

    def _fail(self, error: BaseException) -> None:
        self._finished = True
        self._note_failure(error)
        self._closing = True
        self.ready = False
        if self._inbox is not None:
            self._inbox.break_off()
        if not self._blocked and not self._busy:
            self._end()

    def _note_failure(self, error: BaseException) -> None:
        self.stats.errors += 1
        self._error = name_stage(error, self.spec.name)
        self._on_failure(self, self._error)

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        self.ready = False
        if not self.stats.ended_ns:
            self.stats.ended_ns = self._now()
        for outlet in self.outlets:
            outlet.close(self._error)

    # --- the task, when there is pressure --------------------------------------------------

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = self._setup.spawn(self._run(), self.spec.name)

    async def _run(self) -> None:
        try:
            await self._work()
        except asyncio.CancelledError:
            if not self._ended:  # else it was cut off, and that is told already
                raise

    async def _work(self) -> None:
        while not self._ended:
            await self._flush()
            try:
                batch = self.inbox.receive_nowait()
            except EndOfChannel:
                await self._finish_in_task()
                return
            if batch is not None:
                await self._handle_in_task(batch)
            elif self._persistent or self.inbox.send_waiting:
                await self.inbox.wait_readable()
            else:
                self._busy = False
                self.ready = not self._closing
                self._task = None
                return

    async def _flush(self) -> None:
        """Wait until everything below took what it was given."""
        while self._blocked:
            outlet, batch = self._blocked[0]
            from_ns = self._now()
            await outlet.push(batch)
            to_ns = self._now()
            self.stats.blocked_ns += to_ns - from_ns
            self.stats.ended_ns = to_ns
            if self._blocked:
                self._blocked.pop(0)

    async def _handle_in_task(self, batch: AnyBatch) -> None:
        if not self._async:
            self._handle(batch)
            return
        out: list[Any] = []
        from_ns = self.awaiting_since_ns = self._now()
        failure: BaseException | None = None
        try:
            await self._step.feed(batch.items, batch.recv_ns, out)
        except (Exception, asyncio.CancelledError) as error:
            if _is_cancelled(error):
                raise
            failure = error
        self.awaiting_since_ns = 0
        self._handled(batch, from_ns, out)
        if failure is not None:
            self._fail(failure)

    async def _finish_in_task(self) -> None:
        if self._async_finish:
            await self._finish_async_step()
        else:
            self._finish_step()
        await self._flush()
        self._end()

    async def _finish_async_step(self) -> None:
        if self._finished or self._error is not None:
            self._finish_step()
            return
        self._finished = True
        out: list[Any] = []
        self.awaiting_since_ns = self._now()
        try:
            await self._step.finish(self._now(), out)
        except (Exception, asyncio.CancelledError) as error:
            if _is_cancelled(error):
                raise
            self._note_failure(error)
        self.awaiting_since_ns = 0
        self._emit_last(out)


def _is_async(method: Any) -> bool:
    """Whether it must be awaited; asked for every stage of every run."""
    function = getattr(method, "__func__", None)
    return iscoroutinefunction(method) if function is None else _is_async_function(function)


@lru_cache(maxsize=256)
def _is_async_function(function: Any) -> bool:
    return iscoroutinefunction(function)


def _is_cancelled(error: BaseException) -> bool:
    """Whether the running task is to end; else the error is the step's own."""
    task = asyncio.current_task()
    return (
        isinstance(error, asyncio.CancelledError) and task is not None and bool(task.cancelling())
    )


def open_step(stage: Stage[Any, Any], context: StepContext) -> Any:
    """A stage's step; what its `open` raises names the stage.

    Raises:
        StageFailedError: `open` raised something untyped.
        WiringError: what it gave is no step.
    """
    try:
        step = stage.open(context)
    except Exception as error:
        raise name_stage(error, stage.name) from error
    return check_step(stage, step)


def name_stage(error: BaseException, stage: str) -> BaseException:
    """A stream error that names the stage it came from."""
    if isinstance(error, StreamError) and error.stage is None:
        error.stage = stage
    if isinstance(error, TokenlineError):
        return error
    failure = StageFailedError(
        f"stage {stage!r} raised {type(error).__name__}: {error}", stage=stage
    )
    failure.__cause__ = error
    return failure
