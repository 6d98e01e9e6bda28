"""Errors by type.

    error share = (failed + timed out) / (requests - cancelled on purpose - unfinished)

A failed request has no latency: it is counted here and left out of every percentile.
"""

from collections import Counter
from collections.abc import Iterable

import msgspec

from tokenline_bench.sample import Outcome, Sample


class ErrorCount(msgspec.Struct, frozen=True):
    """One type of error.

    Attributes:
        type: class of the error.
        status: HTTP status, if there was one.
        count: how often it came.
        example: the message of the first.
    """

    type: str
    status: int | None
    count: int
    example: str


def count(samples: Iterable[Sample]) -> list[ErrorCount]:
    """The errors by type and status, most frequent first."""
    counts: Counter[tuple[str, int | None]] = Counter()
    examples: dict[tuple[str, int | None], str] = {}
    for sample in samples:
        if sample.failure is not None and sample.outcome in (Outcome.ERROR, Outcome.TIMEOUT):
            key = (sample.failure.type, sample.failure.status)
            counts[key] += 1
            examples.setdefault(key, sample.failure.message)
    return [ErrorCount(*key, number, examples[key]) for key, number in counts.most_common()]
