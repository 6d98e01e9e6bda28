"""Runs calls that may block for long in daemon threads, and waits for them only so long.

The SDK's `force_flush` and `shutdown` take tens of seconds on a collector that does not answer
(opentelemetry-python #4568, #3660) and ignore the timeout they are given.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from time import monotonic
from typing import TypeAlias

_logger = logging.getLogger(__name__)

_Calls: TypeAlias = SimpleQueue[tuple[Callable[[], object], threading.Event]]


class DaemonThread:
    """One daemon thread that runs calls one after the other.

    It is started beforehand where it is needed at the end of the process: from Python 3.12 on no
    thread can be started then.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: _Calls = SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; after a fork, start it anew."""
        if self._thread is None or not self._thread.is_alive():
            self._calls = SimpleQueue()
            thread = threading.Thread(
                target=_run, args=(self._calls,), name=self._name, daemon=True
            )
            thread.start()
            self._thread = thread

    def call(self, function: Callable[[], object]) -> threading.Event | None:
        """Have `function` run; the event is set when it has. None if no thread can be started."""
        try:
            self.start()
        except RuntimeError:
            return None
        finished = threading.Event()
        self._calls.put((function, finished))
        return finished


def _run(calls: _Calls) -> None:
    while True:
        function, finished = calls.get()
        try:
            function()
        except Exception:
            _logger.warning("telemetry could not be flushed", exc_info=True)
        finally:
            finished.set()


class Countdown:
    """What is left of a time limit."""

    __slots__ = ("_end",)

    def __init__(self, timeout_s: float) -> None:
        self._end = monotonic() + timeout_s

    @property
    def left_s(self) -> float:
        """Seconds left, at least 0."""
        return max(self._end - monotonic(), 0.0)


def wait_all(events: Iterable[threading.Event | None], timeout_s: float) -> bool:
    """Wait until all are set; False if `timeout_s` passed first or one could not be started."""
    countdown = Countdown(timeout_s)
    done = True
    for event in events:
        done = event is not None and event.wait(countdown.left_s) and done
    return done
