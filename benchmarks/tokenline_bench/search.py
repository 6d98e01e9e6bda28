"""Finds the knee: the highest load at which enough requests meet the SLO."""

from __future__ import annotations

from collections.abc import Iterator

from .load.spec import ClosedLoop, Load, Search, with_value


class KneeSearch:
    """Says which load to try next; is told whether the last one held.

    Doubling from the low end until a level fails or the high end holds, then halving.
    """

    def __init__(self, search: Search) -> None:
        self._search = search
        self._good: float | None = None
        self._bad: float | None = None
        self._halvings = search.halvings

    def loads(self) -> Iterator[Load]:
        """The loads to try; call `judge` after each."""
        value = self._next()
        while value is not None:
            self._tried = value
            yield with_value(self._search.template, value)
            value = self._next()

    def judge(self, held: bool) -> None:
        """Whether the load that was tried last met the SLO."""
        if held:
            self._good = max(self._tried, self._good or 0)
        else:
            self._bad = min(self._tried, self._bad or self._tried)

    def _next(self) -> float | None:
        if self._good is None:
            return self._search.low if self._bad is None else None
        if self._bad is None:
            wanted = min(self._good * 2, self._search.high)
            return wanted if wanted > self._good else None
        return self._halve(self._good, self._bad)

    def _halve(self, good: float, bad: float) -> float | None:
        self._halvings -= 1
        middle = (good + bad) / 2
        if isinstance(self._search.template, ClosedLoop):
            middle = float(int(middle))
        return middle if self._halvings >= 0 and good < middle < bad else None
