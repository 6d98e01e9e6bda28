"""How long until the response's headers are there.

    headers_ns - request_ns

Servers differ in when they send them: at once, or only with the first token.
"""

from tokenline_bench.sample import Sample

from .metric import RequestMetric, formula_of


def value(sample: Sample) -> int | None:
    """Time to headers in ns."""
    return sample.since_request(sample.headers_ns)


METRIC = RequestMetric("headers", "headers", "ns", value, formula_of(__doc__), from_start=True)
