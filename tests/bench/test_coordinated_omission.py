"""A server that stalls: what an open loop shows of it and a closed one cannot."""

import threading
from urllib.request import Request, urlopen

import msgspec
import pytest

from tokenline_bench import measure
from tokenline_bench.config import ClosedLoop, Endpoint, FixedPrompt, Load, OpenLoop
from tokenline_bench.report import Report
from tokenline_stages.simulator import SimulatorProcess

STALL_S = 0.5
DURATION_S = 1.5


def measure_stall(simulator: SimulatorProcess, endpoint: Endpoint, load: Load) -> Report:
    """The server stalls a third of the way."""
    body = msgspec.json.encode({"seconds": STALL_S})
    request = Request(f"{simulator.url}/stall", data=body, method="POST")
    stall = threading.Timer(DURATION_S / 3, lambda: urlopen(request).close())
    stall.start()
    try:
        return measure(
            endpoint,
            work=FixedPrompt(text="hello"),
            load=(load,),
            duration_s=DURATION_S,
            warmup=4,
            check=False,
        )
    finally:
        stall.join()


@pytest.fixture
def quick(simulator: SimulatorProcess) -> Endpoint:
    plan = {"ttft_s": 0.01, "inter_token_s": 0.0, "tokens": 1}
    return Endpoint(
        model="m",
        base_url=simulator.openai_base_url,
        api_key="right",
        body={"tokenline_plan": plan},
    )


def test_open_loop_shows_the_stall(simulator: SimulatorProcess, quick: Endpoint) -> None:
    """A third of all requests come while the server stalls: p90 and p99 must say so."""
    load = OpenLoop(rate_per_s=60, arrivals="constant")
    report = measure_stall(simulator, quick, load)
    ttft = report.metric("ttft_scheduled")
    assert ttft.n == pytest.approx(60 * DURATION_S, abs=3)
    assert ttft.at(0.5).value < 100e6
    assert ttft.at(0.99).value > (STALL_S - 0.1) * 1e9
    late = sum(value > 50e6 for value in report.levels[0].endpoint().values["ttft_scheduled"])
    assert 0.2 < late / ttft.n < 0.5


def test_open_loop_shows_it_also_when_it_holds_requests_back(
    simulator: SimulatorProcess, quick: Endpoint
) -> None:
    """Two places only: the wait is outside the requests, and still in the numbers."""
    load = OpenLoop(rate_per_s=60, arrivals="constant", max_concurrency=2)
    report = measure_stall(simulator, quick, load)
    assert report.metric("ttft_scheduled").at(0.9).value > 200e6
    assert report.metric("ttft").at(0.9).value < 100e6


def test_closed_loop_says_why_it_does_not(simulator: SimulatorProcess, quick: Endpoint) -> None:
    """Two users: two requests of some hundred meet the stall, p90 does not move."""
    report = measure_stall(simulator, quick, ClosedLoop(concurrency=2))
    values = report.levels[0].endpoint().values["ttft"]
    # On a busy machine the client itself may be late into the stall: half of it is enough.
    assert 1 <= sum(value > STALL_S / 2 * 1e9 for value in values) <= 2
    assert report.ttft.at(0.9).value < 100e6
    (note,) = report.levels[0].notes
    assert "coordinated omission" in note
