"""Signs of life on a streamed HTTP response while there is nothing to send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Self

PING = b": ping\n\n"
"""A comment, which readers of event streams pass over (WHATWG HTML, section 9.2.6)."""


class KeepAlive:
    """The parts of an SSE body, with a comment after every `every_s` of silence.

    Proxies and browsers give up on a response that says nothing while a model thinks. An async
    iterator, not a generator: it may be closed from any task.

    Args:
        body: parts of the body, whole events each.
        every_s: how long nothing is sent before a comment is, seconds. 15 s is below the idle
            limits of common proxies (30 to 60 s).
    """

    def __init__(self, body: AsyncIterable[bytes], every_s: float = 15.0) -> None:
        self._body: AsyncIterator[bytes] = aiter(body)
        self._every_s = every_s
        self._coming: asyncio.Task[bytes] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """The next part or a comment; raises what the body raises."""
        if self._coming is None:
            self._coming = asyncio.create_task(self._next())
        try:
            done, _ = await asyncio.wait({self._coming}, timeout=self._every_s)
        except asyncio.CancelledError:
            await self.aclose()
            raise
        if not done:
            return PING
        coming, self._coming = self._coming, None
        return coming.result()

    async def aclose(self) -> None:
        """Stop waiting for the body, which itself is not closed. Idempotent."""
        coming, self._coming = self._coming, None
        if coming is not None:
            coming.cancel()
            await asyncio.wait({coming})

    async def _next(self) -> bytes:
        return await anext(self._body)
