"""A gate that has nothing to judge does not pass in silence."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tokenline_bench.comparability import find_differences, find_missing
from tokenline_bench.config import Endpoint, FixedPrompt, Objectives, Search
from tokenline_bench.regression import DEFAULT, compare_reports, read_threshold
from tokenline_bench.report import Report
from tokenline_bench.statistics import difference_interval

from .conftest import Tokenline
from .test_regression import report

THRESHOLDS = tuple(map(read_threshold, DEFAULT))
NAMES = ("whole", "less", "none", "few", "fewer", "slower")


def with_endpoint(found: Report, **changes: Any) -> Report:
    """The report with another first endpoint."""
    level = found.levels[0]
    endpoint = replace(level.endpoints[0], **changes)
    return replace(found, levels=[replace(level, endpoints=[endpoint])])


def without(found: Report, *metrics: str) -> Report:
    values = found.levels[0].endpoints[0].values
    return with_endpoint(found, values={k: v for k, v in values.items() if k not in metrics})


def test_a_gated_metric_that_is_gone_is_missing() -> None:
    before = report()
    assert find_missing(before, before, THRESHOLDS) == []
    gone = "concurrency 1, a: the later report has no tpot, the earlier one has"
    assert find_missing(before, without(before, "tpot"), THRESHOLDS) == [gone]
    assert find_missing(without(before, "tpot"), before, THRESHOLDS) == []
    assert find_missing(before, without(before, "ttfc"), THRESHOLDS) == []


def test_levels_endpoints_and_judged_requests_that_are_gone_are_missing() -> None:
    before = report()
    level = before.levels[0]
    other = replace(level, title="concurrency 9")
    two = replace(before, levels=[level, other])
    assert find_missing(two, before, THRESHOLDS) == [
        "concurrency 9: the later report has no such level"
    ]
    pair = [level.endpoints[0], replace(level.endpoints[0], endpoint="b")]
    both = replace(before, levels=[replace(level, endpoints=pair)])
    alone = replace(before, levels=[replace(level, endpoints=pair[:1])])
    assert find_missing(both, alone, THRESHOLDS) == [
        "concurrency 1: the later report has no endpoint b"
    ]
    (line,) = find_missing(
        before, with_endpoint(before, outcomes={"unfinished": 3}, values={}), THRESHOLDS
    )
    assert line.endswith("in the later report no request was judged")


def test_levels_of_a_search_are_not_missing() -> None:
    before = report()
    level = before.levels[0]
    search = Search(template=level.load, low=1, high=8)
    bench = replace(before.configuration, load=search, slo=Objectives(bounds={"ttft": 1e9}))
    two = replace(before, levels=[level, replace(level, title="x")], configuration=bench)
    assert find_missing(two, before, THRESHOLDS) == []


def test_what_was_not_done_alike_is_said() -> None:
    before = report()
    assert find_differences(before, before, THRESHOLDS) == []
    bench = replace(
        before.configuration,
        endpoints=(Endpoint(model="other", label="a"),),
        work=FixedPrompt(text="hello"),
    )
    lines = find_differences(before, replace(before, configuration=bench), THRESHOLDS)
    assert lines[0] == "not the same models: openai/m and openai/other"
    assert lines[1].startswith("not the same work: kind synthetic and fixed")
    (line,) = find_differences(before, replace(before, interrupted=True), THRESHOLDS)
    assert line == "the later report was interrupted"


def test_percentiles_with_too_few_requests_are_not_judged() -> None:
    before, after = report(count=20), report(2.0, count=20)
    lines = find_differences(before, after, THRESHOLDS)
    assert lines == [
        "concurrency 1, a: ttft.p90 is not judged: 20 and 20 requests; it takes 50 each"
    ]
    verdicts = {
        f"{v.threshold.metric}.{v.threshold.statistic}": v
        for v in compare_reports(before, after, THRESHOLDS)
    }
    assert verdicts["ttft.p50"].regression
    assert not verdicts["ttft.p90"].regression
    assert verdicts["ttft.p90"].possible


def test_what_cannot_be_judged_is_said() -> None:
    whole = report()
    less = without(whole, "tpot")
    where = "concurrency 1, a: tpot.p50 is not judged: "
    assert find_differences(less, less, THRESHOLDS) == [where + "neither report has any"]
    assert find_differences(less, whole, THRESHOLDS) == [where + "the earlier report has none"]
    zero = with_endpoint(whole, values={**whole.levels[0].endpoints[0].values, "tpot": [0] * 99})
    assert find_differences(zero, whole, THRESHOLDS) == [where + "it was 0"]


@pytest.mark.parametrize(
    ("before", "after", "low", "high"),
    [
        # R. G. Newcombe, Statistics in Medicine 17 (1998), table II, method 10
        ((48, 80), (56, 70), 0.0524, 0.3339),
        ((3, 10), (9, 10), 0.1705, 0.8090),
        ((0, 10), (10, 10), 0.6075, 1.0),
    ],
)
def test_differences_of_shares(
    before: tuple[int, int], after: tuple[int, int], low: float, high: float
) -> None:
    assert difference_interval(before, after) == pytest.approx((low, high), abs=1e-4)


def test_one_failure_of_few_may_be_chance() -> None:
    (verdict,) = compare_reports(
        report(count=20), report(count=19, failed=1), (read_threshold("error_share=1%"),)
    )
    assert not verdict.regression
    assert verdict.possible
    assert verdict.low is not None
    assert verdict.low < 0


def test_the_command_fails_where_something_is_missing(tokenline: Tokenline, tmp_path: Path) -> None:
    paths = {name: tmp_path / f"{name}.json" for name in NAMES}
    report().save(paths["whole"])
    without(report(), "tpot").save(paths["less"])
    with_endpoint(report(), values={}, outcomes={"ok": 0}).save(paths["none"])
    report(count=20).save(paths["few"])

    def compare(before: str, after: str, *more: str) -> tuple[int, str, str]:
        return tokenline("bench", "compare", str(paths[before]), str(paths[after]), *more)

    assert compare("whole", "whole")[0] == 0
    code, output, _ = compare("whole", "less")
    assert code == 3
    assert "MISSING: concurrency 1, a: the later report has no tpot" in output
    assert "1 missing" in output
    assert compare("whole", "none")[0] == 3
    code, output, errors = compare("less", "less", "--threshold", "tpot.p50=5%")
    assert (code, errors) == (2, "error: nothing could be judged; the lines above say why\n")
    assert "neither report has any" in output
    code, output, _ = compare("few", "few")
    assert code == 0
    assert "ttft.p90 is not judged: 20 and 20 requests; it takes 50 each" in output
    assert "0 regressions, 4 within bounds, 1 of too few requests to be judged" in output
    report(count=6).save(paths["fewer"])
    report(1.3, count=6).save(paths["slower"])
    code, output, _ = compare("fewer", "slower")
    assert code == 0
    assert "takes 10 each" in output
    assert "too few" in output
    assert "3 worse but may be chance: measure at least 50 requests each time" in output
    code, _, errors = compare("whole", "whole", "--threshold", "ttft.p50=nan")
    assert code == 2
    assert "not of the form" in errors
