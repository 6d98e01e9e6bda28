"""Typed options, checked once when a pipeline is built or a run starts. Units are in the names."""

from enum import StrEnum

from pydantic import Field

from .option_base import KIB as KIB
from .option_base import MIB as MIB
from .option_base import Options as Options
from .policy import HedgePolicy, Leaving, RetryPolicy, Timeouts


class Overflow(StrEnum):
    """What an edge does when its queue is full (terms of Pekko's OverflowStrategy)."""

    BLOCK = "block"
    """Back-pressure: the sender waits. Nothing is lost."""
    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"
    CONFLATE = "conflate"
    """Neighbouring deltas of one part (text, reasoning, tool arguments) become one, so nothing is
    lost but where one ended. It holds the others up only when what is joined is itself past
    `max_items` or `max_bytes` and waits to be read; `max_wait_s` has no meaning here: a late queue
    goes on joining."""
    FAIL = "fail"


class Execution(StrEnum):
    """How stages without an `await` of their own are run."""

    FUSED = "fused"
    """In the feeding task while there is no pressure, behind their queue when there is."""
    QUEUED = "queued"
    """Always in a task of their own, behind their queue."""


class Capacity(Options):
    """Bounds of one queue. A batch larger than them is admitted when the queue is empty.

    Items and bytes are at least 1; the builder checks it, to name the stage.

    Attributes:
        max_items: most items (events) waiting. 256 holds a second of the fastest models.
        max_bytes: most wire bytes the waiting items came from.
        max_wait_s: while the first item has waited longer than this the queue counts as full,
            however little is in it; looked at when something is put in. None is no bound; nor
            is any for `CONFLATE`.
        overflow: what happens when there is no room.
    """

    max_items: int = 256
    max_bytes: int = 1 * MIB
    max_wait_s: float | None = Field(default=None, gt=0)
    overflow: Overflow = Overflow.BLOCK


class Limits(Options):
    """Bounds on what is read from outside; passing one raises `LimitExceededError`.

    Attributes:
        max_line_bytes: longest line of an SSE or NDJSON stream.
        max_event_bytes: largest single event (joined data lines, or one binary frame).
        max_arguments_bytes: largest argument text of one tool call, UTF-8.
        max_message_bytes: most response bytes of one run.
        max_json_depth: deepest nesting of an event's JSON.
        max_parts: most content parts of one response.
    """

    max_line_bytes: int = Field(default=16 * MIB, ge=1)
    max_event_bytes: int = Field(default=16 * MIB, ge=1)
    max_arguments_bytes: int = Field(default=16 * MIB, ge=1)
    max_message_bytes: int = Field(default=256 * MIB, ge=1)
    max_json_depth: int = Field(default=256, ge=1)
    max_parts: int = Field(default=10_000, ge=1)


class RunOptions(Options):
    """How a pipeline runs; every run of it starts with these.

    Attributes:
        limits: bounds on what is read from outside.
        strict: raise `UnknownEventError` on anything unknown instead of counting it.
        pass_unknown: deliver unknown input as `UnknownEvent`.
        execution: fused (default) or queued; same events, results and errors either way.
        timeouts: time limits.
        retry: whether and when a failed attempt is made again.
        hedge: whether a second request is made when the first token is late.
        leaving: what happens to the response when the consumer leaves early.
        watch_loop: measure how long the event loop is blocked, see `tokenline.loop_lag`.
        end_grace_s: how long to wait, after the response's last event, for the server to end
            the body, so that the connection can be used again. Nobody waits for it but
            the clean-up of the run.
        branch_grace_s: how long one call of a branch's stage may take once the response is
            over; then the branch is cut off (`StageFailedError`; see `Run.branch_errors`). None
            is no limit. After `Timeouts.total_s` it is `end_grace_s`.
    """

    limits: Limits = Field(default_factory=Limits)
    strict: bool = False
    pass_unknown: bool = False
    execution: Execution = Execution.FUSED
    timeouts: Timeouts = Field(default_factory=Timeouts)
    retry: RetryPolicy = Field(default_factory=RetryPolicy)
    hedge: HedgePolicy | None = None
    leaving: Leaving = Field(default_factory=Leaving)
    watch_loop: bool = True
    end_grace_s: float = Field(default=0.2, ge=0)
    branch_grace_s: float | None = Field(default=120.0, ge=0)
