"""A bounded queue of work that is done off the streams' path, in slices too short to be felt.

Work is an iterator: each `next` does one short step (one span, one measurement). On a running
event loop a slice of steps runs by `call_soon`, then every other stream has its turn, so that no
task is left behind when the loop ends. Whatever no loop has done, `flush` does in the thread that
calls it, and at the latest the end of the process.

`submit` takes no lock: it may be called by the garbage collector in the middle of anything,
a slice of this very emitter included.
"""

import asyncio
import atexit
import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import Context
from time import perf_counter_ns

from .deadline import Countdown

_logger = logging.getLogger(__name__)

Work = Iterator[object]

_SLICE_NS = 150_000
_EXIT_TIMEOUT_S = 2.0
_DONE = object()


def calling(reference: weakref.WeakMethod[Callable[[], None]]) -> Callable[[], None]:
    """Call a method while its object is there: hooks of forks cannot be taken back."""

    def call() -> None:
        method = reference()
        if method is not None:
            method()

    return call


class Emitter:
    """The queue and its workers.

    Attributes:
        dropped: pieces of work that found no room.
    """

    def __init__(self, capacity: int = 2048, slice_ns: int = _SLICE_NS) -> None:
        self.dropped = 0
        self._capacity = capacity
        self._slice_ns = slice_ns
        self._queue: deque[Work] = deque()
        self._working = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._registered = False
        self._exited = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=calling(weakref.WeakMethod(self._forget)))

    def __len__(self) -> int:
        """How many pieces of work wait or are under way."""
        return len(self._queue)

    def submit(self, work: Work) -> bool:
        """Queue `work`; False if there is no room: it is counted and dropped."""
        if len(self._queue) >= self._capacity:
            self.dropped += 1
            return False
        self._queue.append(work)
        if self._exited:
            self.flush(_EXIT_TIMEOUT_S)
        elif not self._registered:
            # Now, not earlier: exit handlers run last in, first out, and the user's provider
            # must still be there.
            self._registered = True
            atexit.register(self._flush_at_exit)
        self._wake()
        return True

    def flush(self, timeout_s: float) -> bool:
        """Do all queued work in this thread; False if `timeout_s` passed first."""
        countdown = Countdown(timeout_s)
        while self._queue:
            left_s = countdown.left_s
            if not left_s or not self._work(left_s):
                return not self._queue
        return True

    def close(self, timeout_s: float) -> bool:
        """Flush, and do nothing more at the end of the process."""
        done = self.flush(timeout_s)
        atexit.unregister(self._flush_at_exit)
        self._registered = False
        return done

    def _flush_at_exit(self) -> None:
        self._exited = True
        countdown = Countdown(_EXIT_TIMEOUT_S)
        interrupt: BaseException | None = None
        while self._queue and (left_s := countdown.left_s):
            try:
                self.flush(left_s)
            except BaseException as error:  # the others' work is still to be done
                interrupt = interrupt or error
        if interrupt is not None:
            raise interrupt

    def _wake(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._loop is not loop:
            self._loop = loop
            loop.call_soon(self._slice, loop, context=Context())

    def _slice(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is loop:
            self._loop = None
        try:
            self._work(self._slice_ns / 1e9)
        finally:  # also where the work of one run was interrupted
            if self._queue:
                self._wake()

    def _work(self, patience_s: float) -> bool:
        """Do steps for one slice; False if another thread kept this one waiting too long."""
        # The wait has an end because a signal handler may flush on top of a slice of its thread.
        if not self._working.acquire(timeout=patience_s):
            return False
        try:
            end_ns = perf_counter_ns() + self._slice_ns
            while self._queue and perf_counter_ns() < end_ns:
                self._step(self._queue[0])
        finally:
            self._working.release()
        return True

    def _step(self, work: Work) -> None:
        try:
            if next(work, _DONE) is not _DONE:
                return
        except Exception:
            # A span processor or exporter of the user's: it must not cost the others their work.
            _logger.warning("telemetry of one run was lost", exc_info=True)
        self._queue.popleft()

    def _forget(self) -> None:
        """After a fork the work is the parent's."""
        self._queue.clear()
        self._working = threading.Lock()
        self._loop = None
