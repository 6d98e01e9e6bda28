"""The messages of one response, kept so that viewers can come, leave and come back.

A browser that reconnects names the last event it saw (`Last-Event-ID`) and gets what it missed.
Viewers only look: whether one leaves is no business of the run, which is stopped by
`run.cancel()` alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from typing import Self

from tokenline.errors import MessagesGoneError
from tokenline.options import MIB

from .messages import Message
from .sse import DONE, encode_sse


class MessageLog:
    """A bounded log of a response's messages, as server-sent events with their ids.

    One task fills it; any number of viewers read, each at its own pace. Nobody waits for a viewer:
    beyond the bounds the oldest messages make room. Belongs to one event loop.

    Args:
        max_messages: most that are kept.
        max_bytes: most bytes of them, encoded. The latest message is kept however large it is.
    """

    def __init__(self, max_messages: int = 10_000, max_bytes: int = 4 * MIB) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._kept: dict[int, tuple[int, bytes]] = {}  # place: (seq_id, event); oldest first
        self._first, self._end = 0, 0
        self._bytes = 0
        self._gone_id = 0
        self._over = False
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def over(self) -> bool:
        """Whether the response has ended."""
        return self._over

    @property
    def kept_bytes(self) -> int:
        """How many bytes it holds."""
        return self._bytes

    def put(self, message: Message) -> None:
        """Add a message; its `seq_id` is higher than all before."""
        event = encode_sse(message, with_id=True)
        self._kept[self._end] = message.seq_id, event
        self._end += 1
        self._bytes += len(event)
        while self._is_full():
            self._gone_id, dropped = self._kept.pop(self._first)
            self._first += 1
            self._bytes -= len(dropped)
        self._wake()

    def close(self) -> None:
        """The response has ended. Idempotent."""
        self._over = True
        self._wake()

    async def fill(self, messages: AsyncIterable[Message]) -> None:
        """Put every message, then close, also when the run is cancelled.

        Args:
            messages: a `MessageStream`; its last messages say how the response ended.
        """
        try:
            async for message in messages:
                self.put(message)
        finally:
            self.close()

    def read(self, after: int = 0) -> LogReader:
        """The events after that `seq_id`, those to come too, then `[DONE]`.

        Args:
            after: the last `seq_id` that the viewer has; 0 for none.
        """
        return LogReader(self, after)

    # --- for readers -----------------------------------------------------------------------

    def place_after(self, seq_id: int) -> int:
        """Where the first message after that `seq_id` is.

        Raises:
            MessagesGoneError: messages after it made room for later ones.
        """
        if seq_id < self._gone_id:
            raise MessagesGoneError(
                f"messages after {seq_id} are gone up to {self._gone_id}; show the response anew,"
                " or raise the log's bounds"
            )
        places = (place for place, (other, _) in self._kept.items() if other > seq_id)
        return next(places, self._end)

    def at(self, place: int) -> tuple[int, bytes] | None:
        """The message there; None if it is not there yet or no more."""
        return self._kept.get(place)

    def is_gone(self, place: int) -> bool:
        """Whether the message there made room for others."""
        return place < self._first

    async def wait(self) -> None:
        """Wait for another message or the end."""
        if self._over:
            return
        coming: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(coming)
        try:
            await coming
        finally:
            self._waiting.discard(coming)

    # --- inside ----------------------------------------------------------------------------

    def _is_full(self) -> bool:
        count = len(self._kept)
        return count > self._max_messages or (count > 1 and self._bytes > self._max_bytes)

    def _wake(self) -> None:
        for coming in self._waiting:
            if not coming.done():
                coming.set_result(None)


class LogReader:
    """One viewer: the events of a log as parts of an SSE body."""

    def __init__(self, log: MessageLog, after: int) -> None:
        self._log = log
        self._seen_id = after
        self._place: int | None = None
        self._told_end = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """The next event.

        Raises:
            MessagesGoneError: the viewer asked for, or fell behind to, messages that are gone.
        """
        while True:
            if self._place is None or self._log.is_gone(self._place):
                self._place = self._log.place_after(self._seen_id)
            found = self._log.at(self._place)
            if found is not None:
                self._place += 1
                self._seen_id, event = found
                return event
            if self._log.over:
                return self._tell_end()
            await self._log.wait()

    def _tell_end(self) -> bytes:
        if self._told_end:
            raise StopAsyncIteration
        self._told_end = True
        return DONE
