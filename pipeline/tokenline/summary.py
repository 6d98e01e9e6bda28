"""What a run's stages and clocks wrote, put together for its record."""

from __future__ import annotations

from collections.abc import Iterable

from .attempt import Stamps
from .meter import Meter
from .reader import Reader
from .record import RunInfo, StageKind, StageRecord, Timings


def collect_timings(
    info: RunInfo,
    stamps: Stamps,
    meter: Meter,
    readers: Iterable[Reader],
    ended_ns: int,
    now_ns: int,
) -> Timings:
    """The stamps of a run so far; `ended_ns` is 0 while it runs."""
    delivered = [reader.first_delivery_ns for reader in readers if reader.first_delivery_ns]
    return Timings(
        started_ns=info.started_ns,
        request_ns=stamps.request_ns,
        headers_ns=stamps.headers_ns,
        first_byte_ns=stamps.first_byte_ns,
        first_chunk_ns=meter.first_chunk_ns,
        first_token_ns=meter.first_token_ns,
        first_answer_ns=meter.first_answer_ns,
        first_delivery_ns=min(delivered) if delivered else None,
        last_token_ns=meter.last_token_ns or None,
        ended_ns=ended_ns or now_ns,
        closed_ns=now_ns,
    )


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
