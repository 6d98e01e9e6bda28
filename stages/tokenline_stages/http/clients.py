"""One client for each event loop, closed with its loop.

A client holds a TLS context (20-40 ms to make) and a pool of connections: it is shared by all
runs of a source, and must not outlive its loop. `asyncio.run` closes asynchronous generators
when it ends: one that waits in its `finally` closes the client, so that nobody has to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

C = TypeVar("C")


async def _keep(close: Callable[[], Awaitable[None]]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await close()


class LoopClients(Generic[C]):
    """Makes a client on a loop's first use and gives the same one afterwards.

    Args:
        make: makes a client; called on the loop that will use it.
        close: closes one.
    """

    def __init__(self, make: Callable[[], C], close: Callable[[C], Awaitable[None]]) -> None:
        self._make = make
        self._close = close
        self._clients: WeakKeyDictionary[
            asyncio.AbstractEventLoop, tuple[C, AsyncGenerator[None, None]]
        ] = WeakKeyDictionary()

    async def get(self) -> C:
        """The running loop's client."""
        loop = asyncio.get_running_loop()
        known = self._clients.get(loop)
        if known is not None:
            return known[0]
        client = self._make()

        async def close() -> None:
            self._clients.pop(loop, None)
            await self._close(client)

        keeper = _keep(close)
        self._clients[loop] = (client, keeper)
        await anext(keeper)
        return client

    def known(self) -> C | None:
        """The running loop's client, if there is one; makes none."""
        try:
            entry = self._clients.get(asyncio.get_running_loop())
        except RuntimeError:
            return None
        return entry[0] if entry is not None else None

    async def aclose(self) -> None:
        """Close the running loop's client, if there is one."""
        known = self._clients.get(asyncio.get_running_loop())
        if known is not None:
            await known[1].aclose()
