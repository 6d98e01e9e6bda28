"""Restarting and continuing a response that had begun: what is sent, and what is left of it."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.pipeline.lines import builder
from tokenline.builder import PipelineBuilder
from tokenline.errors import AuthenticationError, OverloadedError, StreamCutError, StreamError
from tokenline.events import MessageStart, Reset, TextDelta
from tokenline.options import Capacity, Execution, RunOptions
from tokenline.pipeline import Pipeline, Route
from tokenline.policy import AfterCommit, HedgePolicy, RetryPolicy
from tokenline.record import Outcome
from tokenline.result import Result
from tokenline.run import Run
from tokenline.testing import ScriptedSource, Wait, run_virtual, virtual_clock

GOOD = [b"a\nb\n", b".\n"]
CUT_LATE: list[Any] = [b"begun\n", StreamCutError("cut after content")]
REFUSED = AuthenticationError("no")
BUSY = OverloadedError("busy")


def prefill(payload: Mapping[str, Any], so_far: Result) -> Mapping[str, Any]:
    return {**payload, "turns": [*payload.get("turns", ()), so_far.text]}


def line(
    after: AfterCommit, source: ScriptedSource, *spares: Route, number: int = 1, **options: Any
) -> Pipeline:
    retry = RetryPolicy(attempts=number, jitter_s=0, after_commit=after)
    build = builder(source).options(RunOptions(retry=retry, **options)).clock(virtual_clock())
    for spare in spares:
        build.fall_back(spare)
    return build.continue_with(prefill).build()


def spare(source: ScriptedSource, continued: bool, name: str = "spare") -> Route:
    own = builder(source).build().routes[0]
    return Route(
        name,
        source,
        own.chain,
        lambda payload: {**payload, "model": name},
        prefill if continued else None,
    )


async def failed(run: Run) -> StreamError:
    with pytest.raises(StreamError) as caught:
        await run.result()
    return caught.value


async def failed_reading(run: Run) -> StreamError:
    with pytest.raises(StreamError) as caught:
        await anext(run)
    return caught.value


def partial_of(error: StreamError) -> str:
    assert error.partial is not None
    return error.partial.text


# --- continue ------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 3])
def test_a_route_that_cannot_continue_is_not_asked(number: int) -> None:
    async def main() -> None:
        first, second = ScriptedSource(CUT_LATE, BUSY), ScriptedSource(GOOD)
        routes = first, spare(second, continued=False)
        async with line(AfterCommit.CONTINUE, *routes, number=number).run({}) as run:
            error = await failed(run)
        assert second.requests == []
        assert len(first.requests) == number
        assert isinstance(error, StreamCutError if number == 1 else OverloadedError)
        assert partial_of(error) == "begun "

    run_virtual(main())


def test_each_route_gets_its_own_continued_request() -> None:
    async def main() -> None:
        first, second, third = ScriptedSource(CUT_LATE), ScriptedSource(GOOD), ScriptedSource(GOOD)
        routes = first, spare(second, continued=False), spare(third, continued=True, name="third")
        async with line(AfterCommit.CONTINUE, *routes).run({"q": 1}) as run:
            assert (await run.result()).text == "begun a b "
        assert second.requests == []
        assert third.requests[0].payload == {"q": 1, "model": "third", "turns": ["begun "]}

    run_virtual(main())


def test_continued_twice_each_time_from_the_runs_own_request() -> None:
    async def main() -> None:
        source = ScriptedSource(CUT_LATE, BUSY, CUT_LATE, GOOD)
        async with line(AfterCommit.CONTINUE, source, number=4).run({"q": 1}) as run:
            assert (await run.result()).text == "begun begun a b "
        turns = [request.payload.get("turns") for request in source.requests]
        assert turns == [None, ["begun "], ["begun "], ["begun begun "]]
        assert run.record is not None
        assert run.record.bytes == 2 * len(b"begun\n") + len(b"".join(GOOD))

    run_virtual(main())


@pytest.mark.parametrize("execution", list(Execution))
@pytest.mark.parametrize("read_s", [0, 5])
def test_it_goes_on_after_all_that_was_delivered(execution: Execution, read_s: float) -> None:
    async def main() -> None:
        words = [b"a\n", b"b\n", b"c\n", b"d\n", b"e\n"]
        source = ScriptedSource([*words, StreamCutError("cut")], [b"f\n", b".\n"])
        plan = line(AfterCommit.CONTINUE, source, number=2, execution=execution)
        slow = PipelineBuilder.from_pipeline(plan).capacity("consumer", Capacity(max_items=1))
        async with slow.build().run({}) as run:
            async for _ in run:
                await asyncio.sleep(read_s)
            assert (await run.result()).text == "a b c d e f "
        assert source.requests[1].payload["turns"] == ["a b c d e "]

    run_virtual(main())


@pytest.mark.parametrize("continued", [False, True])
def test_a_hedge_of_a_continued_response_can_continue_too(continued: bool) -> None:
    async def main() -> None:
        first = ScriptedSource(CUT_LATE, [Wait(60), *GOOD], [Wait(1), *GOOD])
        second = ScriptedSource([Wait(1), *GOOD])
        pipeline = line(
            AfterCommit.CONTINUE,
            first,
            spare(second, continued),
            number=2,
            hedge=HedgePolicy(after_s=2),
        )
        async with pipeline.run({}) as run:
            assert (await run.result()).text == "begun a b "
        hedged = second if continued else first
        assert hedged.requests[-1].payload["turns"] == ["begun "]
        assert (len(first.requests), len(second.requests)) == ((2, 1) if continued else (3, 0))

    run_virtual(main())


# --- restart -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scripts", "number"),
    [
        ([CUT_LATE], 1),
        ([[b"begun\n", REFUSED]], 3),
        ([CUT_LATE, BUSY], 3),
        ([CUT_LATE, REFUSED], 3),
        ([CUT_LATE, [StreamCutError("cut before content")]], 3),
    ],
    ids=["no attempt left", "not retryable", "all busy", "then refused", "then nothing"],
)
def test_what_had_arrived_is_kept_until_a_restart_gives_content(
    scripts: list[Any], number: int
) -> None:
    async def main() -> None:
        source = ScriptedSource(*scripts)
        async with line(AfterCommit.RESTART, source, number=number).run({}) as run:
            error = await failed(run)
            events = [await anext(run), await anext(run)]
            assert await failed_reading(run) is error
        assert partial_of(error) == "begun "
        assert [type(event) for event in events] == [MessageStart, TextDelta]

    run_virtual(main())


def test_each_restart_is_told_once_with_its_attempt() -> None:
    async def main() -> None:
        source = ScriptedSource(CUT_LATE, BUSY, CUT_LATE, GOOD)
        async with line(AfterCommit.RESTART, source, number=4).run({}) as run:
            events = [event async for event in run]
            result = await run.result()
        assert result.text == "a b "
        assert [event.attempt for event in events if isinstance(event, Reset)] == [3, 4]
        assert [event.seq for event in events] == list(range(len(events)))
        stamps = [event.recv_ns for event in events]
        assert stamps == sorted(stamps)

    run_virtual(main())


def test_a_restart_is_hedged() -> None:
    async def main() -> None:
        first = ScriptedSource(CUT_LATE, [Wait(60), *GOOD])
        second = ScriptedSource([Wait(1), *GOOD])
        pipeline = line(
            AfterCommit.RESTART,
            first,
            spare(second, continued=False),
            number=2,
            hedge=HedgePolicy(after_s=2),
        )
        async with pipeline.run({}) as run:
            events = [event async for event in run]
            assert (await run.result()).text == "a b "
        assert [event.attempt for event in events if isinstance(event, Reset)] == [3]
        assert [event.seq for event in events] == list(range(len(events)))
        assert run.outcome is Outcome.OK

    run_virtual(main())
