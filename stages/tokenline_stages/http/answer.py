"""What whoever sent a request waits for: the head of its response."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

from tokenline.wake import Waiter, Wakes

from .response import HttpResponse


class Answer(Waiter):
    """To be awaited by one task: over when the response's headers are there, or will not come.

    The task goes on in the turn of the loop that read the head, once all that came with it is
    taken in.

    Attributes:
        response: what came; None before, and where nothing came.
    """

    __slots__ = ("_error", "response")

    def __init__(self, loop: asyncio.AbstractEventLoop, wakes: Wakes) -> None:
        super().__init__(loop, wakes)
        self.response: HttpResponse | None = None
        self._error: BaseException | None = None

    def __await__(self) -> Generator[Waiter, None, None]:
        yield from super().__await__()
        self.result()  # it may have failed before anybody waited

    def resolve(self, response: HttpResponse) -> None:
        """The headers are there."""
        self.response = response
        self.set()

    def fail(self, error: BaseException) -> None:
        """There will be no response; `error` says why."""
        self._error = error
        self.set()

    def result(self) -> None:
        """Raises what it failed with."""
        super().result()
        if self._error is not None:
            raise self._error
