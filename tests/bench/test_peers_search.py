"""The search for streams a core: what a load says of a client, and what of the server alone."""

from typing import Any

import pytest
from benchmarks.peers.search import BROKEN, KEPT, SERVER, Search, judge

LIMIT_MS = 20.0


def load(p99_ms: float, **changes: float) -> dict[str, Any]:
    healthy = {"cpu": 0.0, "server_late_ms": 1.0, "server_cpu": 0.5, "sent": 1.0, "due": 1.0}
    return {"p99_ms": p99_ms, **healthy, **changes}


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (load(5.0), KEPT),
        (load(30.0), BROKEN),
        (load(30.0, server_late_ms=12.0), SERVER),
        (load(30.0, server_cpu=0.95), SERVER),
        (load(30.0, sent=0.9), SERVER),
        (load(5.0, sent=0.9), SERVER),  # kept, but not what was asked for
        (load(5.0, due=0.8), BROKEN),  # the client was late to open its streams
        (load(5.0, due=0.8, server_cpu=0.97), SERVER),
        (load(5.0, server_late_ms=12.0), KEPT),  # events in bursts are harder, not easier
    ],
)
def test_a_load_counts_against_the_client_only_beside_a_healthy_server(
    seen: dict[str, Any], verdict: str
) -> None:
    assert judge(seen, LIMIT_MS) == verdict


@pytest.mark.parametrize("truth", [1, 16, 37, 60, 500, 1700])
def test_search_finds_the_most_streams_that_keep_the_limit(truth: int) -> None:
    search = Search(LIMIT_MS)
    tried = 0
    while search.wanted:
        tried += 1
        kept = search.wanted <= truth
        search.saw(load(5.0 if kept else 500.0, cpu=min(0.1 + 0.9 * search.wanted / truth, 1.0)))
    assert truth * 0.93 - 1 <= search.most <= truth < search.missed
    assert not search.by_server
    assert tried < 11


def test_a_near_miss_is_tried_three_times_and_the_best_counts() -> None:
    search = Search(LIMIT_MS)
    search.saw(load(30.0))
    search.saw(load(25.0))
    assert (search.wanted, search.most) == (32, 0)
    search.saw(load(10.0))
    assert search.most == 32

    missed = Search(LIMIT_MS)
    for _ in range(3):
        missed.saw(load(30.0))
    assert (missed.missed, missed.by_server) == (32, False)


def test_a_far_miss_is_tried_once() -> None:
    search = Search(LIMIT_MS)
    search.saw(load(500.0, cpu=1.0))
    assert search.missed == 32


def test_a_far_miss_of_a_client_with_time_to_spare_is_tried_again() -> None:
    search = Search(LIMIT_MS)
    search.saw(load(500.0, cpu=0.4))
    search.saw(load(5.0, cpu=0.4))
    assert search.most == 32


def test_where_the_server_is_the_limit_the_number_is_a_lower_bound() -> None:
    search = Search(LIMIT_MS)
    while search.wanted:
        full = search.wanted > 1500
        server = {"server_cpu": 0.97, "server_late_ms": 40.0} if full else {}
        search.saw(load(500.0 if full else 5.0, cpu=0.5, **server))
    assert search.by_server
    assert 1400 < search.most <= 1500


def test_one_healthy_miss_is_evidence_among_misses_of_the_server() -> None:
    search = Search(LIMIT_MS)
    for _ in range(3):
        search.saw(load(30.0, server_late_ms=50.0))
    search.saw(load(30.0))
    assert (search.missed, search.by_server) == (32, False)


def test_a_client_that_fails_sets_the_limit_itself() -> None:
    search = Search(LIMIT_MS)
    search.saw(load(1.0))
    search.fail()
    assert not search.by_server
    assert search.missed > search.most == 32
