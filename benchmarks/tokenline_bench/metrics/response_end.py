"""Time to the end of the response: usage, end marker and last byte included.

    ended_ns - request_ns

What a client waits for that reads to the end; `end to end` stops at the last token.
"""

from tokenline_bench.sample import Sample

from .metric import RequestMetric, formula_of


def value(sample: Sample) -> int | None:
    """Time to the end of the response in ns."""
    return sample.since_request(sample.ended_ns or None)


METRIC = RequestMetric(
    "response_end", "response end", "ns", value, formula_of(__doc__), from_start=True
)
