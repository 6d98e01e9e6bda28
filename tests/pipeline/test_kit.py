"""The conformance kit finds what is wrong with a stage, and names the right rule."""

import asyncio
import gc
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar
from unittest import SkipTest

import pytest

from tests.pipeline.lines import BODY, builder, normalizer, parser
from tokenline.errors import MalformedStreamError, StreamCutError
from tokenline.events import Event, TextDelta
from tokenline.options import Capacity
from tokenline.stage import RawChunk, Stage, StageSpec, StepContext
from tokenline.testing import (
    STAGE_RULES,
    Probe,
    Recorder,
    RuleBrokenError,
    Sample,
    ScriptedSource,
    StageCase,
    StageSuite,
    StuckError,
    Wait,
    check_stage,
    find_broken_rules,
    run_virtual,
    virtual_clock,
)
from tokenline_stages.fanout import sink


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> Iterator[None]:
    """What the suite holds already is left out of the kit's collections."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


WORDS = [f"word-{number}" for number in range(12)]


class Step:
    """Shouts."""

    def feed(self, items: Sequence[str], recv_ns: int, out: list[str]) -> None:
        out.extend(item.upper() for item in items)

    def finish(self, recv_ns: int, out: list[str]) -> None:
        return


class AsyncStep:
    async def feed(self, items: Sequence[str], recv_ns: int, out: list[str]) -> None:
        await asyncio.sleep(0.5)
        out.extend(item.upper() for item in items)

    async def finish(self, recv_ns: int, out: list[str]) -> None:
        return


def stage(opener: Callable[[], Any], name: str = "shout") -> StageSpec:
    return StageSpec(name, str, str, lambda context: opener())


def case(opener: Callable[[], Any], *samples: Sample) -> StageCase:
    return StageCase(
        stage(opener),
        samples or (Sample(WORDS),),
        long=lambda count: [f"word-{number}" for number in range(count)],
    )


# --- stages that keep the rules --------------------------------------------------------------


class TestShout(StageSuite):
    case = case(Step)


class TestAsyncShout(StageSuite):
    case = case(AsyncStep)


class TestLineParser(StageSuite):
    case = StageCase(
        parser,
        [
            Sample([RawChunk(BODY)]),
            Sample([RawChunk(b"one\ntwo")], gives=["one", "two"]),
            Sample([RawChunk(b"one\n!\ntwo\n")], gives=["one"], fails=MalformedStreamError),
        ],
        long=lambda count: [RawChunk(b"word\n")] * count,
    )


class TestLineNormalizer(StageSuite):
    case = StageCase(
        normalizer,
        [Sample(["a", "b", "."]), Sample(["a", "b"], fails=StreamCutError)],
        long=lambda count: ["word"] * count,
    )


def test_a_suite_has_one_test_for_each_rule() -> None:
    names = {name for name in dir(TestShout) if name.startswith("test_")}
    assert names == {f"test_{rule}" for rule in STAGE_RULES}
    assert all(rule.text for rule in STAGE_RULES)


def test_check_stage_in_one_line() -> None:
    check_stage(stage(Step), Sample(WORDS, gives=[word.upper() for word in WORDS]))


# --- stages that break one -------------------------------------------------------------------


class SplitsEachChunk(Step):
    """Cuts lines in every chunk by itself."""

    def feed(self, items: Sequence[Any], recv_ns: int, out: list[str]) -> None:
        for item in items:
            out.extend(line.decode() for line in item.data.split(b"\n") if line)


class LosesOnError(Step):
    """Collects first, gives afterwards: what came before the bad word is lost."""

    def feed(self, items: Sequence[str], recv_ns: int, out: list[str]) -> None:
        made = [self._make(item) for item in items]
        out.extend(made)

    def _make(self, item: str) -> str:
        if item == "bad":
            raise MalformedStreamError("a bad word")
        return item.upper()


class SharesState(Step):
    """Numbers words; all runs count together."""

    count: ClassVar[list[int]] = [0]

    def __init__(self) -> None:
        self.count[0] = 0

    def feed(self, items: Sequence[str], recv_ns: int, out: list[str]) -> None:
        for item in items:
            self.count[0] += 1
            out.append(f"{self.count[0]} {item}")


class EatsItsInput(Step):
    """Empties the batch that other branches share."""

    def feed(self, items: Any, recv_ns: int, out: list[str]) -> None:
        while items:
            out.append(items.pop(0).upper())


class ClearsOut(Step):
    """Empties `out` before it gives."""

    def feed(self, items: Sequence[str], recv_ns: int, out: list[str]) -> None:
        out.clear()
        out.extend(items)


class GivesLater(AsyncStep):
    """Goes on after its call has returned."""

    async def feed(self, items: Sequence[str], recv_ns: int, out: list[str]) -> None:
        self.task = asyncio.create_task(self._give(items, out))
        await asyncio.sleep(1.0)

    async def _give(self, items: Sequence[str], out: list[str]) -> None:
        await asyncio.sleep(2.0)
        out.extend(items)


class KeepsOut(Step):
    """Gives into the list of the call before."""

    def __init__(self) -> None:
        self.out: list[str] = []

    def feed(self, items: Sequence[str], recv_ns: int, out: list[str]) -> None:
        super().feed(items, recv_ns, out)
        self.out.append("late")
        self.out = out


class WaitsForInput(AsyncStep):
    """Without input it never ends."""

    def __init__(self) -> None:
        self.any = asyncio.Event()

    async def feed(self, items: Sequence[str], recv_ns: int, out: list[str]) -> None:
        self.any.set()
        out.extend(items)

    async def finish(self, recv_ns: int, out: list[str]) -> None:
        await self.any.wait()


class ForgetsTheRest(Step):
    """Gives words by fives; the rest stays inside."""

    def __init__(self) -> None:
        self.held: list[str] = []

    def feed(self, items: Sequence[str], recv_ns: int, out: list[str]) -> None:
        for item in items:
            self.held.append(item)
            if len(self.held) == 5:
                out.extend(self.held)
                self.held = []


class Hoards(Step):
    """Keeps every word for no reason."""

    def __init__(self) -> None:
        self.seen = ""

    def feed(self, items: Sequence[str], recv_ns: int, out: list[str]) -> None:
        for item in items:
            self.seen += item
        out.extend(items)


class Recurses(Step):
    """One stack frame for each item."""

    def feed(self, items: Sequence[str], recv_ns: int, out: list[str]) -> None:
        if items:
            out.append(items[0])
            self.feed(items[1:], recv_ns, out)


class IsKept(Step):
    """Registers itself and is never let go."""

    all: ClassVar[list[Any]] = []

    def __init__(self) -> None:
        self.all.append(self)


class SwallowsCancel(AsyncStep):
    """Takes a cancel for a bad word."""

    async def feed(self, items: Sequence[str], recv_ns: int, out: list[str]) -> None:
        for item in items:
            try:
                await asyncio.sleep(1.0)
            except asyncio.CancelledError:
                continue
            out.append(item)


class LeavesATask(AsyncStep):
    """Starts a task that nobody ends."""

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None

    async def feed(self, items: Sequence[str], recv_ns: int, out: list[str]) -> None:
        self.task = self.task or asyncio.create_task(asyncio.sleep(1e9))
        out.extend(items)


class MindsTheTask(Step):
    """Gives something else in another task."""

    def feed(self, items: Sequence[str], recv_ns: int, out: list[str]) -> None:
        try:
            name = str(asyncio.current_task().get_name())  # type: ignore[union-attr]
        except RuntimeError:
            name = "none"
        out.extend("queued" if name == "shout" else item for item in items)


class RaisesInFail(Step):
    def fail(self, error: BaseException, recv_ns: int, out: list[str]) -> None:
        raise RuntimeError("not now")


class Misnumbers(Step):
    """Begins with number 1."""

    def __init__(self) -> None:
        self.seq = 0

    def feed(self, items: Sequence[str], recv_ns: int, out: list[Any]) -> None:
        for item in items:
            self.seq += 1
            out.append(TextDelta(self.seq, recv_ns, "message-kit", 0, item))


BAD_WORD = Sample([*WORDS[:4], "bad", *WORDS], fails=MalformedStreamError)
LINES = Sample([RawChunk(b"\n".join(word.encode() for word in WORDS) + b"\n")])

BROKEN: list[tuple[StageCase, set[str]]] = [
    (case(Step, Sample(WORDS, gives=WORDS)), {"ends_as_the_samples_say"}),
    (case(LosesOnError, BAD_WORD, Sample(WORDS)), {"keeps_what_came_before_a_raise"}),
    (case(SharesState), {"every_run_has_a_step_of_its_own"}),
    (case(EatsItsInput), {"leaves_its_input_alone"}),
    (case(ClearsOut), {"leaves_its_input_alone"}),
    (case(KeepsOut), {"gives_nothing_after_its_end"}),
    (
        case(GivesLater),
        {"gives_nothing_after_its_end", "can_be_cancelled", "leaves_no_task"},
    ),
    (case(WaitsForInput), {"ends_without_input"}),
    (case(RaisesInFail), {"hears_of_a_failure"}),
    (case(Misnumbers), {"numbers_its_events"}),
    (case(ForgetsTheRest), {"holds_nothing_back_at_the_end"}),
    (case(Hoards), {"memory_is_bounded"}),
    (case(Recurses), {"takes_long_input"}),
    (case(IsKept), {"forgets_a_run_that_is_over", "stops_when_dropped"}),
    (case(SwallowsCancel), {"can_be_cancelled"}),
    (case(LeavesATask), {"leaves_no_task"}),
    (case(MindsTheTask), {"fused_equals_queued"}),
]


@pytest.mark.parametrize(("broken", "rules"), BROKEN, ids=[min(rules) for _, rules in BROKEN])
def test_a_broken_stage_breaks_its_rule(broken: StageCase, rules: set[str]) -> None:
    found = find_broken_rules(broken)
    assert {each.rule for each in found} == rules, [str(each) for each in found]


def test_a_rule_that_does_not_apply_is_skipped() -> None:
    (rule,) = [each for each in STAGE_RULES if each.name == "can_be_cancelled"]
    with pytest.raises(SkipTest, match="does not await"):
        rule.check(case(Step))


def test_check_stage_raises_the_first_broken_rule() -> None:
    with pytest.raises(RuleBrokenError, match=r"'shout' breaks the rule 'holds_nothing_back") as e:
        check_stage(stage(ForgetsTheRest), Sample(WORDS))
    assert e.value.rule == "holds_nothing_back_at_the_end"


# --- the other doubles -----------------------------------------------------------------------

SLOW: list[bytes | Wait] = [b"a\n", Wait(5), b"b\n", Wait(5), b".\n"]


def test_a_probe_takes_what_it_asks_for() -> None:
    async def main() -> None:
        source = ScriptedSource(SLOW)
        async with builder(source).clock(virtual_clock()).build().run({}) as run:
            probe: Probe[Event] = Probe(run)
            start, first = await probe.request(2)
            assert (start.seq, first.seq) == (0, 1)
            await probe.expect_none(4.0)
            (second,) = await probe.request()
            assert isinstance(second, TextDelta)
            assert second.text == "b "
            with pytest.raises(AssertionError, match="expected the end"):
                await probe.expect_end()
            await probe.expect_end()
            assert len(probe.received) == 4

    run_virtual(main())


def test_a_probe_is_the_only_demand() -> None:
    async def main() -> None:
        source = ScriptedSource([*(b"word\n" for _ in range(100)), b".\n"])
        build = builder(source).clock(virtual_clock())
        for name in ("parser", "normalizer", "fan-out", "consumer"):
            build.capacity(name, Capacity(max_items=1))
        async with build.build().run({}) as run:
            probe: Probe[Event] = Probe(run)
            for asked in (1, 5, 20):
                await probe.request(asked)
                await asyncio.sleep(60)
                # What is under way: one batch in each queue and one held in front of it.
                assert source.streams[0].reads <= len(probe.received) + 8
            await probe.request(102 - len(probe.received))
            await probe.expect_end()

    run_virtual(main())


def test_what_a_probe_did_not_get_fails_the_test() -> None:
    async def main() -> None:
        source = ScriptedSource([b"a\n", StreamCutError("cut")])
        async with builder(source).clock(virtual_clock()).build().run({}) as run:
            probe: Probe[Event] = Probe(run)
            with pytest.raises(ValueError, match="at least 1"):
                await probe.request(0)
            with pytest.raises(AssertionError, match="expected nothing"):
                await probe.expect_none()
            await probe.request()
            with pytest.raises(AssertionError, match="expected StreamCutError, got TextDelta"):
                await probe.expect_error(StreamCutError)
            with pytest.raises(AssertionError, match="got 0"):
                await probe.request(2)
        async with builder(source).clock(virtual_clock()).build().run({}) as run:
            probe = Probe(run)
            await probe.request(2)
            error = await probe.expect_error(StreamCutError)
            assert error.partial is not None
            await probe.aclose()

    run_virtual(main())


def test_a_recorder_is_a_slow_or_failing_sink() -> None:
    async def main() -> None:
        slow = Recorder("slow", batch_s=10.0)
        bad = Recorder("bad", fails_after=1)
        build = builder(ScriptedSource(SLOW)).clock(virtual_clock())
        build.branch(sink(slow.stage)).branch(sink(bad.stage))
        async with build.build().run({}) as run:
            assert (await run.result()).text == "a b "
            assert set(run.branch_errors) == {"bad"}
        assert [event.seq for event in slow.items] == [0, 1, 2, 3]
        assert slow.finished == 1
        assert len(bad.batches) == 1

    run_virtual(main())


def test_a_recorder_hears_of_a_failure() -> None:
    async def main() -> None:
        recorder = Recorder()
        build = builder(ScriptedSource([b"a\n", StreamCutError("cut")])).clock(virtual_clock())
        build.branch(sink(recorder.stage))
        async with build.build().run({}) as run:
            with pytest.raises(StreamCutError):
                await run.result()
        assert recorder.finished == 0
        assert [type(error) for error in recorder.errors] == [StreamCutError]

    run_virtual(main())


def test_a_virtual_loop_says_when_it_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokenline.testing.loop._PATIENCE_S", 0.05)

    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(StuckError, match="nothing can happen any more"):
        run_virtual(main())


def test_a_virtual_loop_waits_for_threads() -> None:
    async def main() -> int:
        return await asyncio.to_thread(lambda: 5)

    assert run_virtual(main()) == 5


def test_typing_of_the_kit() -> None:
    """Stages of any kind are taken: the protocol is structural."""

    class Own:
        name = "own"
        inlet = outlet = str

        def open(self, context: StepContext) -> Any:
            return Step()

    own: Stage[str, str] = Own()
    check_stage(own, Sample(WORDS))
