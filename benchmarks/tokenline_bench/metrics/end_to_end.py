"""End-to-end latency: from issuing the request to the last token.

    last_token_ns - request_ns

What the server sends after its last token (usage, end marker) is not waited for.
"""

from tokenline_bench.sample import Sample

from .metric import RequestMetric, formula_of


def value(sample: Sample) -> int | None:
    """End-to-end latency in ns."""
    return sample.since_request(sample.last_token_ns)


METRIC = RequestMetric("e2e", "end to end", "ns", value, formula_of(__doc__), from_start=True)
