"""Makes the report of what was measured."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from tokenline_bench.config import Bench, ClosedLoop, Search
from tokenline_bench.metrics import REQUEST_METRICS
from tokenline_bench.report import Comparison, LevelReport, Report
from tokenline_bench.results import LevelResult, Results
from tokenline_bench.statistics import change

from .endpoint import summarize_endpoint
from .harness import LagRecord, spread, summarize_harness
from .warnings import find_warnings

COMPARED = (
    ("ttft", "p50"),
    ("ttft", "p99"),
    ("tpot", "p50"),
    ("e2e", "p50"),
    ("stream_rate", "p50"),
)
"""Metrics and statistics that endpoints measured in turns are compared by."""

CLOSED_NOTE = (
    "closed loop: each user waits for its answer, so a stall of the server delays only as many"
    " requests as there are users, and those they could not send meanwhile are missing from the"
    " percentiles (coordinated omission); an open loop (--rate) counts them"
)
OPEN_NOTE = (
    "open loop: read the latencies from schedule; they count the wait of requests that were due"
    " while others were in the way"
)
_PACKAGES = ("tokenline", "openai", "anthropic", "aiohttp", "httpx2", "msgspec", "pydantic")


def build_report(results: Results) -> Report:
    """The report of what a session has measured, however it ended."""
    bench = results.bench
    own_ns = results.prepared.own_ns
    levels = [summarize_level(level, bench, own_ns) for level in results.levels if level.samples]
    warmup = results.warmup
    report = Report(
        title=bench.title or " vs ".join(endpoint.name for endpoint in bench.endpoints),
        started_unix_ns=results.started_unix_ns,
        interrupted=results.interrupted,
        environment=describe_environment(),
        configuration=bench.redacted(),
        setup=list(results.prepared.endpoints),
        own=spread(own_ns),
        warmup=summarize_level(warmup, bench, own_ns) if warmup and warmup.samples else None,
        levels=levels,
        knee=_find_knee(levels, bench),
        comparisons=[each for level in levels for each in compare_endpoints(level, bench)],
    )
    return _with_warnings(report, results)


def summarize_level(result: LevelResult, bench: Bench, own_ns: Sequence[int] = ()) -> LevelReport:
    """One level; `own_ns` is what the calibration found."""
    lags = LagRecord(result.workers)
    harness = summarize_harness(result, lags)
    endpoints = [
        summarize_endpoint(endpoint.name, result, bench, lags, own_ns)
        for endpoint in bench.endpoints
    ]
    held = None
    if bench.slo is not None:
        good = sum(e.goodput.good for e in endpoints if e.goodput)
        judged = sum(e.goodput.judged for e in endpoints if e.goodput)
        held = bool(judged) and good / judged >= bench.slo.share
    closed = isinstance(result.level.load, ClosedLoop)
    return LevelReport(
        number=result.level.number,
        load=result.level.load,
        title=str(result.level.load),
        started_unix_ns=result.started_unix_ns,
        duration_ns=result.duration_ns,
        endpoints=endpoints,
        harness=harness,
        held=held,
        notes=[CLOSED_NOTE if closed else OPEN_NOTE],
    )


def compare_endpoints(level: LevelReport, bench: Bench) -> list[Comparison]:
    """Every other endpoint against the first."""
    first, *others = level.endpoints
    found = []
    for other in others:
        for name, statistic in COMPARED:
            difference = change(
                first.values.get(name, ()),
                other.values.get(name, ()),
                statistic,
                confidence=bench.confidence,
            )
            if difference is not None:
                found.append(
                    Comparison(
                        metric=name,
                        level=level.title,
                        before=first.endpoint,
                        after=other.endpoint,
                        change=difference,
                        higher_is_better=REQUEST_METRICS[name].higher_is_better,
                    )
                )
    return found


def describe_environment() -> dict[str, str]:
    """Machine and versions, as far as numbers depend on them."""
    found = {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "cpus": str(os.cpu_count()),
    }
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _find_knee(levels: list[LevelReport], bench: Bench) -> str | None:
    """The highest level that held, below the lowest that did not."""
    if bench.slo is None or (len(levels) < 2 and not isinstance(bench.load, Search)):
        return None
    failed = [level.load.value for level in levels if level.held is False]
    bound = min(failed, default=float("inf"))
    held = [level for level in levels if level.held and level.load.value < bound]
    return max(held, key=lambda level: level.load.value).title if held else None


def _with_warnings(report: Report, results: Results) -> Report:
    from msgspec.structs import replace

    return replace(report, warnings=find_warnings(report, results))
