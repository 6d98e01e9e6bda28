"""The trace record: everything about one call, as JSON. Format version 1.

One record for each run, on every exit. `started_at` is wall-clock time; all `*_ns` under
`timings` are nanoseconds from the start of the run, monotonic; `*_s` are seconds from issuing the
provider request. Readers ignore fields that they do not know; a change that they could not read
raises `SCHEMA_VERSION`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

SCHEMA_VERSION = 1

ID_TAGS = ("run_id", "step_id", "actor_id", "organization_id", "user_id")
"""Tags of a run that have a field of their own in the record."""


class TraceIds(msgspec.Struct, frozen=True, kw_only=True):
    """Whose call it was.

    Attributes:
        message_id: our id of the response, the same on every event.
        response_id: the provider's id of it.
        trace_id: OpenTelemetry trace, 32 hex digits; None without tracing.
        span_id: the request's span, 16 hex digits.
        run_id: from the tag of that name; so are the four below.
        step_id: see `run_id`.
        actor_id: see `run_id`.
        organization_id: see `run_id`.
        user_id: see `run_id`.
    """

    message_id: str
    response_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    run_id: str | None = None
    step_id: str | None = None
    actor_id: str | None = None
    organization_id: str | None = None
    user_id: str | None = None


class TraceError(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller's exception said; fields as those of `tokenline.errors.StreamError`."""

    type: str
    message: str
    code: str | None = None
    status: int | None = None
    retryable: bool = False
    stage: str | None = None
    request_id: str | None = None


class TraceUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Token counts, see `tokenline.events.Usage`. None means not reported.

    Attributes:
        input_tokens: cached and cache-written ones included.
        output_tokens: reasoning included.
        total_tokens: as reported, else the sum.
        cached_input_tokens: read from the provider's cache.
        cache_write_input_tokens: written to it.
        reasoning_tokens: part of the output.
        estimated: counted here because the provider reported none.
        raw: the provider's own object.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    estimated: bool = False
    raw: Any = None


class TraceTimings(msgspec.Struct, frozen=True, kw_only=True):
    """Stamps of `tokenline.record.Timings` from the start of the run, and what they amount to.

    Attributes:
        request_ns: the request was issued (last attempt).
        headers_ns: response headers were there.
        first_byte_ns: first body bytes.
        first_chunk_ns: first provider event.
        first_token_ns: first content.
        first_answer_ns: first content that is not reasoning.
        first_delivery_ns: the consumer had the first content.
        last_token_ns: last content.
        ended_ns: received and accumulated, or failed, or cancelled.
        closed_ns: over for the consumer too.
        time_to_headers_s: from issuing the request, as all below.
        time_to_first_chunk_s: any provider event counts.
        time_to_first_token_s: text, reasoning, refusals and tool calls count.
        time_to_first_answer_s: reasoning does not count.
        time_to_first_delivery_s: the consumer has it.
        duration_s: to the end; None if no request was sent.
        retry_wait_s: waited between attempts.
        limiter_wait_s: waited for the limiter.
        chunk_gap_p50_s: gap between content events.
        chunk_gap_p99_s: see above.
        chunk_gap_max_s: see above.
        loop_blocked_s: blocks of the event loop, see `tokenline.record.LoopLag`; None if not
            measured.
        loop_max_block_s: the longest of them.
        loop_blocked_before_first_token_s: what of them lay before the first token.
    """

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
    time_to_headers_s: float | None = None
    time_to_first_chunk_s: float | None = None
    time_to_first_token_s: float | None = None
    time_to_first_answer_s: float | None = None
    time_to_first_delivery_s: float | None = None
    duration_s: float | None = None
    retry_wait_s: float = 0.0
    limiter_wait_s: float = 0.0
    chunk_gap_p50_s: float | None = None
    chunk_gap_p99_s: float | None = None
    chunk_gap_max_s: float | None = None
    loop_blocked_s: float | None = None
    loop_max_block_s: float | None = None
    loop_blocked_before_first_token_s: float | None = None


class TraceStage(msgspec.Struct, frozen=True, kw_only=True):
    """What one stage did; fields as those of `tokenline.record.StageRecord`.

    Attributes:
        started_ns: its first input was there, from the start of the run.
        ended_ns: its last output, from the start of the run.
    """

    name: str
    kind: str
    items_in: int
    items_out: int
    batches: int
    processing_ns: int
    queue_wait_ns: int
    blocked_ns: int
    idle_ns: int
    high_water_items: int
    dropped_items: int
    errors: int
    started_ns: int | None = None
    ended_ns: int | None = None


class TraceAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One request of the run; fields as those of `tokenline.record.AttemptRecord`.

    Attributes:
        route: name of the route it took.
        provider: GenAI provider name.
        request_ns: when it was issued, from the start of the run.
        ended_ns: when it was over, from the start of the run.
        outcome: `ok`, `error` or `cancelled` (it lost a race).
        error: class name of what ended it.
        committed: its content was delivered.
    """

    route: str
    provider: str
    request_ns: int | None
    ended_ns: int
    outcome: str
    error: str | None
    committed: bool


class TraceResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What came back, as far as it came.

    Attributes:
        content: the parts in order, fields as those of `tokenline.result`; without content
            recording only their types, ids, names and sizes.
        further_choices: of requests for several: objects with `index`, `content`,
            `finish_reason` and `raw_finish_reason`.
        finish_reason: one vocabulary for all providers.
        raw_finish_reason: the provider's own word.
        stop_sequence: the stop sequence that was met.
    """

    content: list[Any] = []
    further_choices: list[Any] = []
    finish_reason: str | None = None
    raw_finish_reason: str | None = None
    stop_sequence: str | None = None


class TraceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One call.

    Attributes:
        schema_version: format of this record.
        id: unique, `trace-` and a UUID.
        started_at: when the run was entered, UTC.
        ids: whose call it was.
        tags: the run's other tags.
        provider: OpenTelemetry GenAI provider name.
        api: wire API, `openai.chat` ...
        operation: GenAI operation.
        model: the model that answered, else the requested one.
        request_model: the model asked for.
        server_address: host.
        server_port: port.
        outcome: `ok`, `error`, `timeout`, `cancelled` or `abandoned`.
        error: what the caller saw, if it did not end well.
        attempts: requests made.
        attempt_records: one entry for each finished request, in the order they were made.
        chunks: content events received.
        bytes: response body bytes read.
        unknown_events: events this version does not know.
        timings: when what happened.
        usage: token counts; None if there are none.
        request: the payload; without content recording only its numbers and switches.
        response: what came back.
        stages: one entry for each stage, in flow order.
        content: whether texts were recorded.
        redacted: how many values were taken out.
        cut: how many values were shortened, or left out, to keep the size.
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    started_at: datetime
    ids: TraceIds
    tags: dict[str, str] = {}
    provider: str
    api: str
    operation: str
    model: str | None = None
    request_model: str | None = None
    server_address: str | None = None
    server_port: int | None = None
    outcome: str
    error: TraceError | None = None
    attempts: int = 1
    attempt_records: list[TraceAttempt] = []
    chunks: int = 0
    bytes: int = 0
    unknown_events: int = 0
    timings: TraceTimings
    usage: TraceUsage | None = None
    request: Any = None
    response: TraceResponse = TraceResponse()
    stages: list[TraceStage] = []
    content: bool = True
    redacted: int = 0
    cut: int = 0


class Trace(msgspec.Struct, frozen=True):
    """A finished record and its JSON, made once for all sinks."""

    record: TraceRecord
    json: bytes


encode_record = msgspec.json.Encoder().encode
decode_record = msgspec.json.Decoder(TraceRecord).decode
