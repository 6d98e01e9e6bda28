"""Output tokens per second: of one stream while it streams, of one request, of all together.

    stream rate  = (streamed output tokens - 1) / (last_token_ns - first_token_ns)
    request rate = output tokens / (last_token_ns - request_ns)
    total        = sum of output tokens / duration of the measurement

By the server's count of tokens. The stream rate is what a reader sees; the total is what the
server sustains. Failed and unfinished requests add nothing.
"""

from collections.abc import Iterable

from tokenline_bench.sample import Sample

from .end_to_end import value as end_to_end_ns
from .metric import RequestMetric

_NS = 1e9


def stream_rate(sample: Sample) -> float | None:
    """Tokens per second from the first token to the last."""
    tokens = sample.streamed_tokens
    first, last = sample.first_token_ns, sample.last_token_ns
    if tokens is None or tokens < 2 or first is None or last is None or last <= first:
        return None
    return (tokens - 1) * _NS / (last - first)


def request_rate(sample: Sample) -> float | None:
    """Tokens per second of the whole request, waiting included."""
    took_ns = end_to_end_ns(sample)
    if sample.output_tokens is None or not took_ns:
        return None
    return sample.output_tokens * _NS / took_ns


def total(samples: Iterable[Sample], duration_ns: int) -> float | None:
    """Tokens per second of all streams together; None without any count."""
    counts = [s.output_tokens for s in samples if s.ok and s.output_tokens is not None]
    return sum(counts) * _NS / duration_ns if counts and duration_ns else None


STREAM = RequestMetric(
    "stream_rate",
    "stream tokens/s",
    "tokens/s",
    stream_rate,
    "(streamed output tokens - 1) / (last_token_ns - first_token_ns)",
    higher_is_better=True,
)
REQUEST = RequestMetric(
    "token_rate",
    "request tokens/s",
    "tokens/s",
    request_rate,
    "output tokens / (last_token_ns - request_ns)",
    higher_is_better=True,
)
