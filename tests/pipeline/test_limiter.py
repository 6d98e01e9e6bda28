"""The limiter by itself: who goes when, what a cancel gives back, draining, closed loops."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tokenline.admission import Gate
from tokenline.errors import UsageError
from tokenline.limiter import Bounds, Limiter
from tokenline.testing import VirtualLoop, run_virtual, settle


def now_s() -> float:
    return asyncio.get_running_loop().time()


class Log:
    """When each request went, from the start of the log, by its name."""

    def __init__(self, limiter: Limiter) -> None:
        self.limiter = limiter
        self.from_s = now_s()
        self.went_s: dict[str, float] = {}

    async def request(self, name: str, hold_s: float = 0) -> None:
        """`name` is the provider's and a number: `openai 3`."""
        async with self.limiter.slot(name.split()[0]):
            self.went_s[name] = now_s() - self.from_s
            await asyncio.sleep(hold_s)


@asynccontextmanager
async def held(limiter: Limiter, provider: str = "x") -> AsyncIterator[None]:
    """A request under way for as long as the block lasts."""
    async with limiter.slot(provider):
        yield


def test_a_provider_that_is_full_holds_up_nobody_else() -> None:
    async def main() -> None:
        log = Log(Limiter(Bounds(max_streams=4), {"openai": Bounds(max_streams=1)}))
        names = [f"openai {n}" for n in range(8)] + [f"groq {n}" for n in range(4)]
        await asyncio.gather(*(log.request(name, 1) for name in names))
        assert [log.went_s[f"openai {n}"] for n in range(8)] == pytest.approx(list(range(8)))
        assert [log.went_s[f"groq {n}"] for n in range(4)] == pytest.approx([0, 0, 0, 1])

    run_virtual(main())


def test_the_common_rate_is_not_used_up_by_those_who_cannot_go() -> None:
    async def main() -> None:
        log = Log(Limiter(Bounds(requests_per_s=1), {"openai": Bounds(max_streams=1)}))
        names = ["openai 0", "openai 1", "openai 2", "groq 0", "groq 1"]
        await asyncio.gather(*(log.request(name, 10) for name in names))
        assert list(log.went_s.values()) == pytest.approx([0, 1, 2, 10, 20])
        assert list(log.went_s) == ["openai 0", "groq 0", "groq 1", "openai 1", "openai 2"]

    run_virtual(main())


def test_a_providers_rate_holds_up_nobody_else() -> None:
    async def main() -> None:
        own = {"openai": Bounds(requests_per_s=0.1)}
        log = Log(Limiter(Bounds(max_streams=1), own))
        names = ["openai 0", "openai 1", "groq 0", "groq 1"]
        await asyncio.gather(*(log.request(name, 1) for name in names))
        assert log.went_s == pytest.approx(
            {"openai 0": 0, "groq 0": 1, "groq 1": 2, "openai 1": 10}
        )

    run_virtual(main())


def test_whoever_can_go_sooner_is_not_kept_by_a_longer_wait() -> None:
    async def main() -> None:
        own = {"slow": Bounds(requests_per_s=0.01), "fast": Bounds(requests_per_s=1)}
        log = Log(Limiter(None, own))
        names = ["slow 0", "slow 1", "fast 0", "fast 1"]
        await asyncio.gather(*(log.request(name) for name in names))
        assert log.went_s == pytest.approx({"slow 0": 0, "fast 0": 0, "fast 1": 1, "slow 1": 100})

    run_virtual(main())


def test_a_busy_provider_starves_nobody() -> None:
    """The oldest that can go does, however many of another provider keep coming."""

    async def main() -> None:
        log = Log(Limiter(Bounds(max_streams=1), {"rare": Bounds(max_streams=1)}))
        tasks = [asyncio.create_task(log.request("busy 0", 1.5))]
        for n in range(1, 20):
            if n == 5:
                tasks.append(asyncio.create_task(log.request("rare 0", 1)))
            tasks.append(asyncio.create_task(log.request(f"busy {n}", 1)))
            await asyncio.sleep(0.5)
        await asyncio.gather(*tasks)
        assert list(log.went_s).index("rare 0") == 5

    run_virtual(main())


def test_a_burst_then_the_rate() -> None:
    async def main() -> None:
        log = Log(Limiter(Bounds(requests_per_s=2, burst=3)))
        await asyncio.gather(*(log.request(f"x {n}") for n in range(6)))
        assert list(log.went_s.values()) == pytest.approx([0, 0, 0, 0.5, 1, 1.5])
        await asyncio.sleep(1)
        await asyncio.gather(*(log.request(f"y {n}") for n in range(4)))
        later = [went_s - 2.5 for name, went_s in log.went_s.items() if name[0] == "y"]
        assert later == pytest.approx([0, 0, 0.5, 1])

    run_virtual(main())


@pytest.mark.parametrize("with_the_release", [False, True])
def test_a_cancelled_waiter_leaves_nothing_behind(with_the_release: bool) -> None:
    async def main() -> None:
        limiter = Limiter(Bounds(max_streams=1, requests_per_s=1, burst=2))
        log = Log(limiter)
        async with held(limiter):
            gone = asyncio.create_task(log.request("x 0"))
            next_one = asyncio.create_task(log.request("x 1"))
            await settle()
            if not with_the_release:
                gone.cancel()
                await settle()
        gone.cancel()  # its place was just given to it, or it was cancelled before
        await asyncio.wait([gone, next_one])
        assert gone.cancelled()
        assert log.went_s == {"x 1": 0}

    run_virtual(main())


def test_a_token_given_back_late_is_no_second_one() -> None:
    """A loop that was blocked between the grant and the cancel: the token has leaked by then."""
    gate = Gate(Bounds(requests_per_s=1))
    gate.take(0)
    gate.take(1)
    gate.undo(taken_s=0, now_s=1)
    assert gate.wait_s(1) == pytest.approx(1)
    gate.undo(taken_s=1, now_s=1.25)
    assert gate.wait_s(1.25) == 0


def test_every_drain_returns() -> None:
    async def main() -> None:
        limiter = Limiter()
        with limiter.admit():
            drains = [asyncio.create_task(limiter.drain())]
            await settle()
            drains += [asyncio.create_task(limiter.drain()) for _ in range(2)]
            given_up = asyncio.create_task(limiter.drain())
            await settle()
            given_up.cancel()
            await settle()
            assert not any(drain.done() for drain in drains)
        await asyncio.gather(*drains)
        await limiter.drain()
        with pytest.raises(UsageError, match="draining"), limiter.admit():
            pass

    run_virtual(main())


async def hold_for_ever(limiter: Limiter, held: asyncio.Event) -> None:
    with limiter.admit():
        async with limiter.slot("x"):
            held.set()
            await asyncio.Event().wait()


def leave_behind(limiter: Limiter, loop: asyncio.AbstractEventLoop) -> Any:
    """Close `loop` with one task that holds a place and one that waits for it."""

    async def main() -> list[Any]:
        held = asyncio.Event()
        tasks = [asyncio.create_task(hold_for_ever(limiter, held)) for _ in range(2)]
        await held.wait()
        await settle()
        return tasks

    tasks = loop.run_until_complete(main())
    loop.close()
    for task in tasks:
        task._log_destroy_pending = False
    return tasks


def test_what_a_closed_loop_held_is_given_back() -> None:
    limiter = Limiter(Bounds(max_streams=1, requests_per_s=1000))
    tasks = leave_behind(limiter, asyncio.new_event_loop())
    assert limiter.active == 0

    async def main() -> None:
        log = Log(limiter)
        with limiter.admit():
            await log.request("x 0")
            assert limiter.active == 1
            # What is left of the tasks may be collected at any time: it changes nothing here.
            coroutines: list[Coroutine[Any, Any, Any]] = [task.get_coro() for task in tasks]
            for coroutine in coroutines:
                coroutine.close()
            assert limiter.active == 1
            async with held(limiter):
                waits = asyncio.create_task(log.request("x 1"))
                await settle()
                assert not waits.done()
            await waits
        await limiter.drain()

    run_virtual(main())
    assert limiter.active == 0


@pytest.mark.parametrize("hard", [False, True])
def test_drain_waits_for_runs_of_another_threads_loop(hard: bool) -> None:
    limiter = Limiter()
    began, may_end = threading.Event(), threading.Event()
    kept: list[Any] = []

    async def run() -> None:
        with limiter.admit():
            began.set()
            await asyncio.to_thread(may_end.wait)

    def elsewhere() -> None:
        loop = asyncio.new_event_loop()
        if not hard:
            loop.run_until_complete(run())
            loop.close()
            return
        kept.append(loop.create_task(hold_for_ever(limiter, asyncio.Event())))
        kept[0]._log_destroy_pending = False
        loop.run_until_complete(settle())
        began.set()
        may_end.wait()
        loop.close()

    async def main() -> None:
        drain = asyncio.create_task(limiter.drain())
        await settle()
        assert not drain.done()
        may_end.set()
        await asyncio.wait_for(drain, 30)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    assert began.wait(30)
    asyncio.run(main())
    thread.join(30)
    assert limiter.active == 0


async def went_s(limiter: Limiter) -> float:
    log = Log(limiter)
    await log.request("x 0")
    return log.went_s["x 0"]


def test_each_loop_has_bounds_of_its_own() -> None:
    limiter = Limiter(Bounds(max_streams=1))
    for _ in range(3):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            assert runner.run(went_s(limiter)) == 0
    assert limiter.active == 0
