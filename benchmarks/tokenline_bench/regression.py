"""Compares two reports: what changed, and whether it is a regression."""

from __future__ import annotations

import math

import msgspec

from tokenline.errors import ConfigError

from .comparability import judged, paired
from .metrics import REQUEST_METRICS
from .report import Comparison, EndpointReport, Report
from .statistics import change, difference_interval

DEFAULT = ("ttft.p50=10%", "ttft.p90=15%", "tpot.p50=10%", "e2e.p50=10%", "error_share=1%")


class Threshold(msgspec.Struct, frozen=True):
    """How much worse a statistic may get.

    Attributes:
        metric: name of a metric, or `error_share`.
        statistic: `p50`, `p99`, `mean` ...; empty for `error_share`.
        allowed: relative worsening, 0.1 for 10 %; for `error_share` a difference of shares.
    """

    metric: str
    statistic: str
    allowed: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of one threshold.

    Attributes:
        threshold: which one.
        comparison: the change; None for `error_share`.
        before: error share before, of `error_share`.
        after: error share after, of `error_share`.
        level: title of the load level.
        endpoint: label.
        worse: how much worse it got, in the threshold's terms; below 0 is better.
        regression: it got worse by more than allowed, and not by chance alone.
        possible: it got worse by more than allowed, but the interval holds no change too, or the
            requests are too few for one.
        low: lower bound of the difference of error shares, of `error_share` (Newcombe).
        high: its upper bound.
    """

    threshold: Threshold
    comparison: Comparison | None
    before: float
    after: float
    level: str
    endpoint: str
    worse: float
    regression: bool
    possible: bool
    low: float | None = None
    high: float | None = None


def read_threshold(text: str) -> Threshold:
    """A threshold like `ttft.p99=10%`, `e2e.mean=0.05`, `error_share=1%`.

    Raises:
        ConfigError: another form, or no such metric or statistic.
    """
    name, separator, bound = text.partition("=")
    metric, _, statistic = name.strip().partition(".")
    try:
        number = float(bound.strip().removesuffix("%"))
        allowed = number / 100 if bound.strip().endswith("%") else number
    except ValueError:
        separator, allowed = "", 0.0
    if not separator or not 0 <= allowed < math.inf:
        raise ConfigError(f"threshold {text!r} is not of the form METRIC.STATISTIC=10%")
    if metric == "error_share":
        return Threshold(metric, "", allowed)
    if metric not in REQUEST_METRICS:
        known = ", ".join(REQUEST_METRICS)
        raise ConfigError(f"no metric {metric!r}; there are: {known}, error_share")
    try:
        change([1.0], [1.0], statistic or "p50")
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return Threshold(metric, statistic or "p50", allowed)


def compare_reports(
    before: Report, after: Report, thresholds: tuple[Threshold, ...]
) -> list[Verdict]:
    """Compare level by level and endpoint by endpoint, those that both reports have.

    What only one of them has is in no verdict: see `comparability.find_missing`.

    Raises:
        ConfigError: they have nothing in common.
    """
    pairs = list(paired(before, after))
    if not pairs:
        raise ConfigError(
            "the two reports have no level and endpoint in common; measure both with the same load"
            " and the same labels"
        )
    found = [
        _judge(threshold, level, old, new, after)
        for level, old, new in pairs
        for threshold in thresholds
    ]
    return [verdict for verdict in found if verdict is not None]


def _judge(
    threshold: Threshold, level: str, old: EndpointReport, new: EndpointReport, report: Report
) -> Verdict | None:
    if threshold.metric == "error_share":
        return _judge_errors(threshold, level, old, new, report.configuration.confidence)
    metric = REQUEST_METRICS[threshold.metric]
    difference = change(
        old.values.get(metric.name, ()),
        new.values.get(metric.name, ()),
        threshold.statistic,
        confidence=report.configuration.confidence,
    )
    if difference is None:
        return None
    worse = -difference.relative if metric.higher_is_better else difference.relative
    beyond = worse > threshold.allowed
    return Verdict(
        threshold=threshold,
        comparison=Comparison(
            metric=metric.name,
            level=level,
            before=old.endpoint,
            after=new.endpoint,
            change=difference,
            higher_is_better=metric.higher_is_better,
        ),
        before=difference.before,
        after=difference.after,
        level=level,
        endpoint=new.endpoint,
        worse=worse,
        regression=beyond and difference.certain,
        possible=beyond and not difference.certain,
    )


def _judge_errors(
    threshold: Threshold, level: str, old: EndpointReport, new: EndpointReport, confidence: float
) -> Verdict:
    worse = new.error_share - old.error_share
    low, high = difference_interval(_failures(old), _failures(new), confidence)
    beyond = worse > threshold.allowed
    return Verdict(
        threshold=threshold,
        comparison=None,
        before=old.error_share,
        after=new.error_share,
        level=level,
        endpoint=new.endpoint,
        worse=worse,
        regression=beyond and low > 0,
        possible=beyond and low <= 0,
        low=low,
        high=high,
    )


def _failures(endpoint: EndpointReport) -> tuple[int, int]:
    """How many failed, of how many that were judged."""
    failed = endpoint.outcomes.get("error", 0) + endpoint.outcomes.get("timeout", 0)
    return failed, judged(endpoint)
