"""Tokens, as the server counts them, and what they came in.

tokens per chunk = streamed output tokens / content events
"""

from tokenline_bench.sample import Sample

from .metric import RequestMetric


def tokens_per_chunk(sample: Sample) -> float | None:
    """Tokens in a content event, on average."""
    tokens, events = sample.streamed_tokens, sample.content_events
    return tokens / events if tokens is not None and events else None


INPUT = RequestMetric(
    "input_tokens", "input tokens", "tokens", lambda s: s.input_tokens, "usage, cached ones too"
)
OUTPUT = RequestMetric(
    "output_tokens", "output tokens", "tokens", lambda s: s.output_tokens, "usage, reasoning too"
)
REASONING = RequestMetric(
    "reasoning_tokens", "reasoning tokens", "tokens", lambda s: s.reasoning_tokens, "usage"
)
CHUNKS = RequestMetric(
    "chunks", "content events", "events", lambda s: s.content_events or None, "content events"
)
PER_CHUNK = RequestMetric(
    "tokens_per_chunk",
    "tokens per chunk",
    "tokens",
    tokens_per_chunk,
    "streamed output tokens / content events",
)
