"""Who of those that wait for a limiter goes next, on one event loop.

Each provider that has bounds of its own has a lane; all others share one. First come, first
served among the heads of the lanes: one that waits for its provider holds nothing that another
provider's request could use.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .limiter import Bounds

_CLOCK_ERROR_S = 1e-6
"""A timer may fire this early, by rounding, and still be in time."""


class Gate:
    """Places and rate (a leaky bucket) of one set of bounds. `now_s` is the loop's clock."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._free = (bounds and bounds.max_streams) or inf
        self._per_s = (bounds and bounds.requests_per_s) or inf
        self._burst = bounds.burst if bounds else 1
        self._level = 0.0
        self._level_at_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """Seconds until a request may go; infinite if one that is under way must end first."""
        if not self._free:
            return inf
        if self._per_s == inf:
            return 0.0
        self._leak(now_s)
        wait_s = (self._level + 1 - self._burst) / self._per_s
        return wait_s if wait_s > _CLOCK_ERROR_S else 0.0

    def take(self, now_s: float) -> None:
        """Take a place and a token."""
        self._free -= 1
        if self._per_s < inf:
            self._leak(now_s)
            self._level += 1

    def leave(self) -> None:
        """Give the place back."""
        self._free += 1

    def undo(self, taken_s: float, now_s: float) -> None:
        """Give back a place nobody came for, and what has not yet leaked of its token."""
        self._free += 1
        if self._per_s < inf:
            self._leak(now_s)
            left = max(0.0, 1 - (now_s - taken_s) * self._per_s)
            self._level = max(0.0, self._level - left)

    def _leak(self, now_s: float) -> None:
        leaked = max(0.0, now_s - self._level_at_s) * self._per_s
        self._level = max(0.0, self._level - leaked)
        self._level_at_s = now_s


class _Lane:
    """Those that wait for one provider, by the number of their turn."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.waiting: OrderedDict[int, asyncio.Future[float]] = OrderedDict()

    def head(self) -> int | None:
        """The next turn; those whose task was cancelled are dropped."""
        while self.waiting:
            turn, admitted = next(iter(self.waiting.items()))
            if not admitted.done():
                return turn
            del self.waiting[turn]
        return None


class Admission:
    """The queue of one loop.

    Attributes:
        active: runs that are waiting or under way here.
    """

    def __init__(self, bounds: Bounds, per_provider: Mapping[str, Bounds]) -> None:
        self._loop = asyncio.get_running_loop()
        self._all = Gate(bounds)
        self._own = {provider: _Lane(Gate(own)) for provider, own in per_provider.items()}
        self._shared = _Lane(Gate())
        self._turns = 0
        self._timer: asyncio.TimerHandle | None = None
        self.active = 0

    async def enter(self, provider: str) -> None:
        """Wait for a turn; whoever comes back from it calls `leave`."""
        lane = self._lane(provider)
        turn = self._turns = self._turns + 1
        admitted: asyncio.Future[float] = self._loop.create_future()
        lane.waiting[turn] = admitted
        self._let_in()
        try:
            # Nobody who can go at once is made to wait for a turn of the loop.
            if not admitted.done():
                await admitted
        except BaseException:
            self._withdraw(lane, turn, admitted)
            raise

    def leave(self, provider: str) -> None:
        """Give a place back."""
        self._lane(provider).gate.leave()
        self._all.leave()
        self._let_in()

    def _lane(self, provider: str) -> _Lane:
        return self._own.get(provider, self._shared)

    def _withdraw(self, lane: _Lane, turn: int, admitted: asyncio.Future[float]) -> None:
        lane.waiting.pop(turn, None)
        if admitted.done() and not admitted.cancelled():
            for gate in (lane.gate, self._all):
                gate.undo(admitted.result(), self._loop.time())
        self._let_in()

    def _let_in(self) -> None:
        if self._loop.is_closed():
            return
        now_s = self._loop.time()
        while heads := {turn: lane for lane in self._lanes() if (turn := lane.head())}:
            # The first whose own gate is open, else the one whose gate opens first.
            wait_s, turn = min((lane.gate.wait_s(now_s), turn) for turn, lane in heads.items())
            lane = heads[turn]
            wait_s = max(wait_s, self._all.wait_s(now_s))
            if wait_s:
                self._look_again(now_s + wait_s)
                return
            for gate in (lane.gate, self._all):
                gate.take(now_s)
            lane.waiting.pop(turn).set_result(now_s)

    def _lanes(self) -> tuple[_Lane, ...]:
        return (*self._own.values(), self._shared)

    def _look_again(self, at_s: float) -> None:
        if at_s == inf or (self._timer is not None and self._timer.when() <= at_s):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(at_s, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._let_in()
