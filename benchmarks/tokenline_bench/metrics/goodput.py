"""Goodput: requests that met every objective (SLO).

    good          = ended well and every metric named in the SLO is at or below its bound
    goodput       = good requests / duration
    good share    = good requests / (requests - cancelled on purpose - unfinished)

A failed request is not good; neither is one that lacks a metric of the SLO. The interval of the
share is Wilson's.
"""

from collections.abc import Iterable, Mapping, Sequence

from tokenline_bench.sample import Outcome, Sample

from .metric import RequestMetric

_LEFT = (Outcome.CANCELLED, Outcome.UNFINISHED)


def is_good(sample: Sample, bounds: Sequence[tuple[RequestMetric, float]]) -> bool:
    """Whether a request met every bound."""
    if not sample.ok:
        return False
    for metric, bound in bounds:
        value = metric.of(sample)
        if value is None:
            return False
        if value < bound if metric.higher_is_better else value > bound:
            return False
    return True


def count(
    samples: Iterable[Sample], slo: Mapping[str, float], metrics: Mapping[str, RequestMetric]
) -> tuple[int, int]:
    """How many requests were good, and of how many."""
    bounds = [(metrics[name], bound) for name, bound in slo.items()]
    judged = [sample for sample in samples if sample.outcome not in _LEFT]
    return sum(is_good(sample, bounds) for sample in judged), len(judged)
