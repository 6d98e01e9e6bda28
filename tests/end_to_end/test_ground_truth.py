"""Times beside the truth: what the simulator stamped when it sent.

A stamp of ours is never earlier than the server's: that holds on any machine. How much later it
may be is bounded loosely here, for machines with other work to do; `benchmarks.clock_errors`
measures it.
"""

import statistics

import pytest
from benchmarks.clock_errors import PROVIDERS, compare
from benchmarks.clock_table import STAMPS
from benchmarks.server_clocks import compare_behind_relay, compare_to_timings

from tests.end_to_end.llamacpp import LlamaServer
from tokenline_stages.simulator import Plan, SimulatorProcess

pytestmark = [pytest.mark.anyio, pytest.mark.server]

PLAN = Plan(headers_s=0.01, ttft_s=0.03, inter_token_s=0.005, reasoning_tokens=5, tokens=10)
LATE_MS = 10.0
"""Median error that a busy machine is allowed; 0.2 on a quiet one."""


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_one_stream(simulator: SimulatorProcess, provider: str) -> None:
    errors = (await compare(simulator, provider, PLAN, requests=12)).rows
    assert set(errors) == {*STAMPS, "request", "every event", "gap"}
    for name, values in errors.items():
        if name != "gap":
            assert min(values) >= 0, f"{name} was earlier than the server's stamp"
            assert statistics.median(values) < LATE_MS, name
    assert abs(statistics.median(errors["gap"])) < LATE_MS


async def test_many_streams_are_late_but_never_early(simulator: SimulatorProcess) -> None:
    errors = (await compare(simulator, "openai", PLAN, requests=40, at_once=40)).rows
    for name in (*STAMPS, "request", "every event"):
        assert min(errors[name]) >= 0


async def test_behind_a_relay(simulator: SimulatorProcess) -> None:
    url = simulator.openai_base_url
    errors = (await compare_behind_relay(url, "sim", ttft_ms=10, itl_ms=2, requests=4)).rows
    for name in (*STAMPS, "request", "every event", "bare socket: first token"):
        assert min(errors[name]) >= 0, f"{name} was earlier than the relay's stamp"
        assert statistics.median(errors[name]) < LATE_MS, name
    assert min(errors["server: first token - told"]) >= 0


async def test_a_real_server_s_own_timings_agree(scripted_llama: LlamaServer) -> None:
    errors = (await compare_to_timings(f"{scripted_llama.url}/v1", requests=4, tokens=60)).rows
    for name, values in errors.items():
        # HTTP, the template and tokenizing come before its clock starts.
        assert -3 * LATE_MS < statistics.median(values) < 5 * LATE_MS, name
