"""Samples made by hand: milliseconds in, stamps out."""

from array import array
from collections.abc import Sequence
from typing import Any

from tokenline_bench.load.generator import Level
from tokenline_bench.load.spec import ClosedLoop, Load
from tokenline_bench.results import LevelResult
from tokenline_bench.sample import Outcome, Sample
from tokenline_bench.workers.messages import LevelEnded

MS = 1_000_000
START_NS = 1_000_000 * MS


def sample(
    reads_ms: Sequence[float] = (100, 110, 120),
    events: Sequence[int] | None = None,
    *,
    number: int = 0,
    at_ms: float = 0.0,
    late_ms: float = 0.0,
    endpoint: str = "a",
    outcome: Outcome = Outcome.OK,
    **more: Any,
) -> Sample:
    """A request issued `at_ms` whose content arrived `reads_ms` after that."""
    request_ns = START_NS + round((at_ms + late_ms) * MS)
    reads = array("q", [request_ns + round(read * MS) for read in reads_ms])
    first, last = (reads[0], reads[-1]) if reads else (None, None)
    found = Sample(
        endpoint=endpoint,
        level=0,
        number=number,
        scheduled_ns=START_NS + round(at_ms * MS),
        started_ns=request_ns,
        request_ns=request_ns,
        headers_ns=request_ns + 1 * MS,
        first_byte_ns=request_ns + 1 * MS,
        first_chunk_ns=request_ns + 2 * MS,
        first_token_ns=first,
        first_answer_ns=first,
        first_delivery_ns=first,
        last_token_ns=last,
        ended_ns=(last or request_ns) + 1 * MS,
        reads_ns=reads.tobytes(),
        reads_events=array("i", events or [1] * len(reads)).tobytes(),
        output_tokens=sum(events) if events else len(reads),
        outcome=outcome,
    )
    fields = {name: getattr(found, name) for name in Sample.__struct_fields__}
    return Sample(**{**fields, **more})


def level_of(
    samples: Sequence[Sample], load: Load | None = None, lags_ms: Sequence[float] = ()
) -> LevelResult:
    """A level that gave these samples; the loop was looked at every 10 ms."""
    level = Level(number=0, load=load or ClosedLoop(concurrency=1), start_ns=START_NS)
    ended = LevelEnded(
        cpu_ns=10 * MS,
        wall_ns=1000 * MS,
        lag_stamps_ns=[START_NS + place * 10 * MS for place in range(len(lags_ms))],
        lags_ns=[round(lag * MS) for lag in lags_ms],
    )
    return LevelResult(level, 1_700_000_000 * 10**9, list(samples), [ended], START_NS + 1000 * MS)
