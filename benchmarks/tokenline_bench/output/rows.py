"""Which metrics are shown, and in which order; the same on the console and in HTML."""

from __future__ import annotations

from tokenline_bench.load.spec import ClosedLoop
from tokenline_bench.metrics import POOLED_METRICS, REQUEST_METRICS
from tokenline_bench.report import EndpointReport, LevelReport

_FIRST = ("ttft", "ttfa", "ttst", "icl", "itl", "tpot", "e2e")
_OPEN = ("ttft_scheduled", "ttft", "ttfa", "ttst", "icl", "itl", "tpot", "e2e_scheduled", "e2e")
_LAST = ("headers", "ttfc", "response_end", "stream_rate", "token_rate")
_COUNTS = ("input_tokens", "output_tokens", "reasoning_tokens", "chunks", "tokens_per_chunk")


def title_of(name: str) -> str:
    """A metric's heading."""
    metric = REQUEST_METRICS.get(name) or POOLED_METRICS[name]
    return metric.title


def shown_metrics(level: LevelReport, endpoint: EndpointReport) -> list[str]:
    """Names of the metrics to show; those that say nothing new are left out."""
    closed = isinstance(level.load, ClosedLoop)
    names = [*(_FIRST if closed else _OPEN), *_LAST, *_COUNTS]
    if not closed:
        names.append("schedule_delay")
    found = endpoint.metrics
    return [name for name in names if name in found and not _is_repeated(name, endpoint)]


def _is_repeated(name: str, endpoint: EndpointReport) -> bool:
    found = endpoint.metrics
    if name == "ttfa":
        return endpoint.values.get("ttfa") == endpoint.values.get("ttft")
    return name == "reasoning_tokens" and found[name].maximum == 0


def main_latency(level: LevelReport) -> str:
    """The TTFT that a level is judged by: from the schedule in an open loop."""
    return "ttft" if isinstance(level.load, ClosedLoop) else "ttft_scheduled"
