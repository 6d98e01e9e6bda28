"""Levels of load against a simulator on a socket: what is sent, when, and what is noted of it."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tokenline_bench import measure
from tokenline_bench.config import (
    Bench,
    ClosedLoop,
    Endpoint,
    FixedPrompt,
    Load,
    Objectives,
    OpenLoop,
    PromptFile,
    Search,
    TimedTrace,
)
from tokenline_bench.load.measure import Measurement, Order
from tokenline_bench.results import Results
from tokenline_bench.sample import Outcome, Sample
from tokenline_bench.session import Session
from tokenline_stages import connect
from tokenline_stages.simulator import Plan, SimulatorProcess

from .conftest import Endpoints


def run(*endpoints: Endpoint, **options: Any) -> Results:
    """Measure and give the requests themselves; no warm-up, one short prompt."""
    options = {"warmup": 0, "work": FixedPrompt(text="hello"), **options}
    return asyncio.run(Session(Bench(endpoints=endpoints, **options)).run())


def samples(*endpoints: Endpoint, **options: Any) -> list[Sample]:
    return run(*endpoints, **options).levels[0].samples


def most_at_once(found: list[Sample]) -> int:
    return max(sum(a.started_ns <= b.started_ns < a.ended_ns for a in found) for b in found)


def test_closed_loop_keeps_its_concurrency(endpoint: Endpoints) -> None:
    found = samples(endpoint(), requests=20, load=(ClosedLoop(concurrency=4),))
    assert {sample.outcome for sample in found} == {Outcome.OK}
    assert sorted(sample.number for sample in found) == list(range(20))
    assert most_at_once(found) == 4


def test_closed_loop_ramps_up(endpoint: Endpoints) -> None:
    load = ClosedLoop(concurrency=4, ramp_s=0.2)
    result = run(endpoint(ttft_s=0.3), requests=4, load=(load,)).levels[0]
    begins = sorted(s.scheduled_ns - result.level.start_ns for s in result.samples)
    assert all(0 <= at - place * 5e7 < 4e7 for place, at in enumerate(begins)), begins


def test_open_loop_keeps_its_schedule(endpoint: Endpoints) -> None:
    load = OpenLoop(rate_per_s=100, arrivals="constant")
    found = samples(endpoint(ttft_s=0.15), requests=20, load=(load,))
    scheduled = sorted(sample.scheduled_ns for sample in found)
    assert [round((at - scheduled[0]) / 1e7) for at in scheduled] == list(range(20))
    assert most_at_once(found) > 8


def test_wait_for_a_place_counts_from_the_schedule(endpoint: Endpoints) -> None:
    load = OpenLoop(rate_per_s=200, arrivals="constant", max_concurrency=2)
    report = measure(endpoint(), requests=30, load=(load,), warmup=0)
    assert report.metric("ttft").at(0.9).value < 60e6
    assert report.metric("ttft_scheduled").at(0.9).value > 200e6
    assert any("places" in warning for warning in report.warnings)


def test_stamps_agree_with_the_servers_ledger(
    simulator: SimulatorProcess, endpoint: Endpoints
) -> None:
    """Every stamp is after the server's own of the same write, and not much."""

    async def one() -> tuple[Sample, str]:
        found = endpoint(tokens=8, inter_token_s=0.004)
        connection = connect("openai", api_key="right", base_url=found.base_url)
        payload = {"model": "m", "messages": [{"role": "user", "content": "x"}], **found.body}
        pipeline_run = connection.run(payload)
        order = Order("a", 0, 0, 0, 0, time.perf_counter_ns())
        measurement = Measurement(lambda: pipeline_run, order)
        sample = await measurement.take()
        await connection.aclose()
        with urlopen(f"{simulator.url}/ledger") as response:
            return sample, json.loads(response.read())[-1]["request_id"]

    sample, request_id = asyncio.run(one())
    ledger = simulator.read_ledger(request_id)
    received = [
        stamp
        for stamp, events in zip(sample.stamps_ns(), sample.events(), strict=True)
        for _ in range(events)
    ]
    delays = [got - sent for got, sent in zip(received, ledger["token_ns"], strict=True)]
    assert min(delays) > 0
    assert sorted(delays)[len(delays) // 2] < 20e6
    assert sample.request_ns is not None
    assert sample.request_ns < ledger["received_ns"]
    assert sample.first_token_ns == received[0]
    assert sample.last_token_ns == received[-1]
    assert sample.output_tokens == 8


def test_reasoning_is_apart_from_the_answer(endpoint: Endpoints) -> None:
    found = endpoint("anthropic", reasoning_tokens=5, tokens=5, inter_token_s=0.01)
    (sample,) = samples(found, requests=1)
    assert sample.reasoning_seen
    assert sample.first_token_ns is not None
    assert sample.first_answer_ns is not None
    assert 30e6 < sample.first_answer_ns - sample.first_token_ns < 150e6


def test_duration_ends_a_level_and_keeps_what_had_come(endpoint: Endpoints) -> None:
    slow = endpoint(tokens=1000, inter_token_s=0.01)
    found = samples(slow, duration_s=0.2, grace_s=0.1, load=(ClosedLoop(concurrency=3),))
    assert {sample.outcome for sample in found} == {Outcome.UNFINISHED}
    assert len(found) == 3
    assert all(sample.first_token_ns and sample.content_events > 5 for sample in found)


def test_cancellations_are_on_purpose(endpoint: Endpoints) -> None:
    slow = endpoint(tokens=200, inter_token_s=0.01)
    found = samples(
        slow,
        requests=6,
        cancel_share=1.0,
        cancel_after_s=0.06,
        load=(ClosedLoop(concurrency=3),),
    )
    assert {sample.outcome for sample in found} == {Outcome.CANCELLED}
    assert all(0 < sample.content_events < 100 for sample in found)
    report = measure(slow, requests=3, cancel_share=1.0, cancel_after_s=0.05, warmup=0)
    assert report.levels[0].endpoints[0].error_share == 0


def test_a_request_may_take_so_long_and_no_longer(endpoint: Endpoints) -> None:
    (sample,) = samples(endpoint(ttft_s=5.0), requests=1, timeout_s=0.1, check=False)
    assert sample.outcome is Outcome.TIMEOUT
    assert sample.failure is not None
    assert sample.failure.type == "RequestTimeout"


def test_failures_are_noted_with_type_and_status(endpoint: Endpoints) -> None:
    (sample,) = samples(endpoint(key="wrong"), requests=1, check=False)
    assert sample.outcome is Outcome.ERROR
    assert sample.failure is not None
    assert (sample.failure.type, sample.failure.status) == ("AuthenticationError", 401)


def test_endpoints_take_turns_on_the_same_work(endpoint: Endpoints) -> None:
    fast, slow = endpoint(label="fast"), endpoint(label="slow", ttft_s=0.06)
    report = measure(fast, slow, requests=40, concurrency=4, warmup=0)
    assert [e.outcomes for e in report.levels[0].endpoints] == [{"ok": 20}, {"ok": 20}]
    (ttft,) = [c for c in report.comparisons if (c.metric, c.change.statistic) == ("ttft", "p50")]
    assert (ttft.before, ttft.after) == ("fast", "slow")
    assert ttft.change.certain
    assert ttft.change.effect > 0.8


def test_conversations_go_on_with_live_answers(endpoint: Endpoints, tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    messages = [
        {"role": "user", "content": "q1"},
        {"role": "assistant", "content": "recorded"},
        {"role": "user", "content": "q2"},
    ]
    path.write_text(json.dumps({"messages": messages}))
    work = PromptFile(path=str(path), history="live")
    found = samples(endpoint(), requests=4, work=work)
    assert [(sample.conversation, sample.turn) for sample in found] == [
        *((0, 0), (0, 1), (1, 0), (1, 1))
    ]
    first, second = found[:2]
    assert second.scheduled_ns >= first.ended_ns - 5_000_000


def test_trace_is_replayed_at_its_times(endpoint: Endpoints, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    rows = [{"timestamp": at, "input_length": 5, "output_length": 3} for at in (0, 200, 400)]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    result = run(endpoint(), load=(TimedTrace(speed=4),), work=PromptFile(path=str(path))).levels[0]
    offsets = [(s.scheduled_ns - result.level.start_ns) / 1e6 for s in result.samples]
    assert offsets == [0, 50, 100]
    assert all(sample.asked_output_tokens == 3 for sample in result.samples)


@pytest.mark.parametrize("load", [ClosedLoop(concurrency=4), OpenLoop(rate_per_s=150)], ids=str)
def test_processes_share_a_load_between_them(endpoint: Endpoints, load: Load) -> None:
    found = samples(endpoint(), requests=30, processes=2, load=(load,))
    assert sorted(sample.number for sample in found) == list(range(30))
    assert {sample.worker for sample in found} == {0, 1}
    assert {sample.outcome for sample in found} == {Outcome.OK}


@pytest.mark.parametrize("users", [1, 3])
def test_uneven_users_share_all_requests(endpoint: Endpoints, users: int) -> None:
    """A process without a user sends nothing, and one with two twice as many."""
    load = ClosedLoop(concurrency=users)
    found = samples(endpoint(), requests=12, processes=2, load=(load,))
    counts = [sum(sample.worker == worker for sample in found) for worker in (0, 1)]
    assert counts == {1: [12, 0], 3: [8, 4]}[users]


def test_warm_up_asks_the_last_prompts_of_a_file(endpoint: Endpoints, tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text("".join(f'{{"prompt": "p{number}"}}\n' for number in range(10)))
    work = PromptFile(path=str(path))
    results = run(endpoint(), load=(ClosedLoop(concurrency=2),), requests=8, warmup=2, work=work)
    assert results.warmup is not None
    assert sorted(s.conversation for s in results.warmup.samples) == [8, 9]
    assert sorted(s.conversation for s in results.levels[0].samples) == list(range(8))


AWS = {"aws_region": "us-east-1", "aws_access_key": "AKID", "aws_secret_key": "right"}


@pytest.mark.parametrize(
    ("provider", "api", "base", "client_options"),
    [
        ("openai", "openai.responses", "/v1", {}),
        ("vllm", None, "/v1", {}),
        ("anthropic", None, "", {}),
        ("gemini", None, "", {}),
        ("ollama-native", None, "", {}),
        ("ollama-native", "ollama.generate", "", {}),
        ("bedrock", None, "", AWS),
    ],
)
def test_every_api_is_measured(
    provider: str, api: str | None, base: str, client_options: dict[str, str]
) -> None:
    with SimulatorProcess(Plan(ttft_s=0.02, inter_token_s=0.002, tokens=8)) as simulator:
        found = Endpoint(
            model="m",
            provider=provider,
            api=api,
            base_url=simulator.url + base,
            api_key=None if client_options else "right",
            client_options=client_options,
        )
        report = measure(found, requests=4, concurrency=2, warmup=0)
    assert report.levels[0].endpoint().outcomes == {"ok": 4}
    assert report.ttft.minimum >= 20e6
    assert report.metric("output_tokens").median == 8
    assert report.metric("tpot").median < 20e6


def test_search_finds_the_knee(endpoint: Endpoints) -> None:
    """All requests of the simulator meet the SLO; none meets an impossible one."""
    search = Search(template=ClosedLoop(concurrency=1), low=1, high=4)
    slo = Objectives(bounds={"ttft": 500e6})
    report = measure(endpoint(), requests=8, load=search, slo=slo, warmup=0)
    assert [level.load.value for level in report.levels] == [1, 2, 4]
    assert report.knee == "concurrency 4"
    slo = Objectives(bounds={"ttft": 1.0})
    report = measure(endpoint(), requests=4, load=search, slo=slo, warmup=0)
    assert [level.held for level in report.levels] == [False]
    assert report.knee is None


def test_warm_up_and_set_up_are_apart(endpoint: Endpoints) -> None:
    report = measure(endpoint(), requests=5, concurrency=3)
    assert report.warmup is not None
    assert report.warmup.endpoints[0].outcomes == {"ok": 3}
    assert report.levels[0].endpoints[0].outcomes == {"ok": 5}
    (setup,) = report.setup
    assert setup.client_ns is not None
    assert setup.connect_ns is not None
    assert setup.cold_ttft_ns is not None
    assert setup.tls_ns is None


def test_calibration_measures_the_harness_itself(endpoint: Endpoints) -> None:
    report = measure(endpoint(), requests=30, calibrate=True)
    assert report.own is not None
    assert 20_000 < report.own.p50_ns < 50e6
    assert report.ttft.at(0.5).widened_by >= report.own.p50_ns


def test_interrupt_keeps_what_there_is(endpoint: Endpoints) -> None:
    async def interrupted() -> Results:
        bench = Bench(
            endpoints=(endpoint(inter_token_s=0.01),), requests=10_000, warmup=0, processes=1
        )
        session = Session(bench)
        running = asyncio.ensure_future(session.run())
        while len(session.results.levels) == 0 or len(session.results.levels[0].samples) < 3:
            await asyncio.sleep(0.01)
        await session.interrupt()
        return await running

    results = asyncio.run(interrupted())
    assert results.interrupted
    outcomes = {sample.outcome for sample in results.levels[0].samples}
    assert Outcome.OK in outcomes
    assert Outcome.UNFINISHED in outcomes
