"""Token clocks where a response took more than one attempt: of one attempt, in order, never < 0."""

import asyncio
from typing import Any

import pytest

from tests.pipeline.lines import builder
from tokenline.errors import StreamCutError, StreamError
from tokenline.events import MessageEnd, PartEnd, Ping, Reset, TextDelta
from tokenline.meter import Meter
from tokenline.options import Capacity, Execution, Overflow, RunOptions
from tokenline.policy import AfterCommit, HedgePolicy, RetryPolicy
from tokenline.record import RunRecord
from tokenline.testing import ScriptedSource, Wait, run_virtual, virtual_clock
from tokenline_stages.consumer import reader

CUT = StreamCutError("cut")
GOOD: list[Any] = [Wait(0.05), b"a\n", Wait(0.03), b"b\n.\n"]
BEGUN: list[Any] = [Wait(0.02), b"x\n", Wait(0.04), b"y\n", Wait(0.01), CUT]
ENDS: dict[str, list[list[Any]]] = {
    "at once": [GOOD],
    "before content, then good": [[Wait(0.01), CUT], GOOD],
    "after content, then good": [BEGUN, GOOD],
    "after content, before content, then good": [BEGUN, [Wait(0.01), CUT], GOOD],
    "twice after content, then good": [BEGUN, BEGUN, GOOD],
    "after content, then an empty message": [BEGUN, [Wait(0.02), b".\n"]],
    "after content, never again": [BEGUN, [CUT], [CUT]],
    "always after content": [BEGUN, BEGUN, BEGUN],
    "never any content": [[CUT], [CUT], [CUT]],
}


def record_of(
    after: AfterCommit,
    scripts: list[list[Any]],
    execution: Execution = Execution.FUSED,
    body_s: float = 0.0,
    **options: Any,
) -> RunRecord:
    async def main() -> RunRecord:
        retry = RetryPolicy(attempts=3, jitter_s=0, initial_wait_s=0.1, after_commit=after)
        made = RunOptions(retry=retry, execution=execution, **options)
        build = builder(ScriptedSource(*scripts)).options(made).clock(virtual_clock())
        build.continue_with(lambda payload, so_far: {**payload, "so_far": so_far.text})
        async with build.build().run({}) as run:
            try:
                async for _ in run:
                    await asyncio.sleep(body_s)
            except StreamError:
                pass
        assert run.record is not None
        return run.record

    return run_virtual(main())


def offsets_ms(record: RunRecord) -> tuple[float | None, ...]:
    """Headers, chunk, token, answer and delivery after the request."""
    timings = record.timings
    stamps = (
        timings.headers_ns,
        timings.first_chunk_ns,
        timings.first_token_ns,
        timings.first_answer_ns,
        timings.first_delivery_ns,
    )
    seconds = [timings.since_request_s(stamp) for stamp in stamps]
    return tuple(None if each is None else round(each * 1e3, 3) for each in seconds)


@pytest.mark.parametrize("body_s", [0.0, 0.2])
@pytest.mark.parametrize("hedge", [None, HedgePolicy(after_s=0.03)])
@pytest.mark.parametrize("execution", Execution)
@pytest.mark.parametrize("after", AfterCommit)
@pytest.mark.parametrize("end", ENDS)
def test_times_to_first_are_in_order(
    end: str, after: AfterCommit, execution: Execution, hedge: HedgePolicy | None, body_s: float
) -> None:
    record = record_of(after, ENDS[end] + [[CUT]] * 6, execution, body_s, hedge=hedge)
    times = [each for each in offsets_ms(record) if each is not None]
    assert times == sorted(times)
    assert all(each >= 0 for each in times)
    timings = record.timings
    if timings.first_token_ns is not None:
        assert timings.last_token_ns is not None
        assert timings.first_token_ns <= timings.last_token_ns <= timings.ended_ns
        span_ns = timings.last_token_ns - timings.first_token_ns
        assert record.gaps.count == record.chunks - 1
        assert record.gaps.mean_ns * record.gaps.count == pytest.approx(span_ns, abs=9)


def test_a_restarted_response_is_measured_from_its_own_request() -> None:
    record = record_of(AfterCommit.RESTART, [BEGUN, GOOD])
    assert offsets_ms(record) == (0, 50, 50, 50, 50)
    assert record.chunks == 2
    assert (record.gaps.count, record.gaps.max_ns) == (1, 30_000_000)


def test_a_continued_response_is_measured_from_the_first_request() -> None:
    record = record_of(AfterCommit.CONTINUE, [BEGUN, GOOD])
    assert offsets_ms(record) == (0, 20, 20, 20, 20)
    assert record.chunks == 4
    # 40 ms, then 10 until the cut, 100 of waiting and 50 for the next attempt, then 30.
    assert (record.gaps.count, record.gaps.max_ns) == (3, 160_000_000)


def test_a_restart_that_gave_nothing_leaves_the_first_attempts_clocks() -> None:
    record = record_of(AfterCommit.RESTART, [BEGUN, [Wait(0.01), CUT], [CUT]])
    assert offsets_ms(record) == (0, 20, 20, 20, 20)
    assert record.chunks == 2


def test_an_empty_restart_has_no_token() -> None:
    record = record_of(AfterCommit.RESTART, ENDS["after content, then an empty message"])
    assert offsets_ms(record) == (0, 20, None, None, None)
    assert record.chunks == 0
    assert record.timings.last_token_ns is None


@pytest.mark.parametrize(("most", "overflow"), [(64, Overflow.BLOCK), (5, Overflow.CONFLATE)])
def test_delivery_counts_from_the_reset_on(most: int, overflow: Overflow) -> None:
    async def main() -> float | None:
        retry = RetryPolicy(
            attempts=2, jitter_s=0, initial_wait_s=0.1, after_commit=AfterCommit.RESTART
        )
        slow = reader("slow", Capacity(max_items=most, overflow=overflow))
        build = builder(ScriptedSource(BEGUN, GOOD)).fan_out(slow)
        line = build.options(RunOptions(retry=retry)).clock(virtual_clock()).build()
        async with line.run({}) as run:
            branch = run.branch("slow")
            await anext(branch)
            await asyncio.sleep(1)
            events = [type(event) async for event in branch]
            assert Reset in events
            return (await run.result()).timings.time_to_first_delivery_s

    # Both attempts were over long ago when the second one's content was read, at 1 s.
    delivered_s = run_virtual(main())
    assert delivered_s is not None
    assert delivered_s > 0.7


def test_a_meter_starts_anew_inside_a_batch() -> None:
    meter = Meter()
    meter.observe([TextDelta(0, 1, "m", 0, "old")], 1)
    old, new = TextDelta(1, 5, "m", 0, "old"), TextDelta(3, 9, "m", 0, "new")
    meter.observe([old, Reset(2, 7, "m", 2), new, new], 9)
    assert (meter.chunks, meter.first_token_ns, meter.last_token_ns) == (2, 9, 9)
    assert (meter.gaps.count, meter.gaps.max_ns) == (1, 0)


def test_a_reset_alone_is_no_chunk() -> None:
    meter = Meter()
    meter.observe([Reset(0, 7, "m", 2)], 7)
    meter.observe([Ping(1, 8, "m")], 8)
    assert meter.first_chunk_ns is None
    meter.observe([PartEnd(2, 9, "m", 0), MessageEnd(3, 9, "m")], 9)
    assert meter.first_chunk_ns == 9
