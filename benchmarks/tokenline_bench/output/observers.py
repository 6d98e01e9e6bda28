"""Observers put together, and the one that writes requests down."""

from __future__ import annotations

from collections.abc import Sequence

from tokenline_bench.results import LevelResult
from tokenline_bench.sample import Sample
from tokenline_bench.session import NoObserver, Observer

from .jsonl import RequestWriter


class Observers:
    """Tells several; the first trace context that one of them has counts."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def begin_level(self, result: LevelResult) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.begin_level(result)

    def note(self, sample: Sample) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.note(sample)

    def end_level(self, result: LevelResult) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.end_level(result)

    def traceparent(self) -> str | None:
        """See `Observer`."""
        contexts = (observer.traceparent() for observer in self._observers)
        return next((context for context in contexts if context), None)


class RequestLog(NoObserver):
    """Writes every request to a file as it ends."""

    def __init__(self, writer: RequestWriter) -> None:
        self._writer = writer
        self._level: LevelResult | None = None

    def begin_level(self, result: LevelResult) -> None:
        """See `Observer`."""
        self._level = result

    def note(self, sample: Sample) -> None:
        """See `Observer`."""
        if self._level is not None:
            self._writer.write(sample, self._level)
