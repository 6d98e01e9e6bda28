"""Metrics, one module each, with its formula as docstring. Times are integer nanoseconds."""

from . import (
    end_to_end,
    from_schedule,
    inter_chunk_latency,
    inter_token_latency,
    output_rate,
    response_end,
    time_per_output_token,
    time_to_first_answer,
    time_to_first_chunk,
    time_to_first_token,
    time_to_headers,
    time_to_second_token,
    tokens,
)
from .metric import Integers as Integers
from .metric import PooledMetric as PooledMetric
from .metric import RequestMetric as RequestMetric
from .metric import Unit as Unit

REQUEST_METRICS: dict[str, RequestMetric] = {
    metric.name: metric
    for metric in (
        time_to_first_token.METRIC,
        time_to_first_answer.METRIC,
        time_to_second_token.METRIC,
        time_per_output_token.METRIC,
        end_to_end.METRIC,
        from_schedule.FIRST_TOKEN,
        from_schedule.END_TO_END,
        from_schedule.DELAY,
        time_to_headers.METRIC,
        time_to_first_chunk.METRIC,
        response_end.METRIC,
        output_rate.STREAM,
        output_rate.REQUEST,
        tokens.INPUT,
        tokens.OUTPUT,
        tokens.REASONING,
        tokens.CHUNKS,
        tokens.PER_CHUNK,
    )
}
"""Metrics with one value a request, by name."""

POOLED_METRICS: dict[str, PooledMetric] = {
    metric.name: metric for metric in (inter_chunk_latency.METRIC, inter_token_latency.METRIC)
}
"""Metrics with many values a request, by name."""
