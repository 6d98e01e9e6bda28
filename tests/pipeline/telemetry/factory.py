"""Run records made by hand: one run of 2 s, request issued at 10 ms, first token at 510 ms."""

from typing import Any

from msgspec.structs import replace

from tokenline.events import Usage
from tokenline.record import (
    ChunkGaps,
    Outcome,
    RunInfo,
    RunRecord,
    StageKind,
    StageRecord,
    Timings,
)

MS = 1_000_000
STARTED_NS = 5_000 * MS
ANCHOR_WALL_NS = 1_900_000_000_000_000_000


def wall(ms: float) -> int:
    """Wall-clock time `ms` after the start of the run."""
    return ANCHOR_WALL_NS + int(ms * MS)


def at(ms: float) -> int:
    """Monotonic stamp `ms` after the start of the run."""
    return STARTED_NS + int(ms * MS)


def run_info(**changes: Any) -> RunInfo:
    info = RunInfo(
        message_id="msg_1",
        provider="openai",
        operation="chat",
        api="openai.chat",
        model="gpt-test",
        server_address="127.0.0.1",
        server_port=8080,
        payload={
            "model": "gpt-test",
            "temperature": 1,
            "max_completion_tokens": 64,
            "stop": "END",
            "n": 1,
        },
        started_ns=STARTED_NS,
        anchor_wall_ns=ANCHOR_WALL_NS,
        anchor_ns=STARTED_NS,
    )
    return replace(info, **changes)


TIMINGS = Timings(
    started_ns=at(0),
    request_ns=at(10),
    headers_ns=at(310),
    first_byte_ns=at(409),
    first_chunk_ns=at(410),
    first_token_ns=at(510),
    first_answer_ns=at(610),
    first_delivery_ns=at(511),
    last_token_ns=at(1510),
    ended_ns=at(2000),
    closed_ns=at(2100),
)

STAGES = (
    StageRecord(
        "source",
        StageKind.SOURCE,
        0,
        at(10),
        at(1900),
        items_out=40,
        batches=40,
        processing_ns=4 * MS,
        blocked_ns=30 * MS,
        idle_ns=1856 * MS,
        first_item_ns=399 * MS,
        max_processing_ns=1 * MS,
    ),
    StageRecord(
        "parser",
        StageKind.PARSER,
        1,
        at(409),
        at(1901),
        items_in=40,
        items_out=41,
        batches=40,
        bytes=4096,
        processing_ns=2 * MS,
        idle_ns=1490 * MS,
        first_item_ns=50_000,
        max_processing_ns=200_000,
    ),
    StageRecord(
        "consumer",
        StageKind.CONSUMER,
        2,
        at(511),
        at(2100),
        items_in=41,
        items_out=41,
        batches=40,
        processing_ns=100 * MS,
        queue_wait_ns=12 * MS,
        first_item_ns=MS,
        max_processing_ns=5 * MS,
        capacity_items=256,
        capacity_bytes=1 << 20,
        high_water_items=9,
        high_water_bytes=900,
        dropped_items=3,
        queued_batches=40,
    ),
)

USAGE = Usage(
    input_tokens=100,
    output_tokens=51,
    total_tokens=151,
    cached_input_tokens=40,
    cache_write_input_tokens=20,
    reasoning_tokens=10,
)


def run_record(info: RunInfo | None = None, **changes: Any) -> RunRecord:
    record = RunRecord(
        info=info or run_info(),
        outcome=Outcome.OK,
        error=None,
        timings=TIMINGS,
        gaps=ChunkGaps(count=39, mean_ns=25 * MS, p50_ns=20 * MS, p99_ns=90 * MS, max_ns=100 * MS),
        chunks=40,
        bytes=4096,
        response_id="resp_1",
        response_model="gpt-test-2026",
        finish_reasons=("stop",),
        usage=USAGE,
        usage_estimated=False,
        attempts=1,
        retry_wait_ns=0,
        unknown_events=0,
        stages=STAGES,
    )
    return replace(record, **changes)
