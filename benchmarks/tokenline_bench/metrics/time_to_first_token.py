"""TTFT: how long until the first token is there, whatever it is a token of.

    first_token_ns - request_ns

The first token is the first non-empty text, reasoning, refusal or tool call; role-only chunks,
pings and usage do not count. `first_token_ns` is the time of the socket read that completed it.
"""

from tokenline_bench.sample import Sample

from .metric import RequestMetric, formula_of


def value(sample: Sample) -> int | None:
    """TTFT in ns."""
    return sample.since_request(sample.first_token_ns)


METRIC = RequestMetric("ttft", "TTFT", "ns", value, formula_of(__doc__), from_start=True)
