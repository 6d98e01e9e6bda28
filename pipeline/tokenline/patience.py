"""How long a run waits between attempts, and how such a wait is called off."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from .errors import StreamError
from .policy import RetryPolicy


class Backoff:
    """Says how long to wait before the next attempt, if waiting has a point.

    Args:
        policy: the retry policy.
        total_s: `Timeouts.total_s`, which runs from now.
        now_ns: the clock.
    """

    def __init__(
        self, policy: RetryPolicy, total_s: float | None, now_ns: Callable[[], int]
    ) -> None:
        self._policy = policy
        self._now = now_ns
        self._deadline_ns = None if total_s is None else now_ns() + int(total_s * 1e9)

    def wait_s(self, tries: int, error: StreamError) -> float | None:
        """Seconds to wait after failure number `tries`; None if there is to be no retry."""
        if not error.retryable or tries >= self._policy.attempts:
            return None
        asked_s = error.retry_after_s or 0.0
        if asked_s > self._policy.max_retry_after_s:
            return None
        wait_s = max(self._own_s(tries), asked_s)
        if self._deadline_ns is not None and self._now() + wait_s * 1e9 >= self._deadline_ns:
            return None
        return wait_s

    def _own_s(self, tries: int) -> float:
        from tenacity import RetryCallState
        from tenacity.wait import wait_exponential_jitter

        policy = self._policy
        state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]  # only the number counts
        state.attempt_number = tries
        wait = wait_exponential_jitter(
            max=policy.max_wait_s, jitter=policy.jitter_s, multiplier=policy.initial_wait_s
        )
        return float(wait(state))


class Waits:
    """Waits that end early, all of them, when they are called off."""

    def __init__(self) -> None:
        self._scopes: set[asyncio.Timeout] = set()
        self._off = False

    async def done(self, what: Awaitable[object]) -> bool:
        """Await `what`; False if the wait was called off, before or meanwhile."""
        scope = asyncio.timeout(0 if self._off else None)
        try:
            async with scope:
                self._scopes.add(scope)
                await what
        except TimeoutError:
            if not scope.expired():
                raise
        finally:
            self._scopes.discard(scope)
        return not self._off

    def call_off(self) -> None:
        """End every wait, and those to come."""
        if self._off:
            return
        self._off = True
        while self._scopes:
            self._scopes.pop().reschedule(0)
