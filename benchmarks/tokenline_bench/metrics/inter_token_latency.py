"""ITL: the time between tokens, by the server's own count of tokens.

    tokens per chunk k = (streamed output tokens - 1) / (content events - 1)
    for each gap between content events: gap / k, with weight k

All tokens of all requests put together; the mean is the sum of all (last token - first token)
over the sum of all (streamed tokens - 1). Nothing is computed without the server's count:
counting chunks instead is wrong wherever a chunk holds more or less than one token. `streamed`
leaves out reasoning tokens that are billed and never sent.
"""

import numpy as np

from tokenline_bench.sample import Sample

from .inter_chunk_latency import gaps_ns
from .metric import Integers, PooledMetric, formula_of


def values(sample: Sample) -> tuple[Integers, float] | None:
    """The time that each token of a request took in ns, and how many tokens a gap stands for."""
    tokens = sample.streamed_tokens
    gaps = gaps_ns(sample)
    if tokens is None or tokens < 2 or not len(gaps):
        return None
    tokens_per_gap = (tokens - 1) / len(gaps)
    return np.rint(gaps / tokens_per_gap).astype(np.int64), tokens_per_gap


METRIC = PooledMetric("itl", "inter-token latency", "ns", values, formula_of(__doc__))
