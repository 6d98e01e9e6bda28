"""The most streams that keep the limit, and whether it was the client that set it.

A load says something about the client only if the server sent what was asked for, in time, and was
not full itself. One that breaks the limit beside an unhealthy server is nobody's fault: if no try
of that number is better, the search ends below it with a lower bound, not with a figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KEPT, BROKEN, SERVER = "kept", "broken", "server"

_START = 32
_TRIES, _ALL_TRIES = 3, 4
"""A number may break the limit so often, and be tried so often with the server's own misses, before
it counts as missed. The best try counts: noise only adds."""
_FAR = 3.0
"""A load that breaks the limit by more than this factor is no near miss: one try is enough ..."""
_FULL = 0.85
"""... if the client's core was so full; if not, something else held the client up."""
_STEP = 0.06
"""Resolution, as a share of the number."""
_LEAP = 4.0
"""Never go up by more than this factor at once."""
_HOPE = 0.9
"""How full a core may become by the next number, judged by how full it was made by the last."""


@dataclass(frozen=True, slots=True)
class Health:
    """What a server must keep for a load to count against the client.

    Attributes:
        late_ms: 99th percentile of its lateness against its plan.
        cpu: share of its core.
        sent: events it wrote in the window as a share of those due then.
        due: events due in the window as a share of those asked for. Below it not all streams were
            open in time, which is the client's fault if the server was in time.
    """

    late_ms: float = 8.0
    cpu: float = 0.9
    sent: float = 0.97
    due: float = 0.97


HEALTH = Health()


def judge(load: Mapping[str, Any], limit_ms: float, health: Health = HEALTH) -> str:
    """Whether a load was kept, broken by the client, or limited by the server."""
    sent = load["sent"] >= health.sent
    if load["p99_ms"] < limit_ms and sent and load["due"] >= health.due:
        return KEPT
    in_time = load["server_late_ms"] <= health.late_ms and load["server_cpu"] <= health.cpu
    return BROKEN if sent and in_time else SERVER


class Search:
    """Decides what to try next.

    Attributes:
        wanted: number of streams to try; 0 when done.
        most: highest number that kept the limit so far.
        missed: lowest number above it that did not; 0 where there is none yet.
        by_server: whether it was the server that missed it: `most` is a lower bound then.
    """

    def __init__(self, limit_ms: float) -> None:
        self._limit_ms = limit_ms
        self._tried: list[str] = []
        self._fullest = 0.0
        self.most = 0
        self.missed = 0
        self.by_server = False
        self.wanted = _START

    def saw(self, load: Mapping[str, Any]) -> str:
        """Take the load of the number that was wanted; gives its verdict."""
        verdict = judge(load, self._limit_ms)
        if verdict == KEPT:
            self.most = self.wanted
            self._fullest = load["cpu"]
            self._next()
            return verdict
        self._tried.append(verdict)
        full = load["cpu"] >= _FULL
        far = verdict == BROKEN and full and load["p99_ms"] > self._limit_ms * _FAR
        if far or self._tried.count(BROKEN) == _TRIES or len(self._tried) == _ALL_TRIES:
            self._miss(BROKEN not in self._tried)
        return verdict

    def fail(self) -> None:
        """The client could not do it at all."""
        self._miss(False)

    def _miss(self, by_server: bool) -> None:
        self.missed, self.by_server = self.wanted, by_server
        self._next()

    def _next(self) -> None:
        self._tried = []
        if not self.missed:
            self.wanted = self._leap()
        elif self.missed - self.most <= max(1, _STEP * self.missed):
            self.wanted = 0
        else:
            self.wanted = (self.missed + self.most) // 2

    def _leap(self) -> int:
        """Up to where the core should be nearly full, at least by two steps."""
        by = _HOPE / self._fullest if self._fullest else _LEAP
        return round(self.most * min(max(by, 1 + 2 * _STEP), _LEAP))
