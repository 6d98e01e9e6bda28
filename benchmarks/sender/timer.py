"""A timer finer than epoll's millisecond, so that streams keep the phases of their own.

An event loop's own timer wakes on whole milliseconds, and events due within one would leave
together: a client would find many in one turn of its loop, as it never does on a network. Linux's
timerfd_create(2) wakes within some ten microseconds. Python has it from 3.13 on; here it comes from
the C library.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable
from contextlib import suppress

_CLOCK_MONOTONIC, _NONBLOCK, _ABSOLUTE = 1, os.O_NONBLOCK, 1
_NS = 1_000_000_000


_Setting = ctypes.c_long * 4
"""`struct itimerspec`: interval and value, each in seconds and nanoseconds."""


class FineTimer:
    """Calls back at a time of `time.perf_counter_ns`; the latest time that was set counts.

    Args:
        fire: called when the time has come.
    """

    def __init__(self, fire: Callable[[], None]) -> None:
        self._fire = fire
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._setting = _Setting()
        self._pointer = ctypes.byref(self._setting)
        asyncio.get_running_loop().add_reader(self._fd, self._ready)

    def set(self, due_ns: int) -> None:
        """Fire then, or at once if that has passed."""
        self._setting[2], self._setting[3] = divmod(due_ns, _NS)
        self._libc.timerfd_settime(self._fd, _ABSOLUTE, self._pointer, None)

    def _ready(self) -> None:
        with suppress(BlockingIOError):  # set anew since the loop saw it
            os.read(self._fd, 8)
            self._fire()
