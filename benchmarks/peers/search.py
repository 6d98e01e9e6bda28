"""The most streams that keep the limit: doubled until one load breaks it, then halved between."""

from __future__ import annotations

_START = 32
_NEAR = 3.0
"""A load that breaks the limit by less than this factor gets a second try: noise only adds."""
_STEP = 0.06
"""Resolution, as a share of the number."""


class Search:
    """Decides what to try next.

    Attributes:
        wanted: number of streams to try; 0 when done.
        most: highest number that kept the limit so far.
    """

    def __init__(self, limit_ms: float) -> None:
        self._limit_ms = limit_ms
        self._broken = 0
        self._second = False
        self.most = 0
        self.wanted = _START

    def saw(self, p99_ms: float) -> None:
        """Take the result of the number that was wanted."""
        if p99_ms < self._limit_ms:
            self.most = self.wanted
        elif not self._second and p99_ms < self._limit_ms * _NEAR:
            self._second = True
            return
        else:
            self._broken = self.wanted
        self._next()

    def fail(self) -> None:
        """The client could not do it at all."""
        self._broken = self.wanted
        self._next()

    def _next(self) -> None:
        self._second = False
        if not self._broken:
            self.wanted *= 2
        elif self._broken - self.most <= max(1, _STEP * self._broken):
            self.wanted = 0
        else:
            self.wanted = (self._broken + self.most) // 2
