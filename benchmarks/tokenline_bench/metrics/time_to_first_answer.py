"""TTFA: how long until the first token of the answer, after the reasoning.

    first_answer_ns - request_ns

Equal to TTFT where no reasoning is streamed.
"""

from tokenline_bench.sample import Sample

from .metric import RequestMetric, formula_of


def value(sample: Sample) -> int | None:
    """Time to the first answer token in ns."""
    return sample.since_request(sample.first_answer_ns)


METRIC = RequestMetric("ttfa", "first answer", "ns", value, formula_of(__doc__), from_start=True)
