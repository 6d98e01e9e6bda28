"""Connections that wait for their next request, by the server they lead to."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from contextlib import suppress
from contextvars import Context
from typing import Any, TypeAlias

from .address import Address
from .connection import READ_BYTES, ConnectionLostError, HttpConnection

MAX_CONNECTIONS = 1000
"""Requests under way at once; the SDKs' own default."""

KEEP_ALIVE_S = 15.0
"""How long an unused connection is kept; below the idle limit of common proxies (60 s)."""

MARGIN_S = 1.0
"""A connection is dropped that long before its server would close it."""

HAPPY_EYEBALLS_S = 0.25
"""Head start of one address of a host over the next (RFC 8305, section 5)."""

Origin: TypeAlias = tuple[str, int, ssl.SSLContext | None]
"""Host, port and TLS context: what makes one connection as good as another."""


class ConnectionPool:
    """All connections of a client; belongs to one event loop.

    Args:
        peer: whose servers they lead to, for messages.
        max_connections: requests under way at once; more wait.
        keep_alive_s: how long an unused connection is kept.
    """

    def __init__(
        self,
        peer: str,
        max_connections: int = MAX_CONNECTIONS,
        keep_alive_s: float = KEEP_ALIVE_S,
    ) -> None:
        self._peer = peer
        self._keep_alive_s = keep_alive_s
        self._loop = asyncio.get_running_loop()
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._slots = asyncio.Semaphore(max_connections)
        self._busy: dict[HttpConnection, Origin] = {}
        self._idle: dict[Origin, deque[tuple[HttpConnection, float]]] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    async def reserve(self, timeout_s: float | None) -> None:
        """Wait until another request may be under way; `take` or `dial` uses it up.

        Raises:
            TimeoutError: that many requests are under way for so long.
        """
        if self._slots.locked():
            async with asyncio.timeout(timeout_s):
                await self._slots.acquire()
        else:
            await self._slots.acquire()

    def keeps(self, origin: Origin) -> bool:
        """Whether a connection is kept, and a place is free for it."""
        return bool(self._idle.get(origin)) and not self._slots.locked()

    def take_nowait(self, origin: Origin) -> HttpConnection | None:
        """`reserve` and `take` without waiting; None, and no place used up, if it can't be had."""
        if not self.keeps(origin):
            return None
        _reserve_free(self._slots)
        connection = self.take(origin)
        if connection is None:
            self._slots.release()
        return connection

    def take(self, origin: Origin) -> HttpConnection | None:
        """The connection to `origin` that was used last, if there is one."""
        idle = self._idle.get(origin)
        while idle:
            connection, expires_at = idle.pop()
            if connection.closed:
                continue
            if expires_at <= self._loop.time():
                connection.abort()
                continue
            self._busy[connection] = origin
            return connection
        return None

    async def dial(
        self, address: Address, tls: ssl.SSLContext | None, timeout_s: float | None
    ) -> HttpConnection:
        """A new connection, in the place that `reserve` gave.

        Raises:
            TimeoutError: it takes longer than that.
            OSError: it cannot be made (`socket.gaierror`, `ssl.SSLError` among them).
        """
        # A pooled connection outlives the run that opened it and must not keep its context.
        task = self._loop.create_task(self._connect(address, tls, timeout_s), context=Context())
        try:
            connection = await task
            if connection.closed:
                raise ConnectionLostError("the server closed it at once", received=False)
        except BaseException:
            self._slots.release()
            if task.done() and not task.cancelled() and task.exception() is None:
                task.result().abort()
            raise
        self._busy[connection] = (address.host, address.port, tls)
        return connection

    async def aclose(self) -> None:
        """Close all connections, those in use too."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        idle = [connection for waiting in self._idle.values() for connection, _ in waiting]
        self._idle.clear()
        for connection in (*self._busy, *idle):
            connection.lose("the client was closed")
        await asyncio.sleep(0)  # the loop closes the sockets in its next turn

    # --- inside ----------------------------------------------------------------------------

    async def _connect(
        self, address: Address, tls: ssl.SSLContext | None, timeout_s: float | None
    ) -> HttpConnection:
        async with asyncio.timeout(timeout_s):
            _, connection = await self._loop.create_connection(
                lambda: HttpConnection(self._peer, self._buffer, self._free, self._gone),
                address.host,
                address.port,
                ssl=tls,
                server_hostname=address.host if tls is not None else None,
                **self._race(address),
            )
        return connection

    def _race(self, address: Address) -> dict[str, Any]:
        """How to try a host's addresses; uvloop tries them in turn and knows no such option."""
        if address.is_numeric or not isinstance(self._loop, asyncio.BaseEventLoop):
            return {}
        return {"happy_eyeballs_delay": HAPPY_EYEBALLS_S}

    def _free(self, connection: HttpConnection) -> None:
        origin = self._busy.pop(connection)
        self._slots.release()
        if self._closed:
            connection.abort()
            return
        keep_s = self._keep_alive_s
        if connection.keep_alive_s is not None:
            keep_s = min(keep_s, connection.keep_alive_s - MARGIN_S)
        self._idle.setdefault(origin, deque()).append((connection, self._loop.time() + keep_s))
        if self._sweep is None:
            self._sweep = self._loop.call_later(
                self._keep_alive_s, self._drop_expired, context=Context()
            )

    def _gone(self, connection: HttpConnection) -> None:
        if self._busy.pop(connection, None) is not None:
            self._slots.release()

    def _drop_expired(self) -> None:
        self._sweep = None
        now = self._loop.time()
        for origin, idle in list(self._idle.items()):
            kept = deque((c, at) for c, at in idle if not c.closed and at > now)
            for connection, at in idle:
                if at <= now:
                    connection.abort()
            if kept:
                self._idle[origin] = kept
            else:
                del self._idle[origin]
        if self._idle:
            self._sweep = self._loop.call_later(
                self._keep_alive_s, self._drop_expired, context=Context()
            )


def _reserve_free(slots: asyncio.Semaphore) -> None:
    """Acquire one that is not locked: that does not wait, but asyncio has no name for it."""
    with suppress(StopIteration):
        slots.acquire().send(None)
