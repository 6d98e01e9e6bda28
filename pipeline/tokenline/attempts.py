"""Makes attempts until one gives its content or patience ends: retry, failover, hedge, restart.

Every attempt has a source, parser and normalizer of its own; fan-out and branches outlive it.
An attempt that fails before the commit point leaves no trace but in telemetry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from typing import Any

from .actor import ActorSetup, Inlet
from .attempt import Attempt
from .batch import Batch
from .commit import CommitGate
from .errors import (
    LimitExceededError,
    QueueFullError,
    StageFailedError,
    StreamError,
    TotalTimeoutError,
)
from .events import Event, Reset
from .fan_out import FanOutActor
from .meter import Meter
from .pipeline import Pipeline, Route
from .policy import AfterCommit, RetryPolicy
from .record import AttemptRecord, Outcome
from .result import Result
from .source import Request
from .stage import StepContext

_OURS = (LimitExceededError, QueueFullError, StageFailedError, TotalTimeoutError)
"""Failures on our side: another request would not change them."""


class Attempts:
    """All attempts of one run.

    Args:
        plan: the pipeline.
        request: what to send.
        context: what the steps may know.
        setup: what the run's actors share.
        pass_on: where events go: the fan-out.
        meter: the run's token clocks.
        snapshot: gives the result so far, to continue from.

    Attributes:
        current: the attempt that counts: the one that committed, else the last one.
        count: requests made so far.
        retry_wait_ns: Σ time waited between attempts.
        limiter_wait_ns: Σ time waited for the limiter.
        history: one record for each finished attempt.
    """

    def __init__(
        self,
        plan: Pipeline,
        request: Request,
        context: StepContext,
        setup: ActorSetup,
        pass_on: FanOutActor,
        meter: Meter,
        snapshot: Callable[[], Result | None],
    ) -> None:
        self._plan = plan
        self._request = request
        self._context = context
        self._setup = setup
        self._pass_on = pass_on
        self._meter = meter
        self._snapshot = snapshot
        self._now = setup.clock.now_ns
        self._policy: RetryPolicy = plan.options.retry
        self._running: list[Attempt] = []
        self._stopped = False
        self._routes = plan.routes
        self.count = 0
        self.retry_wait_ns = 0
        self.limiter_wait_ns = 0
        self.history: list[AttemptRecord] = []
        self.current = self._open(self._routes[0])

    # --- from outside ----------------------------------------------------------------------

    def halt(self, error: BaseException | None = None) -> None:
        """Stop reading and make no further attempt; what was read goes on."""
        self._stopped = True
        for attempt in self._running:
            attempt.halt(error)

    def abort(self) -> None:
        """Drop everything at once."""
        self._stopped = True
        for attempt in (self.current, *self._running):
            attempt.abort()

    def settle(self) -> None:
        """The message is complete: whatever happens now, no further attempt is made."""
        self._stopped = True

    def limit_rest(self, more_bytes: int, on_spent: Callable[[], None]) -> None:
        """Read at most `more_bytes` more of the response, then call `on_spent`."""
        self.current.limit_rest(more_bytes, on_spent)

    # --- the loop --------------------------------------------------------------------------

    async def run(self) -> BaseException | None:
        """Make attempts; gives the error that is left, if any.

        Raises:
            UsageError: the limiter is draining.
        """
        limiter = self._plan.limiter
        with nullcontext() if limiter is None else limiter.admit():
            return await self._make_attempts()

    async def _make_attempts(self) -> BaseException | None:
        route_at, tries = 0, 0
        while True:
            tries += 1
            route = self._routes[route_at]
            error = await self._try(route)
            if error is None or self._stopped:
                return self._counted(error)
            if self.current.committed and not await self._go_on(route, error):
                return self._counted(error)
            if isinstance(error, _OURS) or not isinstance(error, StreamError):
                return self._counted(error)
            if error.retryable and tries < self._policy.attempts and self._may_wait(error):
                await self._wait(tries, error)
            elif route_at + 1 < len(self._routes):
                route_at, tries = route_at + 1, 0
            else:
                return self._counted(error)
            self.current = self._open(self._routes[route_at])

    def _counted(self, error: BaseException | None) -> BaseException | None:
        if isinstance(error, StreamError):
            error.attempts = self.count
        return error

    async def _try(self, route: Route) -> BaseException | None:
        if self._plan.options.hedge is not None:
            return await self._race(route)
        return await self._run_one(self.current)

    async def _run_one(self, attempt: Attempt) -> BaseException | None:
        from_ns = self._now()
        async with self._slot(attempt.route):
            self.limiter_wait_ns += self._now() - from_ns if self._plan.limiter else 0
            self.count += 1
            self._running.append(attempt)
            try:
                error = await attempt.run()
            finally:
                self._running.remove(attempt)
        self._note(attempt, error)
        return error

    def _slot(self, route: Route) -> AbstractAsyncContextManager[None]:
        if self._plan.limiter is None:
            return nullcontext()
        return self._plan.limiter.slot(route.source.provider)

    # --- hedging ---------------------------------------------------------------------------

    async def _race(self, route: Route) -> BaseException | None:
        """Start further attempts while the first token is late; the first to commit wins."""
        hedge = self._plan.options.hedge
        assert hedge is not None
        entered = {self._enter(self.current)}
        hedges = 0
        error: BaseException | None = None
        while entered:
            waiting = hedges < hedge.max_hedges and not self.current.committed
            done, entered = await asyncio.wait(
                entered,
                timeout=hedge.after_s if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not done:
                if not self.current.committed and not self._stopped:
                    hedges += 1
                    entered.add(self._enter(self._open(self._hedge_route(route, hedges))))
                continue
            for task in done:
                attempt, failure = task.result()
                if attempt is self.current and attempt.committed:
                    return failure
                error = failure if failure is not None else error
        return error

    def _enter(self, attempt: Attempt) -> asyncio.Task[tuple[Attempt, BaseException | None]]:
        async def run() -> tuple[Attempt, BaseException | None]:
            try:
                return attempt, await self._run_one(attempt)
            except asyncio.CancelledError:
                if not attempt.given_up:
                    raise
                self._note(attempt, None)
                return attempt, None

        if not self.current.committed:
            self.current = attempt
        task = self._setup.spawn(run(), f"attempt-{self.count + 1}")
        attempt.entered_as(task)
        return task

    def _hedge_route(self, route: Route, number: int) -> Route:
        others = [other for other in self._routes if other is not route]
        return others[(number - 1) % len(others)] if others else route

    # --- the commit point ------------------------------------------------------------------

    def _open(self, route: Route) -> Attempt:
        gate: CommitGate | None = None
        below: Inlet = self._pass_on
        if self._plan.options.retry.attempts > 1 or len(self._routes) > 1 or self._is_hedged:
            gate = CommitGate(self._pass_on, lambda: self._commit(attempt))
            below = gate
        request = self._request
        if route.payload is not None:
            request = replace(request, payload=route.payload(request.payload))
        attempt = Attempt(
            self._plan, route, request, self._context, self._setup, below, self._meter, gate
        )
        return attempt

    @property
    def _is_hedged(self) -> bool:
        return self._plan.options.hedge is not None

    def _commit(self, attempt: Attempt) -> bool:
        """The first content of `attempt` is there: give up the others."""
        if self.current is not attempt and self.current.committed:
            return False
        self.current = attempt
        for other in self._running:
            if other is not attempt:
                other.give_up()
        return True

    async def _go_on(self, route: Route, error: BaseException) -> bool:
        """Make ready to go on after content was delivered; False if the run must fail."""
        if not isinstance(error, StreamError) or isinstance(error, _OURS):
            return False
        after = self._policy.after_commit
        last_seq = self._pass_on.last_seq
        if after is AfterCommit.RESTART:
            reset = Reset(last_seq + 1, self._now(), self._context.message_id, self.count + 1)
            batch: Batch[Event] = Batch([reset], self._now(), 0)
            await self._pass_on.push(batch)
            self._context = replace(self._context, first_seq=last_seq + 2)
            return True
        if after is AfterCommit.CONTINUE and route.continue_from is not None:
            return self._continue(route.continue_from, last_seq)
        return False

    def _continue(
        self,
        continue_from: Callable[[Mapping[str, Any], Result], Mapping[str, Any] | None],
        last_seq: int,
    ) -> bool:
        so_far = self._snapshot()
        payload = continue_from(self._request.payload, so_far) if so_far is not None else None
        if so_far is None or payload is None:
            return False
        self._request = replace(self._request, payload=payload)
        self._context = replace(
            self._context,
            first_seq=last_seq + 1,
            first_part=max((part.part for part in so_far.content), default=-1) + 1,
            continued=True,
        )
        return True

    # --- waiting and noting ----------------------------------------------------------------

    def _may_wait(self, error: StreamError) -> bool:
        return (error.retry_after_s or 0.0) <= self._policy.max_retry_after_s

    async def _wait(self, tries: int, error: StreamError) -> None:
        from_ns = self._now()
        await asyncio.sleep(max(self._backoff_s(tries), error.retry_after_s or 0.0))
        self.retry_wait_ns += self._now() - from_ns

    def _backoff_s(self, tries: int) -> float:
        from tenacity import RetryCallState
        from tenacity.wait import wait_exponential_jitter

        policy = self._policy
        state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]  # only the number counts
        state.attempt_number = tries
        wait = wait_exponential_jitter(
            max=policy.max_wait_s, jitter=policy.jitter_s, multiplier=policy.initial_wait_s
        )
        return float(wait(state))

    def _note(self, attempt: Attempt, error: BaseException | None) -> None:
        outcome = Outcome.OK if error is None else Outcome.ERROR
        self.history.append(
            AttemptRecord(
                route=attempt.route.name,
                provider=attempt.route.source.provider,
                request_ns=attempt.stamps.request_ns,
                ended_ns=self._now(),
                outcome=Outcome.CANCELLED if attempt.given_up else outcome,
                error=type(error).__name__ if error is not None else None,
                committed=attempt.committed,
            )
        )
