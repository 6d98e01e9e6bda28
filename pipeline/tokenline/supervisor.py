"""Runs one request: owns its actors, its tasks and its end.

Life of a run: *new* -> *running* -> *ended* (response received and accumulated, or failed, or
cancelled) -> *closed* (its readers are done too; telemetry told, exactly once). Tasks are owned
here and awaited in `aclose`; there is no task group or cancel scope that a caller's `yield` could
tear apart.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Coroutine, Mapping
from typing import Any

from msgspec.structs import replace

from .actor import ActorSetup
from .attempts import Attempts
from .branch_watch import BranchWatch
from .branches import Branches, BranchReports
from .closed import refuse
from .errors import RunCancelledError, StageFailedError, StreamTimeoutError, TotalTimeoutError
from .estimate import Estimation
from .first_request import OpenSteps, SentRequest, open_steps, send_first
from .loop_lag import LoopLag, LoopWatch, watch_loop
from .meter import Meter
from .pipeline import Pipeline
from .policy import OnLeave
from .reader import Reader
from .record import Outcome, RunRecord, StageKind, Timings
from .redaction import hide_in_error, secret_values
from .result import Result
from .run_tasks import RunTasks
from .source import Request
from .stage import StepContext
from .summary import collect_timings, describe_run, emitter_stage
from .telemetry.hook import NoRunSpan, RunSpan

logger = logging.getLogger("tokenline")

_detached: set[Supervisor] = set()
"""Runs that go on without their consumer; held here so that nothing drops them."""


async def wait_detached() -> None:
    """Return when no detached run of this loop is left; for an orderly shutdown."""
    loop = asyncio.get_running_loop()
    while tasks := _detached_tasks(loop):
        await asyncio.wait(tasks)


def _detached_tasks(loop: asyncio.AbstractEventLoop) -> set[asyncio.Task[Any]]:
    return {task for core in _detached if core._loop is loop for task in core._tasks.running}


class Supervisor:
    """One run's owner; see the module's docstring.

    Attributes:
        message_id: our id of the response.
        error: what ended the run, if it did not end well.
        outcome: how the run ended; None while it runs.
        record: what telemetry was given, once closed.
        branch_errors: errors of optional branches that were cut off, by name.
    """

    def __init__(
        self, plan: Pipeline, request: Request, message_id: str, tags: Mapping[str, str]
    ) -> None:
        self.message_id = message_id
        self.error: BaseException | None = None
        self.outcome: Outcome | None = None
        self.record: RunRecord | None = None
        self.readers: dict[str, Reader] = {}
        self.branch_errors: dict[str, BaseException] = {}
        self._plan = plan
        self._request = request
        self._tags = tags
        self._now = plan.clock.now_ns
        self._meter = Meter()
        self._message_ended = False
        self._ended_ns = 0
        self._timers: list[asyncio.TimerHandle] = []
        self._total_timer: asyncio.TimerHandle | None = None
        self._rest: asyncio.Future[None] | None = None
        self._left = False
        self._stopping = False
        self._loop_watch: LoopWatch | None = None
        self._loop_lag: LoopLag | None = None
        self._driver: asyncio.Task[Any] | None = None
        self._estimation = Estimation(self.spawn, self._close_if_done)

    # --- start -----------------------------------------------------------------------------

    def start(self) -> None:
        """Send the request, wire the actors, start reading. Called once, in the caller's task."""
        plan = self._plan
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._tasks = RunTasks(self._loop, self._task_done)
        self._info = describe_run(plan, self._request.payload, self.message_id, self._tags)
        context = StepContext(
            message_id=self.message_id,
            model=self._info.model,
            payload=self._request.payload,
            strict=plan.options.strict,
            pass_unknown=plan.options.pass_unknown,
            limits=plan.options.limits,
            tags=self._tags,
        )
        steps = open_steps(plan, context)
        sent = send_first(plan, self._request, self._now)
        try:
            self._wire(context, steps, sent)
        except BaseException:
            if sent is not None:
                sent.opening.abort()
            raise

    def _wire(self, context: StepContext, steps: OpenSteps, sent: SentRequest | None) -> None:
        plan = self._plan
        self._setup = ActorSetup(plan.clock, self.spawn, plan.options.execution)
        self._branches = Branches(plan, steps.branches, self._setup, self._reports())
        self.readers = self._branches.readers
        self.branch_errors = self._branches.errors
        self._fan_out = self._branches.fan_out
        self._branch_watch = BranchWatch(self._branches, self._loop, self._now)
        self._attempts = Attempts(
            plan,
            self._request,
            context,
            self._setup,
            self._fan_out,
            self._meter,
            self.snapshot,
            steps.chain,
            sent,
        )
        # Everything of ours that may refuse is done: from here on there is a span.
        self._span = self._start_span()
        try:
            self._begin(plan)
        except BaseException as error:  # a loop that starts no tasks, or none with a context
            self.error = error
            self.cancel(Outcome.ERROR)
            raise

    def _begin(self, plan: Pipeline) -> None:
        self._context = self._span.task_context or contextvars.copy_context()
        total_s = plan.options.timeouts.total_s
        if total_s is not None:
            self._total_timer = self._loop.call_later(total_s, self._total_time_is_up)
        if plan.options.watch_loop:
            self._loop_watch = watch_loop(self._loop, self._meter)
        self._driver = self.spawn(self._drive(), "source")

    def _start_span(self) -> RunSpan:
        try:
            return self._plan.telemetry.start(self._info)
        except Exception:
            logger.exception("telemetry failed at the start of a run; the run goes on without")
            return NoRunSpan()

    def _reports(self) -> BranchReports:
        return BranchReports(
            observe=self._meter.observe,
            on_message_end=self.message_ended,
            on_through=self._check_end,
            on_reader_end=self._close_if_done,
            on_failure=self._fail,
            hide_secrets=self._hide_secrets,
        )

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Start a task that the run owns."""
        return self._tasks.spawn(work, name, self._context)

    # --- what actors and readers report -----------------------------------------------------

    def message_ended(self) -> None:
        """The response is complete: end downstream now, let the body end by itself."""
        if self._message_ended:
            return
        self._message_ended = True
        self._fan_out.close(None)
        grace_s = self._plan.options.end_grace_s
        self._attempts.settle()
        self._timers.append(self._loop.call_later(grace_s, self._attempts.halt))
        self._watch_branches()

    def _watch_branches(self) -> None:
        """The response is over: a stage that never returns must not keep the run for ever."""
        grace_s = self._plan.options.branch_grace_s
        if grace_s is not None and not self._branch_watch.started:
            reason = f"did not return within {grace_s:g} s (RunOptions.branch_grace_s)"
            self._branch_watch.start(grace_s, reason)

    def _check_end(self) -> None:
        """Something is through: the run ends with what is required, closes with what is not."""
        if self.outcome is None:
            if self._branches.main_through(self.error is not None):
                self._end()
        else:
            self._close_if_done()
        if self._branches.all_through:
            self._branches_through()

    def _branches_through(self) -> None:
        self._branch_watch.stop()
        if self._total_timer is not None:
            self._total_timer.cancel()
        if self._rest is not None and not self._rest.done():
            self._rest.set_result(None)

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        if self.outcome is not None or self._stopping:
            return
        if task.cancelled():
            name = task.get_name().partition(":")[2]
            self._crash(StageFailedError(f"the task of {name!r} was cancelled", stage=name))
        elif (error := task.exception()) is not None:
            self._crash(error)

    def _crash(self, error: BaseException) -> None:
        """A task died that others wait for: nothing more can come of this run."""
        if self.error is None:
            self._hide_secrets(error)
            self.error = error
        self._abort()
        self._branches.end_readers(self.error)
        self._end()

    def _abort(self) -> None:
        self._stopping = True
        self._attempts.abort()
        self._branches.abort()
        self._branches_through()
        self._tasks.cancel()

    # --- the run ---------------------------------------------------------------------------

    async def _drive(self) -> None:
        try:
            error = await self._attempts.run()
        except asyncio.CancelledError:
            if self.outcome is None:
                # Not by us: the loop is being shut down over a run that nobody closed.
                self.cancel(Outcome.ABANDONED)
            raise
        finally:
            self._stop_timers()
        if error is None or self._message_ended:
            self._fan_out.close(self.error)
            self._note_late_failure(error)
        else:
            self._fail(error)

    def _note_late_failure(self, error: BaseException | None) -> None:
        """A stage of the user's that fails after the end undoes nothing, but is told."""
        if isinstance(error, StageFailedError) and error.stage is not None:
            self._hide_secrets(error)
            self.branch_errors[error.stage] = error
            logger.warning("stage %r failed after the end: %s", error.stage, error)

    def _total_time_is_up(self) -> None:
        limit = f"within {self._plan.options.timeouts.total_s:g} s (Timeouts.total_s)"
        stage = self._branches.holding_up(self._message_ended)
        if stage is not None:
            error = TotalTimeoutError(f"stage {stage!r} did not return {limit}", stage=stage)
            self._fail(error)
        elif self._driver is not None and not self._driver.done():
            self._fail(TotalTimeoutError(f"not complete {limit}"))
        self._branch_watch.start(self._plan.options.end_grace_s, f"did not return {limit}")

    def _stop_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _fail(self, error: BaseException) -> None:
        if self.error is None and self.outcome is None:
            self._hide_secrets(error)
            self.error = error
            self._attempts.halt(error)
            self._branches.let_through()
            self._fan_out.close(error)
            self._watch_branches()
            self._check_end()
        elif error is not self.error:
            self._note_late_failure(error)

    def _hide_secrets(self, error: BaseException) -> None:
        """A provider may quote the key it was sent; no log line, span or traceback may show it."""
        known = secret_values(self._request.headers) | secret_values(self._request.payload)
        for route in self._plan.routes:
            known.update(getattr(route.source, "secrets", ()))
        hide_in_error(error, known)

    def _end(self, outcome: Outcome | None = None) -> None:
        self._ended_ns = self._now()
        if self._loop_watch is not None:
            self._loop_lag = self._loop_watch.stop()
        if outcome is None:
            if self.error is None:
                outcome = Outcome.OK
            elif isinstance(self.error, StreamTimeoutError):
                outcome = Outcome.TIMEOUT
            else:
                outcome = Outcome.ERROR
        self.outcome = outcome
        if outcome in (Outcome.OK, Outcome.ERROR, Outcome.TIMEOUT):
            self._estimate_usage()
        if not self._ended.done() and not self._loop.is_closed():
            self._ended.set_result(None)
        self._close_if_done()

    def _estimate_usage(self) -> None:
        estimator = self._plan.usage_estimator
        if estimator is None or self._meter.usage is not None:
            return
        result = self.snapshot()
        if result is not None:
            self._estimation.start(estimator, self._info.payload, result)

    def cancel(self, outcome: Outcome = Outcome.CANCELLED) -> None:
        """Stop everything now: the provider's socket is closed, what waits is dropped."""
        if self.outcome is None:
            self._stopping = True
            self._attempts.abort()
            self._branches.abort()
            self._end(outcome)
        elif not self._loop.is_closed():
            # The response is whole, but these have not taken all of it: that is not to be hidden.
            self._branches.cut_off_all("was cut off, the run was cancelled before it was done")
        self._branches_through()
        if not self._loop.is_closed():
            self._branches.abort_readers(RunCancelledError("the run was cancelled"))
            self._tasks.cancel()
        self._close()

    def leave(self) -> None:
        """The readers are gone: cancel, or see to the rest, as the options say."""
        self._branches.leave()
        leaving = self._plan.options.leaving
        if self.outcome is not None or self._left:
            return
        if leaving.action is OnLeave.CANCEL:
            self.cancel()
            return
        self._left = True
        self._timers.append(self._loop.call_later(leaving.max_s, self.cancel))
        self._attempts.limit_rest(leaving.max_bytes, self._cancel_soon)
        if leaving.action is OnLeave.DETACH:
            _detached.add(self)

    def _cancel_soon(self) -> None:
        # Not at once: the reading task must not be cancelled inside its own clean-up.
        self._loop.call_soon(self.cancel)

    def abandon(self) -> None:
        """The caller dropped the run without closing it."""
        cancels = self.outcome is None and self._plan.options.leaving.action is OnLeave.CANCEL
        if cancels or self._loop.is_closed():
            self.cancel(Outcome.ABANDONED)
            return
        self.leave()
        if self.outcome is not None and self.record is None:
            _detached.add(self)  # its branches may finish

    async def wait_ended(self) -> None:
        """Return when the response is received and accumulated, or failed, or cancelled."""
        if not self._ended.done():
            await asyncio.shield(self._ended)

    async def wait_counted(self) -> None:
        """Return when the token counter, if one is at work, is done."""
        await self._estimation.wait()

    def lift_limits(self) -> None:
        """Let readers take everything, so that one that nobody reads cannot hold up the run."""
        self._branches.lift_limits()

    async def aclose(self, hurry: bool = False) -> None:
        """Leave, and return when no task of the run is left (a detached one goes on).

        Args:
            hurry: the caller was cancelled: branches that still work on a response that is over
                get `RunOptions.end_grace_s`.
        """
        self.leave()
        if self in _detached:
            return
        tasks = self._tasks
        try:
            if asyncio.current_task() not in tasks.running:
                await self._wait_for_branches(hurry and self.outcome is not None)
            while tasks.others():
                # A stage that does not return from its end is not waited for without limit.
                grace_s = self._plan.options.end_grace_s if self.outcome is not None else None
                if not await tasks.others_end(grace_s):
                    for task in tasks.others():
                        task.cancel()
        except asyncio.CancelledError:
            self.cancel()
            raise
        if self.record is not None and not tasks.running:
            self._let_go()

    def _let_go(self) -> None:
        """Closed, and no task is left: nobody calls back any more.

        What a run is made of refers to each other. Taken apart, it goes at once; else only the
        garbage collector finds it, and stops all other streams for that.
        """
        if self._total_timer is not None:
            self._total_timer.cancel()
        self._driver = None  # if it was cancelled, its error leads back here
        self._setup.spawn = refuse
        self._tasks.let_go()
        self._estimation.let_go()
        self._attempts.let_go()
        self._branches.let_go()

    async def _wait_for_branches(self, hurry: bool) -> None:
        """The response is over; what its branches still do is theirs to finish."""
        if self.record is None and not self._branches.all_through:
            self._rest = self._rest or self._loop.create_future()
            grace_s = self._plan.options.end_grace_s if hurry else None
            done, _ = await asyncio.wait([self._rest], timeout=grace_s)
            if not done:
                self.cancel()

    # --- the end ---------------------------------------------------------------------------

    def _close_if_done(self) -> None:
        if self.outcome is None or self._estimation.pending:
            return
        if self._branches.all_read and self._branches.all_through:
            self._close()

    def _close(self) -> None:
        if self.record is not None:
            return
        _detached.discard(self)
        self.record = self._make_record()
        from_ns = self._now()
        try:
            self._span.end(self.record)
        except Exception:
            logger.exception("telemetry failed at the end of a run")
        emitter = emitter_stage(self._branches.next_index(), from_ns, self._now())
        self.record = replace(self.record, stages=(*self.record.stages, emitter))

    def snapshot(self, timings: Timings | None = None) -> Result | None:
        """The result so far; None if the pipeline accumulates nothing.

        Args:
            timings: its stamps, where they have been put together already.
        """
        if self.record is not None:
            return self.record.result
        accumulator = self._branches.step_of(StageKind.ACCUMULATOR)
        if accumulator is None:
            return None
        result: Result = accumulator.snapshot(
            outcome=self.outcome, error=self.error, timings=timings or self.timings()
        )
        counted = self._estimation.usage
        if counted is not None:
            result = result.with_estimated_usage(counted)
        attempts = self._attempts
        return result.with_counts(attempts.count, attempts.current.unknown_events)

    def timings(self) -> Timings:
        """The stamps so far."""
        return collect_timings(
            self._info,
            self._attempts.current.stamps,
            self._meter,
            self.readers.values(),
            self._ended_ns,
            self._now(),
        )

    def _make_record(self) -> RunRecord:
        meter = self._meter
        timings = self.timings()
        return RunRecord(
            info=self._info,
            outcome=self.outcome or Outcome.ABANDONED,
            error=self.error,
            timings=timings,
            gaps=meter.gaps.summary(),
            chunks=meter.chunks,
            bytes=self._attempts.bytes,
            response_id=meter.response_id,
            response_model=meter.response_model,
            finish_reasons=tuple(meter.finish_reasons),
            usage=meter.usage or self._estimation.usage,
            usage_estimated=self._estimation.usage is not None,
            attempts=self._attempts.count,
            retry_wait_ns=self._attempts.retry_wait_ns,
            unknown_events=self._attempts.current.unknown_events,
            limiter_wait_ns=self._attempts.limiter_wait_ns,
            attempt_records=self._attempts.history,
            route=self._attempts.current.route.name,
            stages=(
                *self._attempts.current.records(self._ended_ns),
                *self._branches.records(self._ended_ns),
            ),
            result=self.snapshot(timings),
            loop_lag=self._loop_lag,
        )
