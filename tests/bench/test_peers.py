"""The harness of `make bench-peers`: a tiny round with the clients of this environment."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks.clients.contract import ClientSpec
from benchmarks.latency import Window, measure_load
from benchmarks.measures import headers_of
from benchmarks.peers import output
from benchmarks.peers.processes import FailedError, Processes
from benchmarks.peers.results import Results
from benchmarks.peers.roster import CLIENTS, FLOOR, FLOORS, TOKENLINE
from benchmarks.peers.rows import ROWS, Bench
from benchmarks.peers.settings import QUICK
from benchmarks.peers.targets import check_all
from benchmarks.peers.two_cores import scaling_two, two_cores
from benchmarks.sender import SenderProcess

pytestmark = pytest.mark.server

TINY = replace(
    QUICK,
    batch_events=400,
    least_cpu_s=0.0,
    paced_streams=2,
    paced_events=15,
    requests=3,
    load=(("ramp_s", 0.05), ("settle_s", 0.05), ("measure_s", 0.2)),
    scaling=(2,),
    length=2_000,
    arguments=((2_000, 40), (10_000, 200)),
)
OURS = [CLIENTS[FLOOR], CLIENTS[TOKENLINE]]


@pytest.fixture(scope="module")
def sender() -> Iterator[SenderProcess]:
    with SenderProcess(tls=True) as process:
        yield process


def here(spec: ClientSpec) -> str:
    """Clients run in this environment."""
    return sys.executable


def measure(sender: SenderProcess, *rows: str) -> dict[str, dict[str, Any]]:
    async def run() -> dict[str, dict[str, Any]]:
        processes = Processes(here, sender, None)
        bench = Bench(processes, OURS, TINY, lambda text: None)
        try:
            found = {row: await ROWS[row](bench) for row in rows}
        finally:
            await processes.stop()
        assert bench.failures == {}
        return found

    return asyncio.run(run())


def test_every_row_gives_figures_of_both(sender: SenderProcess, tmp_path: Path) -> None:
    rows = ["batch", "paced", "paced_tls", "first_token", "request", "linear", "memory", "cold"]
    rows += ["scaling"]
    found = measure(sender, *rows)

    results = Results.load(tmp_path)
    results.begin({"commit": "none", "date": "today"}, {}, True)
    for row in rows:
        assert set(found[row]) >= {FLOOR, TOKENLINE}
        assert all(found[row].values())
        results.put(row, found[row], {})

    again = Results.load(tmp_path)
    output.write_all(again, tmp_path)
    report = (tmp_path / "results.md").read_text()
    assert "| **tokenline** |" in report
    assert (tmp_path / "scaling.svg").read_text().startswith("<svg")
    assert len(check_all(again)) == 8


def test_the_search_keeps_every_load_that_it_tried(sender: SenderProcess) -> None:
    async def run() -> Any:
        processes = Processes(here, sender, None)
        sizes = replace(TINY, limit_ms=0.001)  # broken by whatever is tried
        bench = Bench(processes, [CLIENTS[FLOOR]], sizes, lambda text: None)
        try:
            return await ROWS["streams"](bench)
        finally:
            await processes.stop()

    found = asyncio.run(run())[FLOOR]
    assert found["streams"] == 0
    assert found["loads"][0]["streams"] == 32
    assert found["loads"][-1]["streams"] == found["missed"] == 1
    assert {load["verdict"] for load in found["loads"]} <= {"broken", "server"}


def test_added_latency_is_never_negative(sender: SenderProcess) -> None:
    async def run() -> Any:
        client = CLIENTS[FLOOR].make(sender.url)
        try:
            return await measure_load(client, sender.url, 3, Window(0.05, 0.05, 0.3))
        finally:
            await client.aclose()

    load = asyncio.run(run())
    assert load.streams == 3
    assert 0 <= load.p50_ms <= load.p99_ms <= load.max_ms
    assert load.events_per_s == pytest.approx(150, rel=0.5)
    assert load.due == pytest.approx(1, abs=0.25)
    assert 0.5 < load.sent < 1.5


def test_who_fails_is_left_out_and_named(sender: SenderProcess) -> None:
    async def run() -> None:
        processes = Processes(here, sender, None)
        try:
            with pytest.raises(FailedError, match="TypeError"):
                await processes.ask(CLIENTS[FLOOR], "batch", {"nonsense": 1})
        finally:
            await processes.stop()

    asyncio.run(run())


def test_documentation_is_replaced_between_the_marks_only(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("before\n<!-- begin measured -->\nold\n<!-- end measured -->\nafter\n")
    output.replace_between(path, "new")
    assert path.read_text() == (
        "before\n<!-- begin measured -->\nnew\n<!-- end measured -->\nafter\n"
    )


def test_a_second_run_has_marks_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("<!-- begin measured -->\nold\n<!-- end measured -->\n")
    with pytest.raises(ValueError, match="begin again"):
        output.replace_between(path, "new", "again")
    path.write_text(path.read_text() + "<!-- begin again -->\n<!-- end again -->\n")
    output.replace_between(path, "new", "again")
    assert path.read_text() == (
        "<!-- begin measured -->\nold\n<!-- end measured -->\n"
        "<!-- begin again -->\nnew\n<!-- end again -->\n"
    )


def test_results_of_quick_and_full_runs_do_not_mix(tmp_path: Path) -> None:
    results = Results.load(tmp_path)
    results.begin({"commit": "none"}, {}, True)
    results.put("batch", {FLOOR: [1.0]}, {})
    results.begin({"commit": "none"}, {}, False)
    assert results.figures("batch") == {}
    assert json.loads((tmp_path / "results.json").read_text())["quick"] is True


def test_two_cores_are_those_that_this_process_may_use(sender: SenderProcess) -> None:
    allowed = os.sched_getaffinity(0)
    if len(allowed) < 2:
        pytest.skip("one core")
    assert set(two_cores()) <= allowed

    async def run() -> Any:
        processes = Processes(here, sender, None)
        bench = Bench(processes, [CLIENTS[FLOOR]], TINY, lambda text: None)
        found = await scaling_two(bench)
        assert bench.failures == {}
        return found

    (load,) = asyncio.run(run())[FLOOR]
    assert load["streams"] == 4
    assert 0 < load["sent"] < 1.5


def test_peers_take_part_in_some_rounds_and_who_is_compared_in_all(sender: SenderProcess) -> None:
    async def measure(spec: ClientSpec) -> float:
        return 1.0

    async def run() -> Any:
        bench = Bench(
            Processes(here, sender, None), list(CLIENTS.values()), TINY, lambda text: None
        )
        return await bench.collect(bench.clients, 7, measure, 3)

    row = asyncio.run(run())
    assert row[FLOOR] == row[TOKENLINE] == [1.0] * 7
    assert row["litellm"] == [1.0, None, 1.0, None, 1.0, None, None]


@pytest.mark.parametrize("api", ["messages", "responses"])
def test_the_floor_of_each_api_sees_every_token(sender: SenderProcess, api: str) -> None:
    async def run() -> int:
        client = CLIENTS[FLOORS[api]].make(sender.url)
        plan = {"ttft_s": 0.0, "inter_token_s": 0.0, "tokens": 40, "events_per_write": 7}
        try:
            seen: int = await client.read(headers_of(plan))
            return seen
        finally:
            await client.aclose()

    assert asyncio.run(run()) == 40
