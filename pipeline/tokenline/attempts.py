"""Makes attempts until one gives its content or patience ends: retry, failover, hedge, restart.

Every attempt has a source, parser and normalizer of its own; fan-out and branches outlive it.
An attempt that fails before the commit point leaves no trace but in telemetry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, cast

from .actor import ActorSetup, Inlet
from .attempt import Attempt, ByteBudget
from .commit import CommitGate
from .delivered import keep_delivered
from .errors import (
    LimitExceededError,
    QueueFullError,
    StageFailedError,
    StreamError,
    TotalTimeoutError,
)
from .fan_out import FanOutActor
from .first_request import SentRequest, open_chain
from .limiter import Limiter
from .meter import Meter
from .patience import Backoff, Waits
from .pipeline import Pipeline, Route
from .policy import AfterCommit
from .record import AttemptRecord, Outcome
from .result import Result
from .resumption import Resumption
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
        steps: of the first attempt's chain.
        sent: the first attempt's request, where that is on its way already.

    Attributes:
        current: the attempt that counts: the one that committed, else the last that was made.
        count: requests made so far.
        retry_wait_ns: Σ time waited between attempts.
        limiter_wait_ns: Σ time waited for the limiter.
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
        steps: Sequence[Any],
        sent: SentRequest | None,
    ) -> None:
        self._plan = plan
        self._setup = setup
        self._pass_on = pass_on
        self._meter = meter
        self._now = setup.clock.now_ns
        options = plan.options
        self._below: Inlet = pass_on
        if options.retry.after_commit is AfterCommit.CONTINUE:
            delivered = keep_delivered(plan, context, pass_on, self._now)
            if delivered is not None:
                self._below, snapshot = delivered, delivered.snapshot
        self._resumption = Resumption(request, context, options.retry.after_commit, snapshot)
        self._backoff = Backoff(options.retry, options.timeouts.total_s, self._now)
        self._waits = Waits()
        self._entered: list[Attempt] = []
        self._stopped = False
        self._budget: ByteBudget | None = None
        self._routes = plan.routes
        self.count = 0
        self.retry_wait_ns = 0
        self.limiter_wait_ns = 0
        self._noted: dict[int, AttemptRecord] = {}
        self._continued_bytes = 0
        self.current = self._open(self._routes[0], steps, sent)

    # --- for the record --------------------------------------------------------------------

    @property
    def history(self) -> tuple[AttemptRecord, ...]:
        """One record for each finished attempt, in the order of their requests."""
        return tuple(self._noted[number] for number in sorted(self._noted))

    @property
    def bytes(self) -> int:
        """Body bytes of the attempts whose content was kept; before any, of the last."""
        return self._continued_bytes + self.current.stats.bytes

    # --- from outside ----------------------------------------------------------------------

    def halt(self, error: BaseException | None = None) -> None:
        """Stop reading and waiting, make no further attempt; what was read goes on."""
        self._stopped = True
        self._waits.call_off()
        for attempt in self._entered:
            attempt.halt(error)

    def abort(self) -> None:
        """Drop everything at once."""
        self._stopped = True
        for attempt in (self.current, *self._entered):
            attempt.abort()

    def let_go(self) -> None:
        """The run is closed: forget everybody."""
        self.current.let_go()
        self._resumption.let_go()
        self._budget = None

    def settle(self) -> None:
        """The message is complete: whatever happens now, no further attempt is made."""
        self._stopped = True

    def limit_rest(self, more_bytes: int, on_spent: Callable[[], None]) -> None:
        """Read at most `more_bytes` more, in all attempts together, then call `on_spent`."""
        self._budget = ByteBudget(more_bytes, on_spent)
        for attempt in {self.current, *self._entered}:
            attempt.limit_rest(self._budget)

    # --- the loop --------------------------------------------------------------------------

    async def run(self) -> BaseException | None:
        """Make attempts; gives the error that is left, if any.

        Raises:
            UsageError: the limiter is draining.
        """
        limiter = self._plan.limiter
        if limiter is None:
            return await self._make_attempts()
        with limiter.admit():
            return await self._make_attempts()

    async def _make_attempts(self) -> BaseException | None:
        route_at, tries = 0, 0
        while True:
            tries += 1
            route = self._routes[route_at]
            error = await self._try(route)
            if self._stopped or not isinstance(error, StreamError) or isinstance(error, _OURS):
                return self._counted(error)
            last_seq = self._pass_on.last_seq
            if self.current.committed and not self._resumption.stream_failed(last_seq):
                return self._counted(error)
            may_retry = self._resumption.suits(route)
            wait_s = self._backoff.wait_s(tries, error) if may_retry else None
            if wait_s is not None:
                await self._wait(wait_s)
            else:
                route_at, tries = self._next_route(route_at), 0
            if route_at < 0 or self._stopped:
                return self._counted(error)
            if self.current.committed and self._resumption.context.continued:
                self._continued_bytes += self.current.stats.bytes
            self.current = self._open(self._routes[route_at])

    def _next_route(self, route_at: int) -> int:
        """Index of the next route that may be taken; -1 if there is none."""
        later = range(route_at + 1, len(self._routes))
        return next((at for at in later if self._resumption.suits(self._routes[at])), -1)

    async def _wait(self, wait_s: float) -> None:
        from_ns = self._now()
        await self._waits.done(asyncio.sleep(wait_s))
        self.retry_wait_ns += self._now() - from_ns

    def _counted(self, error: BaseException | None) -> BaseException | None:
        if isinstance(error, StreamError):
            error.attempts = self.count
        return error

    async def _try(self, route: Route) -> BaseException | None:
        if self._plan.options.hedge is not None:
            return await self._race(route)
        return await self._run_one(self.current)

    async def _run_one(self, attempt: Attempt) -> BaseException | None:
        limiter = self._plan.limiter
        self._entered.append(attempt)
        try:
            if limiter is None:
                return await self._send(attempt)
            async with AsyncExitStack() as slot:
                await self._wait_for_slot(limiter, attempt, slot)
                return await self._send(attempt)
        finally:
            self._entered.remove(attempt)

    async def _wait_for_slot(
        self, limiter: Limiter, attempt: Attempt, slot: AsyncExitStack
    ) -> None:
        from_ns = self._now()
        turn = slot.enter_async_context(limiter.slot(attempt.route.source.provider))
        try:
            await self._waits.done(turn)
        finally:
            self.limiter_wait_ns += self._now() - from_ns

    async def _send(self, attempt: Attempt) -> BaseException | None:
        """Make the request, unless the run was stopped or won while the attempt waited."""
        if self._stopped or (self.current is not attempt and self.current.committed):
            attempt.take_back()
            return None
        self.current = attempt
        self.count += 1
        attempt.number = self.count
        error = await attempt.run()
        self._note(attempt, error)
        return error

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
                if attempt.number:
                    self._note(attempt, None)
                return attempt, None

        task = self._setup.spawn(run(), f"attempt-{self.count + 1}")
        attempt.entered_as(task)
        return task

    def _hedge_route(self, route: Route, number: int) -> Route:
        suited = self._resumption.suits
        others = [other for other in self._routes if other is not route and suited(other)]
        return others[(number - 1) % len(others)] if others else route

    # --- the commit point ------------------------------------------------------------------

    def _open(
        self,
        route: Route,
        steps: Sequence[Any] | None = None,
        sent: SentRequest | None = None,
    ) -> Attempt:
        gate: CommitGate | None = None
        below = self._below
        if self._may_be_repeated:
            gate = CommitGate(self._below, lambda: self._commit(attempt))
            below = cast(Inlet, gate)  # pyright takes its attribute `push_nowait` for a method
        request = self._resumption.request_for(route)
        assert request is not None  # only routes that suit are opened
        if steps is None:
            steps = open_chain(route.chain, self._resumption.context)
        attempt = Attempt(
            self._plan, route, request, self._setup, below, self._meter, gate, steps, sent
        )
        if self._budget is not None:
            attempt.limit_rest(self._budget)
        return attempt

    @property
    def _may_be_repeated(self) -> bool:
        options = self._plan.options
        return options.retry.attempts > 1 or len(self._routes) > 1 or options.hedge is not None

    def _commit(self, attempt: Attempt) -> bool:
        """The first content of `attempt` is there: give up the others."""
        if self.current is not attempt and self.current.committed:
            return False
        self.current = attempt
        for other in self._entered:
            if other is not attempt:
                other.give_up()
        reset = self._resumption.reset(attempt.number, attempt.request_ns or self._now())
        if reset is not None:
            attempt.put_first(reset)
        return True

    def _note(self, attempt: Attempt, error: BaseException | None) -> None:
        outcome = Outcome.OK if error is None else Outcome.ERROR
        self._noted[attempt.number] = AttemptRecord(
            route=attempt.route.name,
            provider=attempt.route.source.provider,
            request_ns=attempt.stamps.request_ns,
            ended_ns=self._now(),
            outcome=Outcome.CANCELLED if attempt.given_up else outcome,
            error=type(error).__name__ if error is not None else None,
            committed=attempt.committed,
        )
