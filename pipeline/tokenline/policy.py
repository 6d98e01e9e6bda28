"""Typed options of a run's patience: time limits, retries, hedges, leaving. Seconds throughout."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from .option_base import MIB, Options


class Timeouts(Options):
    """Time limits of a run; None is no limit. Each has an error class of its own.

    While the pipeline holds the provider back (a slow reader), its clocks stand still: `idle_s`
    and `stall_s` count only time spent waiting for the provider.

    Attributes:
        connect_s: to open a connection (`ConnectTimeoutError`).
        headers_s: from issuing a request to its response headers (`HeadersTimeoutError`).
        first_token_s: from issuing a request to the first content; pings, roles and empty
            chunks do not count (`FirstTokenTimeoutError`).
        idle_s: between two reads once the headers are there; any byte feeds it, pings too
            (`IdleTimeoutError`).
        stall_s: between two content events; pings do not feed it (`StallTimeoutError`).
        total_s: from the start of the run to its end, retries and branches included
            (`TotalTimeoutError`).
    """

    connect_s: float | None = Field(default=10.0, gt=0)
    headers_s: float | None = Field(default=600.0, gt=0)
    first_token_s: float | None = Field(default=None, gt=0)
    idle_s: float | None = Field(default=600.0, gt=0)
    stall_s: float | None = Field(default=None, gt=0)
    total_s: float | None = Field(default=None, gt=0)


class AfterCommit(StrEnum):
    """What to do when a stream fails after its first content was delivered."""

    FAIL = "fail"
    """Raise; the error holds what had arrived."""
    RESTART = "restart"
    """Start again from nothing: a `Reset` event comes before the new attempt's first event.

    It is delivered when the new attempt gives content; until then, and for good if none does,
    what had arrived stays the result.
    """
    CONTINUE = "continue"
    """Ask the provider to go on where it stopped; else a fallback that can; else fail.

    A route that cannot go on with a response that has begun is not asked, nor used as a hedge.
    What was delivered is kept by a second step of the pipeline's accumulator, which is fed but
    never finished: an accumulator of your own must have no effect outside of itself.
    """


class RetryPolicy(Options):
    """When and how a failed attempt is made again.

    The commit point is the first content: before it nothing was delivered, so an attempt can be
    repeated unseen. Waiting time is `min(max_wait_s, initial_wait_s * 2 ** (n - 1) + jitter)`,
    jitter drawn evenly up to `jitter_s`, or what the provider asks for if that is longer.

    Attributes:
        attempts: most requests to one route; 1 is no retry.
        initial_wait_s: wait after the first failure.
        max_wait_s: longest wait of our own.
        jitter_s: most that is added by chance.
        max_retry_after_s: a provider that asks for a longer wait is not waited for.
            Nor is any wait begun that `Timeouts.total_s` would cut short: the run goes to its
            next route at once, or ends with the provider's own error.
        after_commit: what to do when a stream fails after the commit point.
    """

    attempts: int = Field(default=1, ge=1)
    initial_wait_s: float = Field(default=0.5, ge=0)
    max_wait_s: float = Field(default=8.0, ge=0)
    jitter_s: float = Field(default=0.5, ge=0)
    max_retry_after_s: float = Field(default=60.0, ge=0)
    after_commit: AfterCommit = AfterCommit.FAIL


class HedgePolicy(Options):
    """A second request when the first token is late; the first to deliver content wins.

    Attributes:
        after_s: how long after issuing a request the next one is started.
        max_hedges: how many besides the first, at most. They go to the fallback routes in turn,
            or to the same route if there is none.
    """

    after_s: float = Field(gt=0)
    max_hedges: int = Field(default=1, ge=1)


class OnLeave(StrEnum):
    """What happens to the response when its consumer leaves early."""

    CANCEL = "cancel"
    """The provider's socket is closed."""
    DRAIN = "drain"
    """Leaving waits while the accumulator takes the rest, up to the drain limits."""
    DETACH = "detach"
    """Leaving does not wait: the rest is accumulated in the background, up to the limits."""


class Leaving(Options):
    """What to do when the consumer leaves, and how far to go for the rest.

    Attributes:
        action: cancel, drain or detach.
        max_s: cancel the rest after this time.
        max_bytes: cancel the rest after this many further response bytes, those of attempts
            that are made after leaving included.
    """

    action: OnLeave = OnLeave.CANCEL
    max_s: float = Field(default=30.0, gt=0)
    max_bytes: int = Field(default=4 * MIB, ge=1)
