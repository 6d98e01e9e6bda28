"""What the pipeline's own stages took in a request.

    processing = time inside the stage's code
    queue wait = time its input lay in its queue
    blocked    = time it waited for room behind it
    idle       = time it waited for input (the source: for the provider)

Sums over a request, from `tokenline.StageRecord`. All but the source's idle time is ours.
"""

from collections.abc import Sequence
from typing import Literal

from tokenline_bench.sample import Sample, StageTimes

Time = Literal["processing_ns", "queue_wait_ns", "blocked_ns", "idle_ns"]
TIMES: tuple[Time, ...] = ("processing_ns", "queue_wait_ns", "blocked_ns", "idle_ns")


def names(samples: Sequence[Sample]) -> list[tuple[str, str]]:
    """Name and kind of the stages, in flow order."""
    for sample in samples:
        if sample.ok and sample.stages:
            return [(stage.name, stage.kind) for stage in sample.stages]
    return []


def values(samples: Sequence[Sample], stage: str, time: Time) -> list[int]:
    """One of a stage's times in each request that ended well, ns."""
    found = (_find(sample.stages, stage) for sample in samples if sample.ok)
    return [getattr(times, time) for times in found if times is not None]


def _find(stages: Sequence[StageTimes], name: str) -> StageTimes | None:
    return next((stage for stage in stages if stage.name == name), None)
