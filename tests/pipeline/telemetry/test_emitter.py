"""The emitter: bounded, in slices, on the loop or by flush, exactly once."""

import asyncio
import gc
import os
import threading
import time
from collections.abc import Iterator

import pytest

from tokenline.telemetry.emitter import Emitter


def steps(done: list[object], name: object, count: int = 1, busy_ns: int = 0) -> Iterator[None]:
    for _ in range(count):
        end_ns = time.perf_counter_ns() + busy_ns
        while time.perf_counter_ns() < end_ns:
            pass
        done.append(name)
        yield


def test_flush_does_the_work_in_order() -> None:
    emitter, done = Emitter(), list[object]()
    emitter.submit(steps(done, "a", 2))
    emitter.submit(steps(done, "b"))
    assert done == []
    assert emitter.flush(1.0)
    assert done == ["a", "a", "b"]
    assert len(emitter) == 0


def test_overflow_is_counted_and_keeps_what_is_there() -> None:
    emitter, done = Emitter(capacity=2), list[object]()
    assert [emitter.submit(steps(done, name)) for name in "abcd"] == [True, True, False, False]
    assert emitter.dropped == 2
    assert emitter.flush(1.0)
    assert done == ["a", "b"]
    assert emitter.submit(steps(done, "e"))
    emitter.close(1.0)


def test_loop_does_the_work_without_a_task() -> None:
    emitter, done = Emitter(), list[object]()

    async def main() -> None:
        emitter.submit(steps(done, "a", 3))
        while len(emitter):
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert done == ["a"] * 3
    emitter.close(1.0)


def test_other_tasks_have_their_turn_between_slices() -> None:
    """10 ms of work in steps of 50 us: the loop is never held for long."""
    emitter, done = Emitter(), list[object]()
    laps_ns = list[int]()

    async def main() -> None:
        emitter.submit(steps(done, "a", 200, busy_ns=50_000))
        while len(emitter):
            before_ns = time.perf_counter_ns()
            await asyncio.sleep(0)
            laps_ns.append(time.perf_counter_ns() - before_ns)

    asyncio.run(main())
    assert len(done) == 200
    assert len(laps_ns) >= 50
    assert sorted(laps_ns)[len(laps_ns) // 2] < 1_000_000
    emitter.close(1.0)


def test_what_a_loop_left_is_done_by_the_next() -> None:
    emitter, done = Emitter(), list[object]()

    async def leave() -> None:
        emitter.submit(steps(done, "a", 100, busy_ns=50_000))

    asyncio.run(leave())
    assert len(emitter) == 1

    async def work() -> None:
        emitter.submit(steps(done, "b"))
        while len(emitter):
            await asyncio.sleep(0)

    asyncio.run(work())
    assert done == ["a"] * 100 + ["b"]
    emitter.close(1.0)


def test_flush_beside_a_running_loop_does_each_step_once() -> None:
    emitter, done = Emitter(), list[object]()
    for number in range(300):
        emitter.submit(steps(done, number, 2))

    async def main() -> None:
        emitter.submit(steps(done, 300, 2))
        assert await asyncio.to_thread(emitter.flush, 5.0)

    asyncio.run(main())
    assert done == [number for number in range(301) for _ in range(2)]
    emitter.close(1.0)


def test_failing_work_is_logged_and_costs_the_others_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    emitter, done = Emitter(), list[object]()

    def failing() -> Iterator[None]:
        yield
        raise RuntimeError("exporter broke")

    emitter.submit(failing())
    emitter.submit(steps(done, "b"))
    assert emitter.flush(1.0)
    assert done == ["b"]
    assert "exporter broke" in caplog.text
    emitter.close(1.0)


def interrupting() -> Iterator[None]:
    yield
    raise KeyboardInterrupt


def test_an_interrupt_in_a_slice_leaves_the_rest_to_the_loop() -> None:
    emitter, done = Emitter(), list[object]()

    async def main() -> None:
        emitter.submit(interrupting())
        emitter.submit(steps(done, "b"))
        await asyncio.sleep(0)

    async def go_on() -> None:
        while emitter:
            await asyncio.sleep(0)

    loop = asyncio.new_event_loop()
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(main())
    loop.run_until_complete(go_on())
    loop.close()
    assert done == ["b"]
    emitter.close(1.0)


def test_an_interrupt_at_exit_is_told_when_all_is_done() -> None:
    emitter, done = Emitter(), list[object]()
    for name in ("a", "b"):
        emitter.submit(interrupting())
        emitter.submit(steps(done, name))
    with pytest.raises(KeyboardInterrupt):
        emitter._flush_at_exit()
    assert done == ["a", "b"]
    emitter.close(1.0)


def test_flush_keeps_its_deadline() -> None:
    emitter = Emitter()

    def endless() -> Iterator[None]:
        while True:
            yield

    emitter.submit(endless())
    before = time.monotonic()
    assert not emitter.flush(0.05)
    assert time.monotonic() - before < 1.0
    emitter._queue.clear()
    emitter.close(1.0)


def test_flush_on_top_of_a_slice_of_its_own_thread_gives_up() -> None:
    """As from a signal handler that interrupts a slice."""
    emitter, answers = Emitter(), list[bool]()

    def interrupted() -> Iterator[None]:
        answers.append(emitter.flush(0.02))
        yield

    emitter.submit(interrupted())
    assert emitter.flush(5.0)
    assert answers == [False]
    emitter.close(1.0)


def test_submit_from_the_garbage_collector_inside_a_slice() -> None:
    emitter, done = Emitter(), list[object]()

    class Abandoned:
        def __del__(self) -> None:
            emitter.submit(steps(done, "abandoned"))

    def collecting() -> Iterator[None]:
        cycle = [Abandoned()]
        cycle.append(cycle)  # type: ignore[arg-type]
        del cycle
        gc.collect()
        done.append("collected")
        yield

    emitter.submit(collecting())
    assert emitter.flush(30.0)
    assert done == ["collected", "abandoned"]
    emitter.close(1.0)


def test_many_threads_submit() -> None:
    emitter, done = Emitter(capacity=10_000), list[object]()

    def submit_many(name: int) -> None:
        for _ in range(500):
            emitter.submit(steps(done, name))

    threads = [threading.Thread(target=submit_many, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        emitter.flush(0.001)
    assert emitter.flush(5.0)
    assert sorted(map(str, done)) == sorted(str(name) for name in range(4) for _ in range(500))
    emitter.close(1.0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_leaves_the_work_to_its_parent() -> None:
    emitter, done = Emitter(), list[object]()
    emitter.submit(steps(done, "a"))
    child = os.fork()
    if child == 0:
        os._exit(len(emitter))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert emitter.flush(1.0)
    assert done == ["a"]
    emitter.close(1.0)
