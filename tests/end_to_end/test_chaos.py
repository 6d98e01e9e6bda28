"""A short form of `python -m benchmarks.chaos`: every fault, several APIs, nothing left behind."""

import asyncio
from typing import get_args

import pytest
from benchmarks.chaos.oracle import Expected, Seen, expect, judge
from benchmarks.chaos.passes import Chaos, Report
from benchmarks.chaos.ways import WAYS, plan_mix

from tokenline.errors import (
    LimitExceededError,
    OverloadedError,
    RunCancelledError,
    StreamCutError,
    StreamError,
)
from tokenline.policy import Timeouts
from tokenline.record import Outcome
from tokenline.result import Result, TextPart
from tokenline_stages.simulator import Plan, SimulatorProcess
from tokenline_stages.simulator.chaos import ALL_FAULTS
from tokenline_stages.simulator.faults import Cut, Fault, OversizedEvent

SHORT = Timeouts(headers_s=3.0, idle_s=2.0, first_token_s=4.0, stall_s=4.0, total_s=25.0)


@pytest.mark.server
def test_streams_end_as_their_faults_say() -> None:
    async def main(simulator: SimulatorProcess) -> Report:
        return await Chaos(simulator, mix, 75, seed, SHORT).run_pass(1, 150)

    seed = 5
    mix = plan_mix(seed)
    with SimulatorProcess(mix) as simulator:
        report = asyncio.run(main(simulator))
    assert report.problems == []
    assert report.records == report.root_spans == sum(report.outcomes.values()) == 150
    met = {outcome.partition(" -> ")[0] for outcome in report.outcomes}
    assert len(met) > len(get_args(Fault)) * 3 // 4


def test_the_mix_has_every_fault() -> None:
    met = {type(fault) for faults in ALL_FAULTS for fault in faults}
    assert met == set(get_args(Fault))
    for way in WAYS:
        for plan in plan_mix(0).plans:
            assert all(isinstance(expected, Expected) for expected in expect(plan, way))


# --- the judge -----------------------------------------------------------------------------

SENT = {"text": "a b", "text_before_fault": "a", "outcome": "complete", "events": 3}


def seen(
    text: str,
    error: BaseException | None,
    outcome: Outcome = Outcome.ERROR,
    *,
    manner: str = "to the end",
    read: str | None = None,
) -> Seen:
    if isinstance(error, StreamError):
        error.partial = Result(message_id="m", content=(TextPart(part=0, text=text),))
    read = text if read is None else read
    return Seen("r", WAYS[0], manner, 0.1, text, read, outcome, error, "m")


CUT = Plan(faults=(Cut(),))
HUGE = Plan(faults=(OversizedEvent(),))


@pytest.mark.parametrize(
    ("one", "plan"),
    [
        pytest.param(seen("a b", StreamCutError("")), CUT, id="cut"),
        pytest.param(seen("a", LimitExceededError("", limit="x")), HUGE, id="up to the fault"),
        pytest.param(seen("a b", None, Outcome.OK), Plan(), id="well"),
        pytest.param(seen("a", None, Outcome.CANCELLED, manner="leaves"), Plan(), id="left"),
        pytest.param(
            seen("a", RunCancelledError(""), Outcome.CANCELLED, manner="cancels"),
            Plan(),
            id="cancelled",
        ),
    ],
)
def test_the_judge_accepts(one: Seen, plan: Plan) -> None:
    assert judge(one, SENT, plan) is None


@pytest.mark.parametrize(
    ("one", "plan"),
    [
        pytest.param(seen("a", StreamCutError("")), CUT, id="lost text"),
        pytest.param(seen("a b c", StreamCutError("")), CUT, id="text that was never sent"),
        pytest.param(seen("a b", OverloadedError("")), CUT, id="another error"),
        pytest.param(seen("a b", StreamCutError("")), Plan(), id="an error without a reason"),
        pytest.param(seen("a b", KeyError("x")), CUT, id="an error of no type"),
        pytest.param(seen("a b", StreamCutError(""), Outcome.TIMEOUT), CUT, id="another outcome"),
        pytest.param(seen("a b", None, Outcome.OK), CUT, id="no error"),
        pytest.param(seen("a", None, Outcome.OK), Plan(), id="lost text at a good end"),
        pytest.param(seen("a b", None, Outcome.OK, read="a"), Plan(), id="reader got less"),
        pytest.param(seen("a", None, Outcome.OK, read="a b"), Plan(), id="reader got more"),
        pytest.param(
            seen("a b", LimitExceededError("", limit="x")), HUGE, id="text behind the fault"
        ),
        pytest.param(
            seen("a", RunCancelledError(""), Outcome.CANCELLED), Plan(), id="cancelled by nobody"
        ),
    ],
)
def test_the_judge_notices(one: Seen, plan: Plan) -> None:
    assert judge(one, SENT, plan) is not None


def test_the_judge_wants_an_entry_and_an_end() -> None:
    error = StreamCutError("")
    assert judge(seen("a b", error), None, None) is not None
    assert judge(seen("a b", error), {**SENT, "outcome": "open"}, CUT) is not None
    late = seen("a b", error)
    late.took_s = 1000.0
    assert judge(late, SENT, CUT) is not None
