"""ICL: the gaps between content events, those of all requests put together.

    for content events k = 1, 2, ... of a request: receive time(k) - receive time(k - 1)

A chunk is not a token: servers put several tokens into one. Events that one read brought have
gaps of 0 between them.
"""

import numpy as np

from tokenline_bench.sample import Sample

from .metric import Integers, PooledMetric, formula_of


def gaps_ns(sample: Sample) -> Integers:
    """All gaps between the content events of a request in ns."""
    stamps = np.frombuffer(sample.reads_ns, dtype=np.int64)
    events = np.frombuffer(sample.reads_events, dtype=np.int32)
    each = np.repeat(stamps, events)
    return each[1:] - each[:-1]


def values(sample: Sample) -> tuple[Integers, float] | None:
    """The gaps of a request; every gap has weight 1."""
    gaps = gaps_ns(sample)
    return (gaps, 1.0) if len(gaps) else None


METRIC = PooledMetric("icl", "inter-chunk latency", "ns", values, formula_of(__doc__))
