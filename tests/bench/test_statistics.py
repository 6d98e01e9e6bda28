"""Intervals hold what they should as often as they say, and small samples say that they are."""

import numpy as np
import pytest

from tokenline_bench.statistics import (
    OwnShare,
    change,
    describe,
    describe_pooled,
    wilson_interval,
)
from tokenline_bench.statistics.distribution import size_warning
from tokenline_bench.statistics.order import interval_ranks, rank, values_needed
from tokenline_bench.workers.calibration import REQUESTS
from tokenline_stages.simulator import Bimodal, LogNormal, Pareto
from tokenline_stages.simulator.distributions import Distribution, draw

TTFTS = [
    pytest.param(0.2, id="constant"),
    pytest.param(Bimodal(0.1, 0.8, 0.2), id="bimodal"),
    pytest.param(LogNormal(0.2, 0.7), id="log-normal"),
    pytest.param(Pareto(0.1, 1.5), id="heavy-tail"),
]


@pytest.mark.parametrize("ttft", TTFTS)
@pytest.mark.parametrize("p", [0.5, 0.9, 0.99])
def test_intervals_hold_the_true_percentile_in_95_of_100_runs(
    ttft: float | Distribution, p: float
) -> None:
    """Exact draws of the simulator's own distributions, 100 seeded runs of 400 requests."""
    from random import Random

    truth = ttft if isinstance(ttft, float) else ttft.quantile(p)
    low, high = interval_ranks(400, p, 0.95)
    assert low is not None
    assert high is not None
    held = 0
    for seed in range(100):
        rng = Random(f"run:{seed}")
        ordered = sorted(draw(ttft, rng) for _ in range(400))
        held += ordered[low - 1] <= truth <= ordered[high - 1]
    assert held >= 92  # of 100 draws with a chance of at least 95 % each; seeds are fixed


def test_coverage_over_all_distributions_is_at_least_as_stated() -> None:
    rng = np.random.default_rng(7)
    low, high = interval_ranks(100, 0.9, 0.95)
    draws = np.sort(rng.exponential(size=(4000, 100)), axis=1)
    truth = -np.log(0.1)
    assert low is not None
    assert high is not None
    held = ((draws[:, low - 1] <= truth) & (truth <= draws[:, high - 1])).mean()
    assert 0.945 <= held <= 0.985


@pytest.mark.parametrize(
    ("n", "p", "ranks"),
    [
        (5, 0.5, (None, None)),
        (6, 0.5, (1, 6)),
        (100, 0.5, (40, 61)),
        (100, 0.99, (97, None)),
        (367, 0.99, (359, None)),
        (368, 0.99, (360, 368)),
    ],
)
def test_ranks_of_the_interval(n: int, p: float, ranks: tuple[int | None, int | None]) -> None:
    assert interval_ranks(n, p, 0.95) == ranks


def test_closed_from_the_number_that_is_asked_for() -> None:
    for p in (0.5, 0.9, 0.99):
        needed = values_needed(p, 0.95)
        assert None not in interval_ranks(needed, p, 0.95)
        assert None in interval_ranks(needed - 1, p, 0.95)


def test_percentiles_are_observed_values() -> None:
    assert [rank(10, p) for p in (0.1, 0.5, 0.9, 0.91, 1.0)] == [1, 5, 9, 10, 10]
    found = describe([10, 20, 1000, 1010], "ns", percentiles=(0.5, 0.9))
    assert found is not None
    assert [percentile.value for percentile in found.percentiles] == [20, 1010]


def test_outliers_are_kept_and_shown() -> None:
    found = describe([100 + n % 10 for n in range(98)] + [5000, 9000], "ns")
    assert found is not None
    assert (found.maximum, found.outliers, found.farthest) == (9000, 2, (9000, 5000))
    assert found.mean > 200


def test_own_share_lowers_lower_bounds_only() -> None:
    values = list(range(1000, 1100))
    plain = describe(values, "ns")
    own = describe(values, "ns", own=OwnShare(lags=[10] * 100, calibration=[5] * 60))
    assert plain is not None
    assert own is not None
    before, after = plain.at(0.5), own.at(0.5)
    assert (after.value, after.high) == (before.value, before.high)
    assert before.low is not None
    assert after.low == before.low - 15
    assert after.widened_by == 15


@pytest.mark.parametrize("slow_share", [0.0, 0.3, 0.49])
@pytest.mark.parametrize("n", [100, 400])
@pytest.mark.parametrize("slow_moments", [0.0, 0.02])
def test_intervals_hold_for_the_server_where_requests_take_equally_long(
    slow_share: float, n: int, slow_moments: float
) -> None:
    """The p50 is then the slowest of many equal ones: the harness's rare lateness is in it too."""
    rng = np.random.default_rng(11)
    held = dict.fromkeys((0.5, 0.9, 0.99), 0)
    for _ in range(100):
        server = np.where(rng.random(n) < slow_share, 60_000_000, 20_000_000)
        harness, calibration = (_own_ns(rng, size, slow_moments) for size in (n, REQUESTS))
        own = OwnShare(lags=[0] * n, calibration=calibration.tolist())
        found = describe(server + harness, "ns", percentiles=tuple(held), own=own)
        assert found is not None
        for p in held:
            truth = 20e6 if p <= 1 - slow_share else 60e6
            low, high = found.at(p).low, found.at(p).high
            held[p] += (low is None or low <= truth) and (high is None or truth <= high)
    assert min(held.values()) >= 95, held


def test_a_slow_moment_of_the_calibration_does_not_spoil_the_median() -> None:
    calibration = [400_000] * (REQUESTS - 1) + [30_000_000]
    values = [20_400_000] * 100
    found = describe(values, "ns", own=OwnShare(lags=[0] * 100, calibration=calibration))
    assert found is not None
    assert found.at(0.5).low == found.at(0.9).low == 20_000_000
    assert found.at(0.99).low == 0


def _own_ns(rng: np.random.Generator, size: int, slow_moments: float) -> np.ndarray:
    """What a harness adds; now and then much."""
    slow = (rng.random(size) < slow_moments) * rng.uniform(5e6, 30e6, size)
    return np.rint(400_000 + rng.exponential(200_000, size) + slow).astype(np.int64)


def test_calibration_has_values_enough_for_a_p99() -> None:
    assert values_needed(0.99, 0.95) <= REQUESTS


def test_nothing_is_said_of_nothing() -> None:
    assert describe([], "ns") is None
    assert describe_pooled([], "ns") is None
    assert change([], [1.0]) is None
    assert change([0.0], [1.0]) is None


def test_one_value_has_no_interval() -> None:
    found = describe([5], "ns")
    assert found is not None
    assert (found.mean_low, found.stdev, found.at(0.5).low, found.at(0.5).high) == (
        *(None, 0.0, None, None),
    )


def test_size_warning_names_the_number_that_is_needed() -> None:
    assert "368 requests" in (size_warning(100, 0.99, 0.95) or "")
    assert size_warning(400, 0.99, 0.95) is None


def test_pooled_values_are_weighted() -> None:
    """One request with one gap of weight 9 and nine with weight 1: half the weight is its own."""
    heavy = (np.array([100]), 9.0)
    light = [(np.array([10]), 1.0)] * 9
    found = describe_pooled([heavy, *light], "ns", percentiles=(0.4, 0.5, 0.6))
    assert found is not None
    assert [percentile.value for percentile in found.percentiles] == [10, 10, 100]
    assert found.mean == pytest.approx(55)


def test_pooled_interval_counts_requests_not_values() -> None:
    """Ten requests of a thousand gaps each, all of a request alike: the interval stays wide."""
    rng = np.random.default_rng(3)
    levels = rng.integers(10, 100, 20)
    groups = [(np.full(1000, level), 1.0) for level in levels]
    found = describe_pooled(groups, "ns")
    assert found is not None
    median = found.at(0.5)
    assert median.low is not None
    assert median.high is not None
    assert median.high - median.low >= 15
    assert {type(number) for number in (median.value, median.low, median.high)} == {int}
    assert describe_pooled(groups[:5], "ns").at(0.5).low is None  # type: ignore[union-attr]


def test_pooled_mean_holds_the_true_one() -> None:
    held = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        groups = [
            (np.rint(rng.exponential(mean, 50)).astype(np.int64), 1.0)
            for mean in rng.uniform(500, 1500, 60)
        ]
        found = describe_pooled(groups, "ns")
        assert found is not None
        assert found.mean_low is not None
        assert found.mean_high is not None
        held += found.mean_low <= 1000 <= found.mean_high
    assert held >= 34


def test_wilson_interval() -> None:
    assert wilson_interval(95, 100) == pytest.approx((0.888, 0.978), abs=1e-3)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(0, 10)[0] == 0.0


def test_change_of_a_slower_set_is_certain() -> None:
    rng = np.random.default_rng(1)
    before = rng.lognormal(5, 0.2, 300)
    found = change(before.tolist(), (before * 1.2).tolist())
    assert found is not None
    assert found.relative == pytest.approx(0.2)
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.low < 0.2 < found.high
    assert found.certain
    assert 0.3 < found.effect < 0.7


def test_change_of_equals_is_not_certain() -> None:
    rng = np.random.default_rng(2)
    found = change(rng.lognormal(5, 0.2, 200).tolist(), rng.lognormal(5, 0.2, 200).tolist())
    assert found is not None
    assert not found.certain
    assert abs(found.effect) < 0.2


def test_effect_of_separate_sets_is_one() -> None:
    found = change([1.0] * 10, [2.0] * 10)
    assert found is not None
    assert found.effect == 1.0
    assert change([1.0, 2.0], [3.0, 4.0]).low is None  # type: ignore[union-attr]


def test_zeros_in_the_first_set_do_no_harm() -> None:
    found = change([0.0] * 5 + [10.0] * 6, [10.0] * 11)
    assert found is not None
    assert found.relative == 0
    assert found.low is not None


@pytest.mark.parametrize("statistic", ["median", "p0", "p100", "pp", "99"])
def test_unknown_statistics_are_refused(statistic: str) -> None:
    with pytest.raises(ValueError, match="no statistic"):
        change([1.0], [1.0], statistic)
