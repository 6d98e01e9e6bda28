"""What a run's stages and clocks wrote, put together for its record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

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


def collect_stages(records: Sequence[StageRecord], ended_ns: int) -> tuple[StageRecord, ...]:
    """The stages in flow order, the source first, fitted to a request that ended at `ended_ns`.

    A stage that nothing reached has no times of its own. The source may wait for the end of the
    body after the response is complete: that is no part of the request.
    """
    found = [
        r if r.started_ns else replace(r, started_ns=ended_ns, ended_ns=ended_ns) for r in records
    ]
    source = found[0]
    if source.ended_ns > ended_ns:
        end_ns = max(ended_ns, source.started_ns)
        busy_ns = source.processing_ns + source.blocked_ns
        idle_ns = max(0, min(source.idle_ns, end_ns - source.started_ns - busy_ns))
        found[0] = replace(source, ended_ns=end_ns, idle_ns=idle_ns)
    return tuple(found)


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
