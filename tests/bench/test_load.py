"""Arrivals, dealing and budgets: seeded, and the same for any number of processes."""

import statistics
import time
from itertools import islice, pairwise

import pytest

from tokenline.errors import ConfigError
from tokenline_bench.load.arrivals import schedule_ns
from tokenline_bench.load.budget import Budget, share
from tokenline_bench.load.dealing import Dealing
from tokenline_bench.load.spec import ClosedLoop, OpenLoop, Search, TimedTrace, with_value
from tokenline_bench.search import KneeSearch


def intervals(load: OpenLoop, count: int = 4000, seed: int = 1) -> list[float]:
    times = islice(schedule_ns(load, seed), count)
    return [(b - a) / 1e9 for a, b in pairwise(times)]


@pytest.mark.parametrize(
    ("load", "variation"),
    [
        (OpenLoop(rate_per_s=50, arrivals="constant"), 0.0),
        (OpenLoop(rate_per_s=50, arrivals="poisson"), 1.0),
        (OpenLoop(rate_per_s=50, arrivals="gamma", burstiness=0.25), 2.0),
        (OpenLoop(rate_per_s=50, arrivals="gamma", burstiness=4.0), 0.5),
    ],
    ids=str,
)
def test_arrivals_have_rate_and_burstiness(load: OpenLoop, variation: float) -> None:
    found = intervals(load)
    assert statistics.mean(found) == pytest.approx(1 / 50, rel=0.12)
    spread = statistics.stdev(found) / statistics.mean(found)
    assert spread == pytest.approx(variation, abs=0.15)


def test_arrivals_begin_at_once_and_repeat_with_the_seed() -> None:
    load = OpenLoop(rate_per_s=10)
    assert next(schedule_ns(load, 1)) == 0
    assert intervals(load, 20, 3) == intervals(load, 20, 3) != intervals(load, 20, 4)


def test_ramp_brings_half_as_many_requests() -> None:
    load = OpenLoop(rate_per_s=100, arrivals="constant", ramp_s=2.0)
    times = [ns / 1e9 for ns in islice(schedule_ns(load, 0), 400)]
    assert sum(t < 2.0 for t in times) == pytest.approx(100, abs=2)
    assert sum(2.0 <= t < 4.0 for t in times) == pytest.approx(200, abs=2)
    assert times == sorted(times)


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_shares_add_up(workers: int) -> None:
    assert sum(share(100, worker, workers) or 0 for worker in range(workers)) == 100
    assert share(None, 0, workers) is None


def test_every_endpoint_gets_every_conversation_in_mixed_order() -> None:
    dealing = Dealing(endpoints=3, seed=5)
    dealt = [(dealing.conversation(n), dealing.endpoint(n)) for n in range(300)]
    assert sorted(dealt) == [(c, e) for c in range(100) for e in range(3)]
    firsts = [dealing.endpoint(n) for n in range(0, 300, 3)]
    assert {firsts.count(endpoint) > 15 for endpoint in range(3)} == {True}


def test_cancellations_follow_the_share() -> None:
    dealing = Dealing(endpoints=1, seed=2, cancel_share=0.3, cancel_after_s=0.1)
    left = [dealing.cancel_after(n, 0) for n in range(2000)]
    assert set(left) == {0.1, None}
    assert left.count(0.1) == pytest.approx(600, abs=80)
    assert Dealing(1, 2).cancel_after(0, 0) is None


def test_budget_ends_by_number_time_and_order() -> None:
    budget = Budget(2, None)
    assert [budget.take() for _ in range(3)] == [True, True, False]
    past = time.perf_counter_ns() - 1
    assert not Budget(None, past).take()
    future = time.perf_counter_ns() + 10**12
    budget = Budget(None, future)
    assert budget.take_at(future - 1)
    assert not budget.take_at(future + 1)
    budget.stop()
    assert not budget.open


@pytest.mark.parametrize(
    "make",
    [
        lambda: ClosedLoop(concurrency=0),
        lambda: ClosedLoop(concurrency=1, ramp_s=-1),
        lambda: OpenLoop(rate_per_s=0),
        lambda: OpenLoop(rate_per_s=float("nan")),
        lambda: OpenLoop(rate_per_s=float("inf")),
        lambda: OpenLoop(rate_per_s=1, burstiness=0),
        lambda: OpenLoop(rate_per_s=1, max_concurrency=0),
        lambda: TimedTrace(speed=0),
        lambda: Search(template=ClosedLoop(concurrency=1), low=4, high=2),
        lambda: Search(template=ClosedLoop(concurrency=1), low=0, high=2),
    ],
)
def test_loads_out_of_range_are_refused(make: object) -> None:
    with pytest.raises(ConfigError):
        make()  # type: ignore[operator]


def search(low: float, high: float, knee: float, template: ClosedLoop | OpenLoop) -> list[float]:
    """The loads that a search tries when everything up to `knee` holds."""
    finder = KneeSearch(Search(template=template, low=low, high=high))
    tried = []
    for load in finder.loads():
        tried.append(load.value)
        finder.judge(load.value <= knee)
    return tried


def test_knee_is_bracketed_by_doubling_then_halving() -> None:
    users = ClosedLoop(concurrency=1)
    assert search(1, 64, 21, users) == [1, 2, 4, 8, 16, 32, 24, 20, 22]
    assert search(1, 8, 100, users) == [1, 2, 4, 8]
    assert search(4, 64, 1, users) == [4]
    assert search(1, 64, 1, users) == [1, 2]
    assert search(1.0, 6.0, 3.0, OpenLoop(rate_per_s=1)) == [1, 2, 4, 3, 3.5, 3.25]


def test_with_value_keeps_the_rest() -> None:
    load = OpenLoop(rate_per_s=1, arrivals="gamma", burstiness=0.5)
    assert with_value(load, 3) == OpenLoop(rate_per_s=3, arrivals="gamma", burstiness=0.5)
    assert with_value(ClosedLoop(concurrency=4, ramp_s=1), 8.4).value == 8
    assert with_value(TimedTrace(), 2).value == 2
