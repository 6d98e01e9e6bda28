"""What the tables say of figures: intervals, undecided targets, lower bounds, dashes."""

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks.peers import output
from benchmarks.peers.figures import Middle, ratio
from benchmarks.peers.results import Results
from benchmarks.peers.roster import FLOOR, FLOORS, OPENAI, TOKENLINE
from benchmarks.peers.tables import (
    clients_table,
    linear_table,
    spread_table,
    targets_table,
    tries_table,
)
from benchmarks.peers.targets import check_all

MACHINE = {"commit": "abc", "date": "2026-01-02", "processor": "abacus", "cores": "2"}


@pytest.fixture
def results(tmp_path: Path) -> Results:
    made = Results.load(tmp_path)
    made.begin({**MACHINE, "python": "3.11.0"}, {}, False)
    return made


def verdicts(results: Results) -> list[str]:
    return [check.verdict for check in check_all(results)]


def test_the_interval_of_a_median_leaves_out_what_the_sign_test_lets_it() -> None:
    assert Middle.of([1.0, 9.0, 2.0]).low == 1.0  # too few: all of them
    twelve = Middle.of([float(each) for each in range(12)])
    assert (twelve.low, twelve.high) == (2.0, 9.0)  # 96.1 %; one rank further in it is 85 %
    assert (twelve.least, twelve.greatest, twelve.value) == (0.0, 11.0, 5.5)


def test_ratios_are_those_of_rounds_that_both_took_part_in(results: Results) -> None:
    results.put("paced", {TOKENLINE: [2.0, 40.0, 6.0], FLOOR: [1.0, None, 2.0]}, {})
    found = ratio(results, "paced", TOKENLINE, FLOOR)
    assert found is not None
    assert (found.least, found.greatest, found.rounds) == (2.0, 3.0, 2)


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        ([15.0, 16.0, 17.0], "met"),
        ([21.0, 22.0, 25.0], "not met"),
        ([18.0, 19.0, 21.0], "undecided"),
        ([15.0], "undecided"),  # what another round would say is not known
    ],
)
def test_a_target_inside_the_interval_is_undecided(
    results: Results, ours: list[float], verdict: str
) -> None:
    results.put("paced", {TOKENLINE: ours, FLOOR: [10.0, 10.0, 10.0]}, {})
    assert verdicts(results) == [verdict]
    marked = verdict if verdict == "met" else f"**{verdict}**"
    assert f"| {marked} |" in targets_table(results)


def search(streams: int, missed: int, by_server: bool = False) -> dict[str, Any]:
    load = {
        "streams": missed,
        "events_per_s": 50.0 * missed,
        "p99_ms": 33.0,
        "cpu": 0.99,
        "due": 1.0,
        "sent": 0.9 if by_server else 1.0,
        "server_late_ms": 40.0 if by_server else 1.0,
        "server_cpu": 0.98 if by_server else 0.4,
        "verdict": "server" if by_server else "broken",
    }
    found = {"streams": streams, "missed": missed, "by_server": by_server}
    return {"loads": [load], **found}


@pytest.mark.parametrize(
    ("ours", "floor", "verdict"),
    [
        (search(500, 520), search(1000, 1050), "met"),
        (search(300, 310), search(1000, 1050), "not met"),
        (search(400, 420), search(1000, 1050), "undecided"),
        # The floor holds 1,000 or more: a ratio of at most 0.5 decides nothing, one of 0.3 does.
        (search(500, 520), search(1000, 1050, by_server=True), "undecided"),
        (search(300, 310), search(1000, 1050, by_server=True), "not met"),
        (search(500, 520, by_server=True), search(1000, 1050), "met"),
    ],
)
def test_streams_are_judged_by_what_was_kept_and_what_was_not(
    results: Results, ours: dict[str, Any], floor: dict[str, Any], verdict: str
) -> None:
    results.put("streams", {TOKENLINE: ours, FLOOR: floor}, {})
    assert verdicts(results) == [verdict]


def test_a_limit_of_the_server_is_shown_as_a_lower_bound(results: Results) -> None:
    results.put(
        "streams",
        {FLOOR: search(1536, 1600, by_server=True), TOKENLINE: search(400, 420)},
        {},
    )
    table = clients_table(results)
    assert "| floor | ≥ 1,536 |" in table
    assert "400 (≤ 0.26 x)" in table
    tried = tries_table(results)
    assert "| the server was the limit |" in tried
    assert "| limit broken |" in tried


def test_a_client_of_another_api_is_compared_with_the_floor_of_that_api(results: Results) -> None:
    name = "tokenline, Messages"
    figures = {FLOOR: [2.0], FLOORS["messages"]: [1.0], name: [3.0]}
    results.put("batch", figures, {})
    assert f"| {name} | 3.00 (3.0 x) |" in clients_table(results)
    del figures[FLOORS["messages"]]
    assert f"| {name} | 3.00 |" in clients_table(results)


def test_what_was_not_repeated_has_no_spread(results: Results) -> None:
    figures = {"short": 1.0, "long": 1.0, "small": 2.0, "large": 3.0, "events": 100}
    results.put("linear", {OPENAI: [None, figures]}, {})
    assert f"| {OPENAI} | 100 | 1.00 | 1.50 |" in linear_table(results)
    results.put("batch", {OPENAI: [7.0, None], FLOOR: [1.0, 2.0]}, {})
    assert f"| {OPENAI} | - |" in spread_table(results)
    assert "| floor | 1.00-2.00 (2) |" in spread_table(results)


def test_the_readme_says_when_and_on_what_it_was_measured(results: Results) -> None:
    results.put("batch", {FLOOR: [1.0]}, {})
    results.data["rows"]["batch"] |= {"at": "2026-03-04 10:00", "load": 0.5}
    told = output.measured_on(results)
    assert told.startswith("Measured 2026-03-04 on abacus, 2 cores, Python 3.11.0, commit abc")


def test_figures_of_an_older_method_are_dropped(tmp_path: Path) -> None:
    rows = {"batch": {"figures": {FLOOR: [1.0]}, "failures": {}}}
    (tmp_path / "results.json").write_text(json.dumps({"rows": rows}))
    assert Results.load(tmp_path).figures("batch") == {}


def test_figures_are_there_again(tmp_path: Path, results: Results) -> None:
    results.put("batch", {FLOOR: [1.0]}, {})
    assert Results.load(tmp_path).figures("batch") == {FLOOR: [1.0]}


def test_who_failed_in_every_round_is_said_to_have_failed(results: Results) -> None:
    results.put("batch", {FLOOR: [1.0, 1.0], OPENAI: [None, None]}, {OPENAI: "gone"})
    assert f"| {OPENAI} | failed |" in clients_table(results)
