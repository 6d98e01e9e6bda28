"""TPOT: the mean time of a request's tokens after the first.

    (last_token_ns - first_token_ns) / (streamed output tokens - 1), whole ns

One value a request, by the server's count of tokens; None with less than two.
"""

from tokenline_bench.sample import Sample

from .metric import RequestMetric, formula_of


def value(sample: Sample) -> int | None:
    """TPOT in ns."""
    tokens = sample.streamed_tokens
    if tokens is None or tokens < 2:
        return None
    if sample.first_token_ns is None or sample.last_token_ns is None:
        return None
    return (sample.last_token_ns - sample.first_token_ns) // (tokens - 1)


METRIC = RequestMetric("tpot", "TPOT", "ns", value, formula_of(__doc__))
