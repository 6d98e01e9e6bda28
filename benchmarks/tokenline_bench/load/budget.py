"""How long a level goes on: by requests, by time, or until it is told to stop."""

from __future__ import annotations

import time


class Budget:
    """What is left of a level for one process.

    Args:
        requests: how many requests it may send; None for no bound.
        until_ns: no request is sent after this; None for no bound.
    """

    def __init__(self, requests: int | None, until_ns: int | None) -> None:
        self._requests = requests
        self._until_ns = until_ns
        self._stopped = False

    def take(self) -> bool:
        """Whether another request may be sent; it counts at once."""
        if not self.open:
            return False
        if self._requests is not None:
            self._requests -= 1
        return True

    def take_at(self, due_ns: int) -> bool:
        """Whether a request that is due then may be sent; it counts at once."""
        if self._until_ns is not None and due_ns > self._until_ns:
            return False
        return self.take()

    @property
    def open(self) -> bool:
        """Whether anything is left."""
        if self._stopped or (self._requests is not None and self._requests <= 0):
            return False
        return self._until_ns is None or time.perf_counter_ns() < self._until_ns

    def stop(self) -> None:
        """Send nothing more."""
        self._stopped = True


def share(requests: int | None, worker: int, workers: int) -> int | None:
    """How many of all requests one process sends."""
    if requests is None:
        return None
    return requests // workers + (worker < requests % workers)
