"""Requests per second that ended well.

    requests that ended well / duration of the measurement

The duration runs from the start of the load to the end of the last request in it.
"""

from collections.abc import Sequence

from tokenline_bench.sample import Sample


def total(samples: Sequence[Sample], duration_ns: int) -> float:
    """Completed requests per second."""
    return sum(sample.ok for sample in samples) * 1e9 / duration_ns if duration_ns else 0.0
