"""A run under random interleavings of what the provider, its readers and its owner may do."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.pipeline.lines import builder
from tests.pipeline.live_source import LiveSource
from tokenline.errors import RunCancelledError, ServerError, StreamCutError, StreamError, UsageError
from tokenline.events import Event, TextDelta
from tokenline.options import Capacity, Execution, Overflow, RunOptions
from tokenline.policy import Leaving, OnLeave
from tokenline.record import Outcome, RunRecord
from tokenline.run import Run
from tokenline.telemetry.hook import NoTelemetry
from tokenline.testing import Recorder, VirtualLoop, settle, virtual_clock
from tokenline_stages.consumer import reader
from tokenline_stages.fanout import sink
from tokenline_stages.trace_emitter import TraceEmitter

DROPPING = (Overflow.DROP_NEWEST, Overflow.DROP_OLDEST, Overflow.CONFLATE, Overflow.FAIL)
ENDINGS = (StreamError, UsageError)


class RunMachine(RuleBasedStateMachine):
    """One run with a consumer, an accumulator, a second reader and a slow sink.

    The side branches are optional and never wait for room, so that the consumer's demand alone
    decides how far the provider is read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.run_: Run | None = None
        self.words = 0
        self.provider_done = False
        self.received: list[Event] = []
        self.side: list[Event] = []
        self.records: list[RunRecord] = []
        self.tasks: dict[str, asyncio.Task[Any]] = {}
        self.ends: dict[str, BaseException | None] = {}
        self.cancelled = self.left = False

    @initialize(
        execution=st.sampled_from(list(Execution)),
        pushes=st.booleans(),
        items=st.sampled_from((1, 3, 256)),
        overflow=st.sampled_from(DROPPING),
        action=st.sampled_from(list(OnLeave)),
        sink_s=st.sampled_from((0.0, 5.0)),
        sink_fails=st.sampled_from((None, None, 0, 3)),
        first_words=st.sampled_from((0, 8, 20, 20)),
    )
    def start(
        self,
        execution: Execution,
        pushes: bool,
        items: int,
        overflow: Overflow,
        action: OnLeave,
        sink_s: float,
        sink_fails: int | None,
        first_words: int,
    ) -> None:
        async def start() -> Run:
            self.source = LiveSource(pushes=pushes)
            self.slow = Recorder("slow", batch_s=sink_s, fails_after=sink_fails)
            side = Capacity(max_items=items, overflow=overflow)
            options = RunOptions(
                execution=execution, leaving=Leaving(action=action, max_s=60.0), end_grace_s=1.0
            )
            build = builder(self.source).options(options).clock(virtual_clock())
            build.branch(reader("side", side)).branch(sink(self.slow.stage, side))
            for name in ("parser", "normalizer", "fan-out", "consumer"):
                build.capacity(name, Capacity(max_items=items))
            run = build.trace(TraceEmitter(NoTelemetry(), self.records.append)).build().run({})
            run.start()
            return run

        self.lossless = items >= 256
        self.action = action
        self.run_ = self.runner.run(start())
        if first_words:
            self.source.headers.set()
            self.send_words(first_words, True)
            self.rest(0.0)

    @property
    def run(self) -> Run:
        assert self.run_ is not None
        return self.run_

    # --- the provider ----------------------------------------------------------------------

    @precondition(lambda self: not self.source.headers.is_set())
    @rule(refuses=st.sampled_from((False, True)))
    def answer(self, refuses: bool) -> None:
        if refuses:
            self.source.refusal = ServerError("the test's provider refuses")
            self.provider_done = True
        self.source.headers.set()

    def say(self, what: bytes | BaseException) -> None:
        async def say() -> None:
            self.source.stream.send(what)

        self.runner.run(say())

    @precondition(lambda self: not self.provider_done)
    @rule(count=st.integers(1, 12), apart=st.booleans())
    def speak(self, count: int, apart: bool) -> None:
        self.send_words(count, apart)

    def send_words(self, count: int, apart: bool) -> None:
        lines = [f"{n}\n".encode() for n in range(self.words, self.words + count)]
        self.words += count
        for body in lines if apart else [b"".join(lines)]:
            self.say(body)

    @precondition(lambda self: not self.provider_done and self.words > 15)
    @rule(how=st.sampled_from(("well", "without a dot", "cut", "bad line", "hanging body")))
    def end_response(self, how: str) -> None:
        self.provider_done = True
        if how in ("well", "hanging body"):
            self.say(b".\n")
        if how == "bad line":
            self.say(b"!\n")
        if how == "cut":
            self.say(StreamCutError("the test's provider is gone"))
        elif how != "hanging body":
            self.say(b"")

    # --- readers ---------------------------------------------------------------------------

    def begin(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        async def begin() -> None:
            self.tasks[name] = asyncio.create_task(work)

        self.runner.run(begin())

    @precondition(lambda self: "read" not in self.tasks)
    @rule(count=st.integers(1, 12), pause_s=st.sampled_from((0.0, 0.0, 2.0)))
    def read(self, count: int, pause_s: float) -> None:
        self.begin("read", self.take(self.run, self.received, count, pause_s))

    @precondition(lambda self: "read" not in self.tasks)
    @rule(count=st.integers(1, 12))
    def read_and_rest(self, count: int) -> None:
        self.read(count, 0.0)
        self.rest(0.0)

    @precondition(lambda self: "side" not in self.tasks)
    @rule(count=st.integers(1, 12))
    def read_side(self, count: int) -> None:
        self.begin("side", self.take(self.run.branch("side"), self.side, count, 0.0))

    @staticmethod
    async def take(events: Any, into: list[Event], count: int, pause_s: float) -> None:
        for _ in range(count):
            into.append(await anext(events))
            await asyncio.sleep(pause_s)

    @precondition(lambda self: "result" not in self.tasks)
    @rule()
    def ask_for_result(self) -> None:
        self.begin("result", self.run.result())

    @precondition(lambda self: self.tasks)
    @rule(data=st.data())
    def cancel_a_task(self, data: st.DataObject) -> None:
        self.tasks[data.draw(st.sampled_from(sorted(self.tasks)))].cancel()

    @rule()
    def look(self) -> None:
        text = self.run.snapshot().text
        assert self.said.startswith(text)

    # --- the owner -------------------------------------------------------------------------

    @precondition(lambda self: self.words > 24)
    @rule()
    def cancel_run(self) -> None:
        async def cancel() -> None:
            self.run.cancel()

        self.cancelled = True
        self.runner.run(cancel())

    @precondition(lambda self: self.words > 24 and "close" not in self.tasks)
    @rule()
    def leave(self) -> None:
        self.left = True
        self.begin("close", self.run.aclose())

    # --- time ------------------------------------------------------------------------------

    @rule(turns=st.integers(1, 4))
    def turn(self, turns: int) -> None:
        async def turn() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        self.runner.run(turn())
        self.collect()

    @rule(seconds=st.sampled_from((0.0, 0.5, 3.0, 100.0)))
    def rest(self, seconds: float) -> None:
        async def rest() -> None:
            await asyncio.sleep(seconds)
            await settle()

        self.runner.run(rest())
        self.collect()

    def collect(self) -> None:
        for name, task in list(self.tasks.items()):
            if task.done():
                del self.tasks[name]
                error = None if task.cancelled() else task.exception()
                assert error is None or isinstance(error, (*ENDINGS, StopAsyncIteration)), error
                self.ends[name] = error

    # --- what holds at all times -----------------------------------------------------------

    @property
    def said(self) -> str:
        return "".join(f"{n} " for n in range(self.words))

    @invariant()
    def the_consumer_gets_each_event_once_and_in_order(self) -> None:
        assert [event.seq for event in self.received] == list(range(len(self.received)))
        assert self.said.startswith(_text(self.received))

    @invariant()
    def side_readers_get_them_in_order(self) -> None:
        for seen in (self.side, getattr(self, "slow", Recorder()).items):
            numbers = [event.seq for event in seen]
            assert numbers == sorted(set(numbers))

    @invariant()
    def it_is_told_once(self) -> None:
        assert len(self.records) <= 1
        if self.records:
            assert self.run.outcome is not None

    # --- the end ---------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            if self.run_ is not None:
                self.check_end()
        finally:
            self.runner.close()

    def check_end(self) -> None:
        self.source.headers.set()
        if not self.provider_done:
            self.end_response("well")
        for task in self.tasks.values():
            task.cancel()
        self.rest(0.0)
        if "close" not in self.tasks:
            self.begin("close", self.run.aclose())
        self.rest(1000.0)
        assert self.tasks == {}, "it does not close"
        self.runner.run(self.check_nothing_is_left())
        (record,) = self.records
        assert record.outcome is self.run.outcome
        assert self.said.startswith(self.run.snapshot().text)
        if record.outcome is Outcome.OK:
            assert self.run.snapshot().text == self.said
            assert self.run.error is None
        elif record.outcome is Outcome.CANCELLED:
            late = self.slow.batch_s > 0  # draining takes longer than it may
            assert self.cancelled or self.left or late or self.action is OnLeave.CANCEL
        else:
            assert isinstance(self.run.error, StreamError)
            assert not isinstance(self.run.error, RunCancelledError)

    async def check_nothing_is_left(self) -> None:
        left = {task.get_name() for task in asyncio.all_tasks()}
        assert not any(name.startswith("tokenline") for name in left), left
        assert self.source.stream.closed == self.source.opened


def _text(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def test_run() -> None:
    run_state_machine_as_test(
        RunMachine, settings=settings(max_examples=150, stateful_step_count=40, deadline=None)
    )
