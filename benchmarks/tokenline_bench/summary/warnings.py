"""What to know before the numbers are believed; each rule is one function."""

from __future__ import annotations

from collections.abc import Iterator

from tokenline_bench.config import ClosedLoop, FixedPrompt, OpenLoop, PromptFile, Synthetic
from tokenline_bench.limits import MOST_WORDS_PER_TOKEN
from tokenline_bench.metrics import loop_lag
from tokenline_bench.report import EndpointReport, LevelReport, Report
from tokenline_bench.results import Results
from tokenline_bench.statistics.distribution import size_warning

_BUSY = 0.85
_IDLE = 0.3
_LATE_SHARE = 0.05
_LATE_NS = 5_000_000
_NEAR_OWN = 5
_OFF = 0.1


def find_warnings(report: Report, results: Results) -> list[str]:
    """All warnings, each once, with the levels that it holds for where there are several."""
    found: list[str] = []
    if report.interrupted:
        found.append("interrupted: these are the results up to then")
    found += _of_work(report, results)
    levels: dict[str, list[str]] = {}
    for level in report.levels:
        for warning in _of_level(level, report):
            levels.setdefault(warning, []).append(level.title)
    several = len(report.levels) > 1
    for warning, titles in levels.items():
        place = "all levels" if len(titles) == len(report.levels) else ", ".join(titles)
        found.append(f"{warning} ({place})" if several else warning)
    return found


def _of_level(level: LevelReport, report: Report) -> Iterator[str]:
    yield from dict.fromkeys(_of_harness(level))
    endpoints: dict[str, list[str]] = {}
    for endpoint in level.endpoints:
        for warning in _of_endpoint(endpoint, level, report):
            endpoints.setdefault(warning, []).append(endpoint.endpoint)
    for warning, names in endpoints.items():
        yield warning if len(names) == len(level.endpoints) else f"{', '.join(names)}: {warning}"


def _of_work(report: Report, results: Results) -> Iterator[str]:
    work = report.configuration.work
    size = results.prepared.work_size
    most = max((len(level.samples) for level in results.levels), default=0)
    warm = len(results.warmup.samples) if results.warmup is not None else 0
    asked = (most + warm) / max(1, len(report.configuration.endpoints))
    if not isinstance(work, (FixedPrompt, PromptFile)) or size is None:
        return
    if asked > size:
        before = f" and {warm} of the warm-up" if warm else ""
        yield f"{size} different prompts for {most} requests{before}: caches may have answered some"
    elif len(report.levels) > 1:
        yield "every level asked the same prompts: caches may have answered the later ones"


def _of_harness(level: LevelReport) -> Iterator[str]:
    """The generator as the bottleneck."""
    harness = level.harness
    busiest = max(harness.cpu_shares, default=0.0)
    if busiest > _BUSY:
        yield (
            f"the load generator was the bottleneck: its process used {busiest:.0%} of a core;"
            " use more --processes"
        )
    median = _median_ttft(level)
    lag_ns = harness.lag_met.p99_ns
    if median is not None and loop_lag.spoils(lag_ns, median):
        cure = "use more --processes or less load"
        if busiest < _IDLE:
            cure = "other work on this machine held it up; measure when there is none"
        yield (
            f"the harness's event loop was late by up to {lag_ns / 1e6:.1f} ms (p99 of requests)"
            f" beside a TTFT of {median / 1e6:.1f} ms: {cure}"
        )
    yield from _of_schedule(level, median)


def _of_schedule(level: LevelReport, median: float | None) -> Iterator[str]:
    load = level.load
    delays = [e.metrics["schedule_delay"] for e in level.endpoints if "schedule_delay" in e.metrics]
    if not delays or isinstance(load, ClosedLoop) or median is None:
        return
    worst = max(delay.at(0.99).value for delay in delays)
    if load.max_concurrency is not None:
        if worst > max(_LATE_NS, median * _LATE_SHARE):
            yield (
                f"requests waited up to {worst / 1e6:.0f} ms (p99) for one of"
                f" {load.max_concurrency} places: the rate was not kept; the wait is in the"
                " latencies from schedule"
            )
    elif worst > max(_LATE_NS, median * _LATE_SHARE):
        yield (
            f"the load generator fell behind its schedule by {worst / 1e6:.1f} ms (p99): use more"
            " --processes"
        )
    if isinstance(load, OpenLoop) and not load.ramp_s:
        yield from _of_rate(level, load)


def _of_rate(level: LevelReport, load: OpenLoop) -> Iterator[str]:
    done = sum(endpoint.requests_per_s for endpoint in level.endpoints)
    if done < load.rate_per_s * 0.7 and level.duration_ns > 20e9:
        yield (
            f"{done:.3g} requests/s ended well of {load.rate_per_s:g}/s sent: the endpoint does"
            " not keep up"
        )


def _of_endpoint(endpoint: EndpointReport, level: LevelReport, report: Report) -> Iterator[str]:
    well = endpoint.outcomes.get("ok", 0)
    if not well:
        yield "no request ended well"
        return
    confidence = report.configuration.confidence
    for p in (0.5, 0.99):
        if (warning := size_warning(well, p, confidence)) is not None:
            yield warning
            break
    if endpoint.error_share > 0:
        yield f"{endpoint.error_share:.1%} of requests failed; they are in no latency"
    if "output_tokens" not in endpoint.metrics:
        yield "the server reports no token counts: ITL, TPOT and token rates are missing"
    yield from _of_own_share(endpoint, report)
    yield from _of_lengths(endpoint, report)


def _of_own_share(endpoint: EndpointReport, report: Report) -> Iterator[str]:
    ttft = endpoint.metrics.get("ttft")
    if report.own is not None and ttft is not None:
        own = report.own.p50_ns
        if ttft.median < own * _NEAR_OWN:
            yield (
                f"a TTFT of {ttft.median / 1e6:.1f} ms is near the harness's own share"
                f" ({own / 1e6:.1f} ms)"
            )


def _of_lengths(endpoint: EndpointReport, report: Report) -> Iterator[str]:
    work = report.configuration.work
    if not isinstance(work, Synthetic):
        return
    counted = endpoint.metrics.get("input_tokens")
    if counted is not None and abs(counted.mean / work.input_tokens - 1) > _OFF:
        factor = work.words_per_token * work.input_tokens / counted.mean if counted.mean else 0
        cure = f"; --words-per-token {factor:.2f} would correct it"
        yield (
            f"prompts came to {counted.mean:.0f} tokens instead of {work.input_tokens} by the"
            f" server's count{cure if 0 < factor <= MOST_WORDS_PER_TOKEN else ''}"
        )
    answered = endpoint.metrics.get("output_tokens")
    asked = work.output_tokens
    if asked is not None and answered is not None and answered.mean < asked * (1 - _OFF):
        yield (
            f"answers came to {answered.mean:.0f} tokens of {asked}: they ended early, which makes"
            " end-to-end times shorter"
        )


def _median_ttft(level: LevelReport) -> float | None:
    medians = [e.metrics["ttft"].median for e in level.endpoints if "ttft" in e.metrics]
    return min(medians, default=None)
