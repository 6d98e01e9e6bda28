"""A branch whose stage never returns ends by itself, and holds up nobody who need not wait."""

import asyncio
import gc
from collections.abc import Sequence
from typing import Any

import pytest

from tests.pipeline.lines import BODY, TEXT, WORDS, builder
from tokenline.builder import PipelineBuilder
from tokenline.errors import (
    IdleTimeoutError,
    StageFailedError,
    StreamCutError,
    StreamError,
    TotalTimeoutError,
)
from tokenline.events import Event, TextDelta
from tokenline.options import Capacity, Execution, Overflow, RunOptions
from tokenline.pipeline import Branch
from tokenline.policy import Timeouts
from tokenline.record import Outcome
from tokenline.run import Run
from tokenline.stage import StageSpec
from tokenline.testing import ScriptedSource, Wait, run_virtual, virtual_clock
from tokenline.testing.source import Script

NEVER_S = 1e6
STARTED_S = 1000.0
SILENT: Script = [b"a\nb\n", Wait(NEVER_S), b".\n"]


class Hangs:
    """Does not return from one of its two methods; or takes `each_s` for all it is given."""

    def __init__(self, where: str, each_s: float = 0.0) -> None:
        self.text = ""
        self._in_feed_s = NEVER_S if where == "feed" else each_s
        self._in_finish_s = NEVER_S if where == "finish" else each_s

    async def feed(self, items: Sequence[Event], recv_ns: int, out: list[str]) -> None:
        await asyncio.sleep(self._in_feed_s)
        out += [item.text for item in items if isinstance(item, TextDelta)]
        self.text += "".join(out)

    async def finish(self, recv_ns: int, out: list[str]) -> None:
        await asyncio.sleep(self._in_finish_s)
        self.text += "END"


def with_branch(
    script: Script,
    step: Hangs,
    *,
    total_s: float | None = None,
    idle_s: float | None = None,
    grace_s: float | None = 50.0,
    execution: Execution = Execution.FUSED,
    **settings: Any,
) -> PipelineBuilder:
    name = "work" if settings.get("readable") else "mine"
    stage = StageSpec(name, Event, str, lambda context: step)
    options = RunOptions(
        timeouts=Timeouts(headers_s=None, idle_s=idle_s, total_s=total_s),
        branch_grace_s=grace_s,
        execution=execution,
    )
    build = builder(ScriptedSource(script)).options(options).clock(virtual_clock())
    return build.branch(Branch("mine", stage=stage, **settings))


def now_s() -> float:
    return asyncio.get_running_loop().time() - STARTED_S


async def read(run: Any, how: str) -> str:
    if how == "result":
        return str((await run.result()).text)
    return "".join([event.text async for event in run if isinstance(event, TextDelta)])


def is_closed(run: Run) -> bool:
    return run.record is not None


def no_task_is_left() -> bool:
    return not [t for t in asyncio.all_tasks() if t.get_name().startswith("tokenline")]


where = pytest.mark.parametrize("where", ["feed", "finish"])
how = pytest.mark.parametrize("how", ["iterate", "result"])
overflow = pytest.mark.parametrize("overflow", [Overflow.BLOCK, Overflow.DROP_OLDEST], ids=str)
required = pytest.mark.parametrize("required", [True, False])


@where
@how
@overflow
@pytest.mark.parametrize("execution", list(Execution), ids=str)
def test_nobody_waits_for_an_optional_one(
    where: str, how: str, overflow: Overflow, execution: Execution
) -> None:
    async def main() -> None:
        settings: dict[str, Any] = {"required": False, "capacity": Capacity(overflow=overflow)}
        build = with_branch([BODY], Hangs(where), execution=execution, **settings)
        async with build.build().run({}) as run:
            assert await read(run, how) == TEXT
            assert now_s() < 1
            assert run.outcome is Outcome.OK
            assert not is_closed(run)
        assert now_s() == pytest.approx(50, abs=1)
        assert no_task_is_left()
        error = run.branch_errors["mine"]
        assert isinstance(error, StageFailedError)
        assert error.stage == "mine"
        assert "branch_grace_s" in str(error)
        assert run.record is not None
        assert run.record.outcome is Outcome.OK
        assert sum(stage.errors for stage in run.record.stages if stage.name == "mine") == 1

    run_virtual(main())


def test_it_is_cut_off_while_the_caller_stays() -> None:
    async def main() -> None:
        build = with_branch([BODY], Hangs("feed"), required=False)
        async with build.build().run({}) as run:
            await run.result()
            async for _ in run:
                pass
            await asyncio.sleep(60)
            assert run.record is not None
            assert "mine" in run.branch_errors
            assert no_task_is_left()

    run_virtual(main())


@pytest.mark.parametrize("grace_s", [50.0, None])
def test_a_slow_one_may_finish(grace_s: float | None) -> None:
    async def main() -> None:
        step = Hangs("nowhere", each_s=40)
        script = [f"{word}\n".encode() for word in WORDS] + [b".\n"]
        build = with_branch(script, step, grace_s=grace_s, required=False)
        async with build.build().run({}) as run:
            assert await read(run, "iterate") == TEXT
            assert now_s() < 1
        assert step.text == TEXT + "END"
        assert now_s() > 1000
        assert not run.branch_errors

    run_virtual(main())


def test_one_that_waits_for_its_reader_is_no_hanging_one() -> None:
    async def main() -> None:
        script = [f"{word}\n".encode() for word in WORDS] + [b".\n"]
        settings: dict[str, Any] = {"readable": True, "required": False}
        step = Hangs("nowhere", each_s=1)
        build = with_branch(script, step, capacity=Capacity(max_items=30), **settings)
        async with build.build().run({}) as run:
            assert await read(run, "iterate") == TEXT
            await asyncio.sleep(500)
            words: list[Any] = [word async for word in run.branch("mine")]
        assert "".join(words) == TEXT
        assert not run.branch_errors

    run_virtual(main())


@where
@how
def test_a_required_one_fails_the_run(where: str, how: str) -> None:
    async def main() -> None:
        async with with_branch([BODY], Hangs(where)).build().run({}) as run:
            with pytest.raises(StageFailedError, match="branch_grace_s") as caught:
                await read(run, how)
            assert now_s() == pytest.approx(50, abs=1)
        assert caught.value.stage == "mine"
        assert caught.value.partial is not None
        assert caught.value.partial.text == TEXT
        assert run.outcome is Outcome.ERROR
        assert no_task_is_left()

    run_virtual(main())


@where
@how
def test_the_total_limit_counts_for_a_required_one(where: str, how: str) -> None:
    async def main() -> None:
        build = with_branch([BODY], Hangs(where), total_s=7, grace_s=None)
        async with build.build().run({}) as run:
            with pytest.raises(TotalTimeoutError, match="stage 'mine'") as caught:
                await read(run, how)
            assert now_s() == pytest.approx(7, abs=0.1)
        assert caught.value.stage == "mine"
        assert now_s() == pytest.approx(7.2, abs=0.1)
        assert run.record is not None
        assert run.record.outcome is Outcome.TIMEOUT
        assert no_task_is_left()

    run_virtual(main())


def test_the_total_limit_ends_an_optional_one() -> None:
    async def main() -> None:
        build = with_branch([BODY], Hangs("finish"), total_s=7, grace_s=None, required=False)
        async with build.build().run({}) as run:
            assert await read(run, "result") == TEXT
        assert now_s() == pytest.approx(7.2, abs=0.1)
        assert run.outcome is Outcome.OK
        assert "total_s" in str(run.branch_errors["mine"])

    run_virtual(main())


@how
@required
def test_the_total_limit_while_it_holds_the_provider_back(how: str, required: bool) -> None:
    async def main() -> None:
        script = [f"{word}\n".encode() for word in WORDS] + [b".\n"]
        tight = Capacity(max_items=2)
        build = with_branch(script, Hangs("feed"), total_s=7, required=required, capacity=tight)
        for name in ("parser", "normalizer", "fan-out"):
            build.capacity(name, tight)
        async with build.build().run({}) as run:
            with pytest.raises(TotalTimeoutError) as caught:
                await read(run, how)
            assert now_s() == pytest.approx(7, abs=0.1)
        assert caught.value.stage == "mine"
        assert caught.value.partial is not None
        assert TEXT.startswith(caught.value.partial.text)
        assert "mine" in run.branch_errors
        assert no_task_is_left()

    run_virtual(main())


@where
@how
@overflow
@required
def test_an_error_is_raised_at_once(
    where: str, how: str, overflow: Overflow, required: bool
) -> None:
    async def main() -> None:
        capacity = Capacity(max_items=2, overflow=overflow)
        settings: dict[str, Any] = {"required": required, "capacity": capacity}
        cases: list[tuple[Script, float | None, type[StreamError], float]] = [
            (SILENT, 5.0, IdleTimeoutError, 5.0),
            ([b"a\nb\n"], None, StreamCutError, 0.0),
        ]
        for script, idle_s, error_type, after_s in cases:
            from_s = now_s()
            build = with_branch(script, Hangs(where), idle_s=idle_s, **settings)
            async with build.build().run({}) as run:
                with pytest.raises(error_type) as caught:
                    await read(run, how)
                assert now_s() - from_s == pytest.approx(after_s, abs=0.1)
                assert caught.value.partial is not None
                assert caught.value.partial.text == "a b "
            assert run.record is not None
            assert run.record.error is caught.value
            assert no_task_is_left()

    run_virtual(main())


def test_leaving_early_waits_for_nothing() -> None:
    async def main() -> None:
        build = with_branch([BODY], Hangs("feed"), required=False)
        async with build.build().run({}) as run:
            async for _ in run:
                break
            run.cancel()
        async with build.build().run({}) as run:
            await read(run, "result")
            leaving = asyncio.create_task(run.aclose())
            await asyncio.sleep(1)
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
            assert run.record is not None
        assert now_s() < 2
        assert no_task_is_left()

    run_virtual(main())


@pytest.mark.parametrize("slow", [True, False], ids=["slow", "hangs"])
def test_a_cancel_behind_the_response_names_the_branch_that_it_cuts(slow: bool) -> None:
    async def main() -> None:
        step = Hangs("neither", each_s=30) if slow else Hangs("feed")
        async with with_branch([BODY], step, required=False).build().run({}) as run:
            await run.result()
            run.cancel()
        assert now_s() < 1
        assert no_task_is_left()
        error = run.branch_errors["mine"]
        assert isinstance(error, StageFailedError)
        assert "cancelled" in str(error)
        assert run.record is not None
        assert run.record.outcome is Outcome.OK
        assert sum(stage.errors for stage in run.record.stages if stage.name == "mine") == 1

    run_virtual(main())


def test_a_cancelled_caller_waits_no_longer_than_the_grace() -> None:
    async def main() -> None:
        run = with_branch([BODY], Hangs("feed"), required=False).build().run({})

        async def impatient() -> None:
            async with asyncio.timeout(5), run:
                await run.result()
                await asyncio.sleep(NEVER_S)

        with pytest.raises(TimeoutError):
            await impatient()
        assert now_s() == pytest.approx(5.2, abs=0.1)
        assert isinstance(run.branch_errors["mine"], StageFailedError)
        assert no_task_is_left()

    run_virtual(main())


def test_a_dropped_run_lets_its_branches_finish() -> None:
    async def main() -> None:
        step = Hangs("neither", each_s=30)

        async def answer() -> str:
            run = with_branch([BODY], step, required=False).build().run({})
            run.start()
            return str((await run.result()).text)

        assert await answer() == TEXT
        gc.collect()
        await asyncio.sleep(100)
        assert step.text == TEXT + "END"
        assert no_task_is_left()

    run_virtual(main())
