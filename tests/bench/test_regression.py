"""Two reports: what is a regression, and what may be chance."""

from typing import Any

import numpy as np
import pytest

from tokenline.errors import ConfigError
from tokenline_bench.config import Bench, ClosedLoop, Endpoint
from tokenline_bench.regression import DEFAULT, Threshold, compare_reports, read_threshold
from tokenline_bench.report import Report
from tokenline_bench.results import Results
from tokenline_bench.sample import Failure, Outcome
from tokenline_bench.summary.build import build_report

from .factory import level_of, sample

THRESHOLDS = tuple(map(read_threshold, DEFAULT))


def report(
    factor: float = 1.0, seed: int = 0, count: int = 200, failed: int = 0, **more: Any
) -> Report:
    rng = np.random.default_rng(seed)
    samples = [
        sample([first, first + 10, first + 20], number=n)
        for n, first in enumerate((rng.lognormal(4.6, 0.1, count) * factor).tolist())
    ]
    failure = Failure("ServerError", "oops", 500)
    samples += [sample([], outcome=Outcome.ERROR, failure=failure, first_token_ns=None)] * failed
    users = more.pop("users", 1)
    bench = Bench(endpoints=(Endpoint(model="m", label=more.pop("label", "a")),), requests=count)
    level = level_of(samples, ClosedLoop(concurrency=users))
    named = [s for s in level.samples if s.endpoint == "a"]
    level.samples = [type(s)(**{**_fields(s), "endpoint": bench.endpoints[0].name}) for s in named]
    return build_report(Results(bench, 0, levels=[level]))


def _fields(found: Any) -> dict[str, Any]:
    return {name: getattr(found, name) for name in found.__struct_fields__}


def regressions(before: Report, after: Report) -> list[str]:
    verdicts = compare_reports(before, after, THRESHOLDS)
    return [f"{v.threshold.metric}.{v.threshold.statistic}" for v in verdicts if v.regression]


def test_the_same_is_no_regression() -> None:
    assert regressions(report(seed=1), report(seed=2)) == []


def test_a_slower_one_is_a_regression_where_it_is_slower() -> None:
    assert regressions(report(seed=1), report(1.3, seed=2)) == ["ttft.p50", "ttft.p90", "e2e.p50"]


def test_a_faster_one_is_none() -> None:
    assert regressions(report(1.3, seed=1), report(seed=2)) == []


def test_few_requests_are_unclear() -> None:
    verdicts = compare_reports(report(count=6), report(1.15, count=6), THRESHOLDS)
    assert not any(verdict.regression for verdict in verdicts)
    assert any(verdict.possible for verdict in verdicts)


def test_failures_are_a_regression() -> None:
    assert regressions(report(), report(failed=20)) == ["error_share."]


def test_lower_rates_are_worse() -> None:
    threshold = (read_threshold("token_rate.p50=10%"),)
    (verdict,) = compare_reports(report(seed=1), report(1.5, seed=1), threshold)
    assert verdict.regression
    (verdict,) = compare_reports(report(1.5, seed=1), report(seed=1), threshold)
    assert not verdict.regression


def test_single_endpoints_are_compared_whatever_they_are_called() -> None:
    assert regressions(report(label="a"), report(1.5, label="a")) != []


def test_levels_that_only_one_has_are_left_out() -> None:
    with pytest.raises(ConfigError, match="no level and endpoint in common"):
        compare_reports(report(users=1), report(users=2), THRESHOLDS)


def test_thresholds_are_read() -> None:
    assert read_threshold("ttft.p99=10%") == Threshold("ttft", "p99", 0.1)
    assert read_threshold(" e2e.mean = 0.05 ") == Threshold("e2e", "mean", 0.05)
    assert read_threshold("tpot=1%") == Threshold("tpot", "p50", 0.01)
    assert read_threshold("error_share=2%") == Threshold("error_share", "", 0.02)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("ttft", "not of the form"),
        ("ttft=fast", "not of the form"),
        ("ttft.p50=-5%", "not of the form"),
        ("speed.p50=5%", "no metric 'speed'"),
        ("ttft.median=5%", "no statistic 'median'"),
    ],
)
def test_wrong_thresholds_are_refused(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        read_threshold(text)
