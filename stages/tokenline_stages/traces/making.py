"""From a noted run to its trace record and JSON: pure, in the store's thread."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from tokenline.estimate import UsageEstimator
from tokenline.record import RunRecord, Timings
from tokenline.result import Choice, ErrorInfo, Result, TokenUsage

from .cleaning import Cleaning, Rules
from .options import TraceOptions
from .record import (
    ID_TAGS,
    Trace,
    TraceAttempt,
    TraceError,
    TraceIds,
    TraceRecord,
    TraceResponse,
    TraceStage,
    TraceTimings,
    TraceUsage,
    encode_record,
)
from .taking import Taken, unpack

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NS = 1e9


def make_trace(
    taken: Taken, options: TraceOptions, rules: Rules, estimator: UsageEstimator | None
) -> Trace:
    """The record and its JSON, no larger than `max_record_bytes`."""
    payload = unpack(taken.payload)
    usage = _usage(taken.record, payload, estimator)
    record_id = f"trace-{uuid.uuid4()}"
    limit = options.max_field_bytes
    while True:
        cleaning = Cleaning(rules, limit, payload)
        record = _Making(taken, options, cleaning, record_id, usage).record(payload)
        data = encode_record(record)
        if len(data) <= options.max_record_bytes:
            return Trace(record, data)
        if limit <= 64:
            break
        limit = max(64, limit // 16)
    cut = msgspec.structs.replace(
        record, request=None, response=TraceResponse(), tags={}, cut=record.cut + 2
    )
    return Trace(cut, encode_record(cut))


def _usage(
    record: RunRecord, payload: Any, estimator: UsageEstimator | None
) -> tuple[TokenUsage, bool] | None:
    usage, estimated = record.usage, record.usage_estimated
    if usage is None and estimator is not None and record.result is not None:
        usage, estimated = estimator.estimate(payload, record.result), True
    return None if usage is None else (TokenUsage.from_usage(usage), estimated)


class _Making:
    """The making of one record with one set of limits."""

    def __init__(
        self,
        taken: Taken,
        options: TraceOptions,
        cleaning: Cleaning,
        record_id: str,
        usage: tuple[TokenUsage, bool] | None,
    ) -> None:
        self._taken = taken
        self._run = taken.record
        self._content = options.content
        self._cleaning = cleaning
        self._id = record_id
        self._usage = usage

    def record(self, payload: Any) -> TraceRecord:
        run, info, clean = self._run, self._run.info, self._cleaning
        model = clean.optional(info.model)
        request, response, error = clean.clean(payload), self._response(), self._error()
        return TraceRecord(
            id=self._id,
            started_at=_moment(info.wall_ns(info.started_ns)),
            ids=self._ids(),
            tags={
                clean.text(str(name)): clean.text(str(value))
                for name, value in info.tags.items()
                if name not in ID_TAGS
            },
            provider=info.provider,
            api=info.api,
            operation=info.operation,
            model=clean.optional(run.response_model) or model,
            request_model=model,
            server_address=info.server_address,
            server_port=info.server_port,
            outcome=run.outcome.value,
            error=error,
            attempts=run.attempts,
            attempt_records=attempts_of(run),
            chunks=run.chunks,
            bytes=run.bytes,
            unknown_events=run.unknown_events,
            timings=timings_of(run),
            usage=self._counts(),
            request=request,
            response=response,
            stages=stages_of(run),
            content=self._content,
            redacted=clean.redacted,
            cut=clean.cut,
        )

    def _ids(self) -> TraceIds:
        tags, text = self._run.info.tags, self._cleaning.text
        return TraceIds(
            message_id=text(self._run.info.message_id),
            response_id=self._cleaning.optional(self._run.response_id),
            trace_id=self._taken.trace_id,
            span_id=self._taken.span_id,
            **{name: text(str(tags[name])) for name in ID_TAGS if name in tags},
        )

    def _counts(self) -> TraceUsage | None:
        if self._usage is None:
            return None
        usage, estimated = self._usage
        return TraceUsage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            total_tokens=usage.total_tokens,
            cached_input_tokens=usage.cached_input_tokens,
            cache_write_input_tokens=usage.cache_write_input_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            estimated=estimated,
            raw=self._cleaning.clean(usage.raw),
        )

    def _error(self) -> TraceError | None:
        error, clean = self._run.error, self._cleaning
        if error is None:
            return None
        info = ErrorInfo.from_exception(error)
        return TraceError(
            type=info.type,
            message=clean.text(info.message),
            code=clean.optional(info.code),
            status=info.status,
            retryable=info.retryable,
            stage=_attribute(error, "stage"),
            request_id=_attribute(error, "request_id"),
        )

    def _response(self) -> TraceResponse:
        result = self._run.result
        if result is None:
            return TraceResponse()
        return TraceResponse(
            content=self._parts(result),
            further_choices=[self._choice(choice) for choice in result.further_choices],
            finish_reason=result.finish_reason and result.finish_reason.value,
            raw_finish_reason=result.raw_finish_reason,
            stop_sequence=self._cleaning.optional(result.stop_sequence) if self._content else None,
        )

    def _choice(self, choice: Choice) -> dict[str, Any]:
        return {
            "index": choice.index,
            "content": self._parts(choice),
            "finish_reason": choice.finish_reason and choice.finish_reason.value,
            "raw_finish_reason": choice.raw_finish_reason,
        }

    def _parts(self, answer: Result | Choice) -> list[Any]:
        parts = [
            part.model_dump(exclude_defaults=True) | {"type": part.type} for part in answer.content
        ]
        if not self._content:
            parts = [_outline(part) for part in parts]
        return [self._cleaning.clean(part) for part in parts]


_OUTLINED = ("type", "part", "provider_id", "id", "name", "kind", "complete", "block_type")


def _outline(part: Mapping[str, Any]) -> dict[str, Any]:
    """What a part is, without what it says."""
    found = {name: part[name] for name in _OUTLINED if name in part}
    for name in ("text", "arguments", "data"):
        if isinstance(part.get(name), str):
            found[f"{name}_chars"] = len(part[name])
    return found


def _attribute(error: BaseException, name: str) -> str | None:
    value = getattr(error, name, None)
    return value if isinstance(value, str) else None


def _moment(wall_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=wall_ns // 1000)


def stages_of(run: RunRecord) -> list[TraceStage]:
    """What the stages did."""
    return [
        TraceStage(
            name=stage.name,
            kind=stage.kind.value,
            items_in=stage.items_in,
            items_out=stage.items_out,
            batches=stage.batches,
            processing_ns=stage.processing_ns,
            queue_wait_ns=stage.queue_wait_ns,
            blocked_ns=stage.blocked_ns,
            idle_ns=stage.idle_ns,
            high_water_items=stage.high_water_items,
            dropped_items=stage.dropped_items,
            errors=stage.errors,
            started_ns=stage.started_ns - run.timings.started_ns,
            ended_ns=stage.ended_ns - run.timings.started_ns,
        )
        for stage in run.stages
    ]


def attempts_of(run: RunRecord) -> list[TraceAttempt]:
    """The requests of a run."""
    started_ns = run.timings.started_ns
    return [
        TraceAttempt(
            route=attempt.route,
            provider=attempt.provider,
            request_ns=attempt.request_ns and attempt.request_ns - started_ns,
            ended_ns=attempt.ended_ns - started_ns,
            outcome=attempt.outcome.value,
            error=attempt.error,
            committed=attempt.committed,
        )
        for attempt in run.attempt_records
    ]


_STAMPS = (
    "request_ns",
    "headers_ns",
    "first_byte_ns",
    "first_chunk_ns",
    "first_token_ns",
    "first_answer_ns",
    "first_delivery_ns",
    "last_token_ns",
    "ended_ns",
    "closed_ns",
)


def timings_of(run: RunRecord) -> TraceTimings:
    """The stamps from the start of the run, and what they amount to."""
    timings: Timings = run.timings
    stamps = {name: getattr(timings, name) for name in _STAMPS}
    since, gaps, lag = timings.since_request_s, run.gaps, run.loop_lag
    return TraceTimings(
        **{name: at and at - timings.started_ns for name, at in stamps.items()},
        time_to_headers_s=since(timings.headers_ns),
        time_to_first_chunk_s=since(timings.first_chunk_ns),
        time_to_first_token_s=since(timings.first_token_ns),
        time_to_first_answer_s=since(timings.first_answer_ns),
        time_to_first_delivery_s=since(timings.first_delivery_ns),
        duration_s=since(timings.ended_ns or None),
        retry_wait_s=run.retry_wait_ns / _NS,
        limiter_wait_s=run.limiter_wait_ns / _NS,
        chunk_gap_p50_s=gaps.p50_ns / _NS if gaps.count else None,
        chunk_gap_p99_s=gaps.p99_ns / _NS if gaps.count else None,
        chunk_gap_max_s=gaps.max_ns / _NS if gaps.count else None,
        loop_blocked_s=lag.blocked_ns / _NS if lag else None,
        loop_max_block_s=lag.max_block_ns / _NS if lag else None,
        loop_blocked_before_first_token_s=lag.first_token_blocked_ns / _NS if lag else None,
    )
