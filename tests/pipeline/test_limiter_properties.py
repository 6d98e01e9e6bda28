"""The limiter under random arrivals, cancels and ends, beside a plain count of what went when."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from tokenline.limiter import Bounds, Limiter
from tokenline.testing import run_virtual, settle

TICK_S = 0.25
TURNS = 5
SLACK_S = 1e-3
PROVIDERS = ["a", "b", "none of its own"]


@dataclass
class Request:
    number: int
    provider: str
    at_tick: int
    ticks: int
    cancel_after: int | None  # ticks
    cancel_turn: int  # of the loop, within the tick
    strikes: int | None  # cancels that one of the waiting as it gives its place back
    task: asyncio.Task[None] | None = None
    waiting: bool = False
    struck: bool = False

    @property
    def cancel_tick(self) -> int | None:
        return None if self.cancel_after is None else self.at_tick + self.cancel_after


@dataclass
class Books:
    """What went through one set of bounds."""

    bounds: Bounds
    went_s: list[float] = field(default_factory=list)
    under_way: int = 0

    def level(self, now_s: float) -> float:
        """Of the leaky bucket, from the times alone."""
        level, before_s = 0.0, 0.0
        for at_s in (*self.went_s, now_s):
            level = max(0.0, level - max(0.0, at_s - before_s) * (self.bounds.requests_per_s or 0))
            level, before_s = level + 1, at_s
        return level - 1

    def go(self, now_s: float) -> None:
        self.went_s.append(now_s)
        self.under_way += 1
        assert self.under_way <= (self.bounds.max_streams or self.under_way)
        if self.bounds.requests_per_s:
            assert self.level(now_s) <= self.bounds.burst + 1e-4

    def is_open(self, now_s: float) -> bool:
        rate = self.bounds.requests_per_s
        return self.under_way < (self.bounds.max_streams or 1_000) and (
            rate is None or self.level(now_s - SLACK_S) + 1 <= self.bounds.burst
        )


class World:
    def __init__(self, common: Bounds, own: dict[str, Bounds]) -> None:
        self.limiter = Limiter(common, own)
        self.common = Books(common)
        self.own = {name: Books(own.get(name, Bounds())) for name in PROVIDERS}
        self.order: list[Request] = []
        self.requests: list[Request] = []

    async def one(self, request: Request) -> None:
        request.waiting = True
        books = (self.common, self.own[request.provider])
        try:
            async with self.limiter.slot(request.provider):
                request.waiting = False
                self.order.append(request)
                for book in books:
                    book.go(asyncio.get_running_loop().time())
                try:
                    await asyncio.sleep(request.ticks * TICK_S)
                finally:
                    for book in books:
                        book.under_way -= 1
            self.strike(request.strikes)
        finally:
            request.waiting = False

    def strike(self, index: int | None) -> None:
        """Cancel one that waits; the place just given back may be its own by now."""
        waiting = [request for request in self.requests if request.waiting]
        if index is not None and index < len(waiting):
            waiting[index].struck = True
            task = waiting[index].task
            assert task is not None
            task.cancel()

    def check_nobody_waits_who_can_go(self) -> None:
        now_s = asyncio.get_running_loop().time()
        waiting = Counter(request.provider for request in self.requests if request.waiting)
        if self.common.is_open(now_s):
            assert not [name for name in waiting if self.own[name].is_open(now_s)]

    async def run(self, requests: list[Request]) -> None:
        self.requests = requests
        tick, from_s = 0, asyncio.get_running_loop().time()
        while tick == 0 or any(r.task is None or not r.task.done() for r in requests):
            for request in requests:
                if request.at_tick == tick:
                    request.task = asyncio.create_task(self.one(request))
            for turn in range(TURNS):
                for request in requests:
                    when = request.cancel_tick, request.cancel_turn
                    if request.task is not None and when == (tick, turn):
                        request.task.cancel()
                await asyncio.sleep(0)
            await settle()
            self.check_nobody_waits_who_can_go()
            tick += 1
            await asyncio.sleep(from_s + tick * TICK_S - asyncio.get_running_loop().time())
            assert tick < 5_000

    def check_order(self) -> None:
        for name in PROVIDERS:
            turns = [(r.at_tick, r.number) for r in self.order if r.provider == name]
            assert turns == sorted(turns)


bounds = st.builds(
    Bounds,
    max_streams=st.none() | st.integers(1, 3),
    requests_per_s=st.none() | st.sampled_from([0.3, 1.0, 4.0, 7.0]),
    burst=st.integers(1, 3),
)
requests = st.lists(
    st.builds(
        Request,
        number=st.just(0),
        provider=st.sampled_from(PROVIDERS),
        at_tick=st.integers(0, 12),
        ticks=st.integers(0, 6),
        cancel_after=st.none() | st.integers(0, 8),
        cancel_turn=st.integers(0, TURNS - 1),
        strikes=st.none() | st.integers(0, 3),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=300, deadline=None)
@given(common=bounds, a=bounds, b=bounds, requests=requests)
def test_bounds_hold_and_whoever_can_go_goes(
    common: Bounds, a: Bounds, b: Bounds, requests: list[Request]
) -> None:
    async def main() -> None:
        world = World(common, {"a": a, "b": b})
        await world.run(requests)
        world.check_order()
        for request in requests:
            assert request.task is not None
            if request.task.cancelled():
                assert request.struck or request.cancel_after is not None
            else:
                request.task.result()
                assert request in world.order
        await world.limiter.drain()

    for number, request in enumerate(requests):
        request.number = number
    run_virtual(main())
