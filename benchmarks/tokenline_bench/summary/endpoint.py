"""Summarizes the requests of one endpoint at one level."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tokenline_bench.config import Bench, Objectives
from tokenline_bench.metrics import (
    POOLED_METRICS,
    REQUEST_METRICS,
    RequestMetric,
    errors,
    goodput,
    output_rate,
    request_rate,
    stages,
)
from tokenline_bench.report import EndpointReport, Goodput, StageReport
from tokenline_bench.results import LevelResult
from tokenline_bench.sample import Outcome, Sample
from tokenline_bench.statistics import (
    Distribution,
    OwnShare,
    describe,
    describe_pooled,
    wilson_interval,
)

from .harness import LagRecord, spread_or_zero


def summarize_endpoint(
    name: str, result: LevelResult, bench: Bench, lags: LagRecord, own_ns: Sequence[int]
) -> EndpointReport:
    """All metrics of one endpoint. Latencies are those of requests that ended well."""
    samples = sorted(result.of(name), key=lambda sample: (sample.number, sample.turn))
    well = [sample for sample in samples if sample.ok]
    values = {metric.name: _values(metric, well) for metric in REQUEST_METRICS.values()}
    describer = _Describer(bench.confidence, lags, own_ns)
    outcomes = Counter(sample.outcome.value for sample in samples)
    failed = outcomes[Outcome.ERROR.value] + outcomes[Outcome.TIMEOUT.value]
    judged = failed + outcomes[Outcome.OK.value]
    return EndpointReport(
        endpoint=name,
        outcomes=dict(sorted(outcomes.items())),
        metrics=describer.describe_all(well),
        requests_per_s=request_rate.total(samples, result.duration_ns),
        output_tokens_per_s=output_rate.total(samples, result.duration_ns),
        error_share=failed / judged if judged else 0.0,
        errors=errors.count(samples),
        goodput=_judge(samples, bench.slo, result.duration_ns, bench.confidence),
        stages=_summarize_stages(well),
        values={metric: found for metric, found in values.items() if found},
    )


def _values(metric: RequestMetric, samples: Sequence[Sample]) -> list[float]:
    return [value for value in map(metric.of, samples) if value is not None]


class _Describer:
    def __init__(self, confidence: float, lags: LagRecord, own_ns: Sequence[int]) -> None:
        self._confidence = confidence
        self._lags = lags
        self._own_ns = own_ns

    def describe_all(self, samples: Sequence[Sample]) -> dict[str, Distribution]:
        """Every metric that has a value."""
        found = {name: self._describe(metric, samples) for name, metric in REQUEST_METRICS.items()}
        for name, pooled in POOLED_METRICS.items():
            groups = [group for group in map(pooled.of, samples) if group is not None]
            found[name] = describe_pooled(groups, pooled.unit, confidence=self._confidence)
        return {name: described for name, described in found.items() if described is not None}

    def _describe(self, metric: RequestMetric, samples: Sequence[Sample]) -> Distribution | None:
        having = [(s, value) for s in samples if (value := metric.of(s)) is not None]
        own = None
        if metric.from_start:
            lags = [self._lags.largest(s, (s.request_ns or 0) + round(v)) for s, v in having]
            own = OwnShare(lags, self._own_ns)
        values = [value for _, value in having]
        return describe(values, metric.unit, confidence=self._confidence, own=own)


def _judge(
    samples: Sequence[Sample], slo: Objectives | None, duration_ns: int, confidence: float
) -> Goodput | None:
    if slo is None:
        return None
    good, judged = goodput.count(samples, slo.bounds, REQUEST_METRICS)
    low, high = wilson_interval(good, judged, confidence)
    return Goodput(
        good=good,
        judged=judged,
        share=good / judged if judged else 0.0,
        low=low,
        high=high,
        per_s=good * 1e9 / duration_ns,
    )


def _summarize_stages(samples: Sequence[Sample]) -> list[StageReport]:
    return [_summarize_stage(samples, name, kind) for name, kind in stages.names(samples)]


def _summarize_stage(samples: Sequence[Sample], name: str, kind: str) -> StageReport:
    times = {time: stages.values(samples, name, time) for time in stages.TIMES}
    processing, idle = times["processing_ns"], times["idle_ns"]
    return StageReport(
        name=name,
        kind=kind,
        processing=spread_or_zero(processing),
        queue_wait=spread_or_zero(times["queue_wait_ns"]),
        blocked=spread_or_zero(times["blocked_ns"]),
        idle=spread_or_zero(idle),
        mean_processing_ns=sum(processing) // len(processing),
        mean_idle_ns=sum(idle) // len(idle),
    )
