"""What a finished run leaves for telemetry and traces: integers, no objects of the hot path.

All `*_ns` stamps are monotonic (`time.perf_counter_ns`); `RunRecord.wall_ns` turns one into
wall-clock time by the run's single anchor, so a step of the wall clock never bends a duration.

Structs of msgspec, not dataclasses: every run makes a dozen, and a frozen dataclass takes five
times as long. `msgspec.structs.replace` and `asdict` do what those of `dataclasses` would.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from .events import Usage
from .loop_lag import LoopLag as LoopLag
from .result import Outcome as Outcome
from .result import Result


class StageKind(StrEnum):
    """The card's words for what a stage does."""

    SOURCE = "source"
    PARSER = "parser"
    STEP = "step"
    """A stage that a user put in."""
    NORMALIZER = "normalizer"
    FAN_OUT = "fan-out"
    CONSUMER = "consumer"
    ACCUMULATOR = "accumulator"
    BRANCH = "branch"
    """A further fan-out branch."""
    TRACE_EMITTER = "trace emitter"


class StageRecord(msgspec.Struct, frozen=True):
    """One stage of one run.

    Attributes:
        name: unique name of the stage.
        kind: what it does.
        index: its place in the flow, from 0 (fan-out branches count on).
        started_ns: when its first input was there (source: when the request was issued).
        ended_ns: when it gave its last output or was closed.
        items_in: items taken.
        items_out: items given.
        batches: batches taken (how often it was called).
        bytes: wire bytes of what it took.
        processing_ns: Σ time inside the stage's own code (consumer: inside the user's loop body).
        queue_wait_ns: Σ time batches waited in its inbox.
        blocked_ns: Σ time it waited for room downstream.
        idle_ns: ended - started - processing - blocked (waiting for input; the source: for the
            provider).
        first_item_ns: from its first input to its first output; None if it gave none.
        max_processing_ns: longest single batch.
        capacity_items: bound of its inbox in items; 0 if it has none.
        capacity_bytes: bound of its inbox in wire bytes; 0 if it has none.
        high_water_items: most items that ever waited in its inbox.
        high_water_bytes: most wire bytes that ever waited in its inbox.
        dropped_items: items lost to its overflow policy.
        errors: exceptions raised by it.
        queued_batches: batches that went through the queue (the rest ran in the feeding task).
    """

    name: str
    kind: StageKind
    index: int
    started_ns: int
    ended_ns: int
    items_in: int = 0
    items_out: int = 0
    batches: int = 0
    bytes: int = 0
    processing_ns: int = 0
    queue_wait_ns: int = 0
    blocked_ns: int = 0
    idle_ns: int = 0
    first_item_ns: int | None = None
    max_processing_ns: int = 0
    capacity_items: int = 0
    capacity_bytes: int = 0
    high_water_items: int = 0
    high_water_bytes: int = 0
    dropped_items: int = 0
    errors: int = 0
    queued_batches: int = 0


class RunInfo(msgspec.Struct, frozen=True):
    """What is known when a run starts.

    Attributes:
        message_id: our id of the response.
        provider: OpenTelemetry GenAI provider name (`openai`, `anthropic`, `aws.bedrock` ...).
        operation: `chat` or `generate_content` ...
        api: which wire API (`openai.chat`, `anthropic.messages` ...).
        model: the requested model, if the payload names one.
        server_address: host the request goes to, if known.
        server_port: its port, if known.
        payload: the request payload; read only.
        started_ns: monotonic time of the start.
        anchor_wall_ns: wall-clock time (`time.time_ns`) taken together with `anchor_ns`.
        anchor_ns: monotonic time of the anchor.
        tags: the caller's own labels (step, run, actor ids ...), for traces.
    """

    message_id: str
    provider: str
    operation: str
    api: str
    model: str | None
    server_address: str | None
    server_port: int | None
    payload: Mapping[str, Any]
    started_ns: int
    anchor_wall_ns: int
    anchor_ns: int
    tags: Mapping[str, str] = msgspec.field(default_factory=dict)

    def wall_ns(self, monotonic_ns: int) -> int:
        """Wall-clock time (ns since the epoch) of a monotonic stamp."""
        return self.anchor_wall_ns + monotonic_ns - self.anchor_ns


class Timings(msgspec.Struct, frozen=True):
    """The stamps of a run, monotonic ns; None where the run did not get there.

    Request, headers and first byte are those of the attempt that gave the first content; without
    any, of the last. A response that a further attempt starts anew (`AfterCommit.RESTART`) counts
    from that attempt on, at the moment it gives content; one that is continued
    (`AfterCommit.CONTINUE`) keeps the first attempt's stamps.

    Attributes:
        started_ns: `run()` was entered.
        request_ns: the provider request was issued. What lies between the start
            and this is set-up: imports, client, TLS context; milliseconds once, then nothing.
        headers_ns: response headers were there.
        first_byte_ns: the first body bytes were read.
        first_chunk_ns: receive time of the first decoded provider event of any kind.
        first_token_ns: receive time of the first content (text, reasoning, refusal, tool call).
        first_answer_ns: receive time of the first content that is not reasoning.
        first_delivery_ns: the consumer was given the first content.
        last_token_ns: receive time of the last content.
        ended_ns: the response was received and accumulated, or failed, or was cancelled.
        closed_ns: the run was over for everybody, its consumer included.
    """

    started_ns: int
    request_ns: int | None = None
    headers_ns: int | None = None
    first_byte_ns: int | None = None
    first_chunk_ns: int | None = None
    first_token_ns: int | None = None
    first_answer_ns: int | None = None
    first_delivery_ns: int | None = None
    last_token_ns: int | None = None
    ended_ns: int = 0
    closed_ns: int = 0

    def since_request_s(self, stamp_ns: int | None) -> float | None:
        """Seconds from issuing the request to `stamp_ns`: the form of every TTFT flavour."""
        if stamp_ns is None or self.request_ns is None:
            return None
        return (stamp_ns - self.request_ns) / 1e9


class ChunkGaps(msgspec.Struct, frozen=True):
    """Gaps between content events (inter-chunk latency), ns. A chunk is not a token.

    Events that one read brought have gaps of 0 between them. Quantiles are right to 1/64. Where
    a further attempt continued the response the pause before it is a gap like any other; one that
    starts anew begins with none.
    """

    count: int = 0
    mean_ns: int = 0
    p50_ns: int = 0
    p99_ns: int = 0
    max_ns: int = 0


class AttemptRecord(msgspec.Struct, frozen=True):
    """One request of a run.

    Attributes:
        route: name of the route it took.
        provider: GenAI provider name.
        request_ns: when it was issued; None if it did not get that far.
        ended_ns: when it was over.
        outcome: ok, error, or cancelled (it lost a race).
        error: class name of what ended it.
        committed: its content was delivered.
    """

    route: str
    provider: str
    request_ns: int | None
    ended_ns: int
    outcome: Outcome
    error: str | None
    committed: bool


class RunRecord(msgspec.Struct, frozen=True):
    """One finished run; handed to the trace emitter exactly once, whatever the exit.

    Attributes:
        info: what was known at the start.
        outcome: how it ended.
        error: the error the user sees, if any.
        timings: the stamps.
        gaps: gaps between content events.
        chunks: content events received.
        bytes: response body bytes read; of all attempts that one response was continued by.
        response_id: the provider's message id.
        response_model: the model that answered.
        finish_reasons: raw finish reasons, one for each choice.
        usage: token counts, if the provider reported any; of a response that was continued the
            last reported, by an attempt whose input holds what it continued.
        usage_estimated: the counts come from a local counter.
        attempts: how many requests were made.
        retry_wait_ns: time spent waiting between attempts.
        limiter_wait_ns: time spent waiting for the limiter.
        attempt_records: one record for each finished attempt, in the order of requests.
        route: name of the route whose content was delivered, or that was tried last.
        unknown_events: events this version does not know.
        stages: one record for each stage, in flow order.
        result: what had arrived (content included; sinks decide what to keep).
        loop_lag: blocks of the event loop between the start and the end; None if not measured.
    """

    info: RunInfo
    outcome: Outcome
    error: BaseException | None
    timings: Timings
    gaps: ChunkGaps
    chunks: int
    bytes: int
    response_id: str | None
    response_model: str | None
    finish_reasons: tuple[str, ...]
    usage: Usage | None
    usage_estimated: bool
    attempts: int
    retry_wait_ns: int
    unknown_events: int
    stages: tuple[StageRecord, ...]
    result: Result | None = None
    limiter_wait_ns: int = 0
    attempt_records: tuple[AttemptRecord, ...] = ()
    route: str = ""
    loop_lag: LoopLag | None = None
