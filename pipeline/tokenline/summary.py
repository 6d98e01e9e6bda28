"""What a run's stages and clocks wrote, put together for its record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .attempt import Stamps
from .meter import Meter
from .pipeline import Pipeline
from .reader import Reader
from .record import RunInfo, StageKind, StageRecord, Timings


def describe_run(
    plan: Pipeline, payload: Mapping[str, Any], message_id: str, tags: Mapping[str, str]
) -> RunInfo:
    """What is known of a run at its start.

    Args:
        plan: what runs.
        payload: the request's body.
        message_id: our id of the response.
        tags: what the caller gave.
    """
    source = plan.source
    model = payload.get("model") or payload.get("modelId")
    return RunInfo(
        message_id=message_id,
        provider=source.provider,
        operation=source.operation,
        api=source.api,
        model=model if isinstance(model, str) else None,
        server_address=source.server_address,
        server_port=source.server_port,
        payload=payload,
        started_ns=plan.clock.now_ns(),
        anchor_wall_ns=plan.clock.wall_ns(),
        anchor_ns=plan.clock.now_ns(),
        tags=tags,
    )


def collect_timings(
    info: RunInfo,
    stamps: Stamps,
    meter: Meter,
    readers: Iterable[Reader],
    ended_ns: int,
    now_ns: int,
) -> Timings:
    """The stamps of a run so far; `ended_ns` is 0 while it runs.

    Args:
        info: what was known at the start.
        stamps: those of the attempt that counts now.
        meter: the token clocks.
        readers: who was given content.
        ended_ns: when the response was over.
        now_ns: the time.
    """
    stamps = _stamps_of_first(stamps, meter)
    counted_from_ns = meter.first_token_ns or stamps.request_ns or 0
    given = [reader.first_delivery_ns for reader in readers]
    # A reader that is behind a `Reset` still shows the delivery of what is void.
    delivered = [at_ns for at_ns in given if at_ns and at_ns >= counted_from_ns]
    return Timings(
        started_ns=info.started_ns,
        request_ns=stamps.request_ns,
        headers_ns=stamps.headers_ns,
        first_byte_ns=stamps.first_byte_ns,
        first_chunk_ns=meter.first_chunk_ns,
        first_token_ns=meter.first_token_ns,
        first_answer_ns=meter.first_answer_ns,
        first_delivery_ns=min(delivered) if delivered else None,
        last_token_ns=None if meter.first_token_ns is None else meter.last_token_ns,
        ended_ns=ended_ns or now_ns,
        closed_ns=now_ns,
    )


def _stamps_of_first(current: Stamps, meter: Meter) -> Stamps:
    """The stamps of the attempt that gave the first content, with which they belong together.

    Not always the current one's: a further attempt may continue a response that had begun, or
    may have been made, but not have come to replace it.
    """
    first_ns = meter.first_token_ns or meter.first_chunk_ns
    for stamps in (current, *reversed(meter.ended_attempts)):
        if first_ns and stamps.request_ns is not None and stamps.request_ns <= first_ns:
            return stamps
    return current


def emitter_stage(index: int, from_ns: int, to_ns: int) -> StageRecord:
    """The trace emitter's own record: how long it took to report the run."""
    took_ns = to_ns - from_ns
    return StageRecord(
        name="trace-emitter",
        kind=StageKind.TRACE_EMITTER,
        index=index,
        started_ns=from_ns,
        ended_ns=to_ns,
        items_in=1,
        items_out=1,
        batches=1,
        processing_ns=took_ns,
        max_processing_ns=took_ns,
        first_item_ns=took_ns,
    )
