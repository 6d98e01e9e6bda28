"""TTFC: how long until the first event of any kind, a role-only chunk too.

    first_chunk_ns - request_ns

What some tools call TTFT. The gap to TTFT is what they leave out.
"""

from tokenline_bench.sample import Sample

from .metric import RequestMetric, formula_of


def value(sample: Sample) -> int | None:
    """Time to the first chunk in ns."""
    return sample.since_request(sample.first_chunk_ns)


METRIC = RequestMetric("ttfc", "first chunk", "ns", value, formula_of(__doc__), from_start=True)
