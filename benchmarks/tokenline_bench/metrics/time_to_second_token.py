"""TTST: from the first content event to the second.

    second content event - first_token_ns

0 if one read brought both. A large value beside a small inter-chunk latency says that the server
sends the first token early and then pauses.
"""

from tokenline_bench.sample import Sample

from .metric import RequestMetric, formula_of


def value(sample: Sample) -> int | None:
    """Time from the first content event to the second in ns."""
    events = sample.events()
    if not events:
        return None
    if events[0] > 1:
        return 0
    stamps = sample.stamps_ns()
    return stamps[1] - stamps[0] if len(stamps) > 1 else None


METRIC = RequestMetric("ttst", "second token", "ns", value, formula_of(__doc__))
