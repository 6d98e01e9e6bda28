"""An open response: its head, and a body that is read or pushed.

*Read*: `await response.read()`. *Pushed*: after `attach`, what a socket read brought is handed
to a function at once, inside the event loop's read callback: no task is woken. Either way
a reader that falls behind stops the socket, so that what waits stays bounded.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping
from typing import Protocol

from tokenline.errors import MalformedStreamError, StreamCutError, StreamError, UsageError
from tokenline.wake import Wakes

from .inflate import PIECE_BYTES, Inflater

READ_AHEAD_BYTES = 256 * 1024
"""How much may wait for `read` before the socket is stopped."""

OnData = Callable[[bytes], bool]
"""Takes body bytes; False asks for no more until `resume`."""

OnEnd = Callable[[BaseException | None], None]
"""Told once that the body is over: None if it is complete."""


class Carrier(Protocol):
    """The connection that brings a response."""

    def pause_reading(self) -> None:
        """Read nothing more from the socket for now."""
        ...

    def resume_reading(self) -> None:
        """Read on."""
        ...

    def abort(self) -> None:
        """Close the socket at once and forget the response."""
        ...


class HttpResponse:
    """A response whose headers are there; a `tokenline.source.ByteStream`.

    Attributes:
        status: HTTP status.
        headers: names in lower case; several of one name joined by `, `.
        sink: for the carrier: where body bytes go. False asks it to stop reading.
        paused: for the carrier: set when `sink` said False.
        wakes: see `tokenline.source.PushStream`.
    """

    __slots__ = (
        "_attached",
        "_carrier",
        "_closed",
        "_continuing",
        "_error",
        "_inflater",
        "_kept",
        "_kept_bytes",
        "_on_data",
        "_on_end",
        "_over",
        "_peer",
        "_reader",
        "headers",
        "paused",
        "sink",
        "status",
        "wakes",
    )

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        carrier: Carrier,
        inflater: Inflater | None,
        peer: str,
        wakes: Wakes | None = None,
    ) -> None:
        self.status = status
        self.wakes = wakes
        self.headers = headers
        self.paused = False
        self.sink: OnData = self._keep if inflater is None else self._inflate
        self._carrier: Carrier | None = carrier
        self._inflater = inflater
        self._peer = peer
        self._on_data: OnData = self._keep
        self._on_end: OnEnd = self._wake_reader
        self._attached = False
        self._continuing: asyncio.Handle | None = None
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._reader: asyncio.Future[None] | None = None
        self._over = False
        self._closed = False
        self._error: BaseException | None = None

    # --- reading ---------------------------------------------------------------------------

    async def read(self) -> bytes:
        """What has arrived, waiting if that is nothing; `b""` at the end of the body.

        Raises:
            StreamCutError: the connection broke or the body ended early, or `aclose` was called.
            MalformedStreamError: the body breaks HTTP's or its compression's format.
        """
        while not self._kept:
            if self._closed:
                raise self._closed_error()
            if self._over and not self.paused:
                if self._error is not None:
                    raise self._error
                return b""
            if self._attached or self._reader is not None:
                raise UsageError("this response is being read already")
            await self._wait()
        data = self._take_kept()
        if self.paused:
            self.resume()
        return data

    # --- pushed ----------------------------------------------------------------------------

    def attach(self, on_data: OnData, on_end: OnEnd) -> None:
        """From now on hand over body bytes as they come.

        What arrived before is handed over first, before this returns. `on_data` gets what one
        socket read brought, joined, and takes it; after it said False nothing is called until
        `resume`. `on_end` is called once, after all data: with None for a complete body, else
        with the error. After `aclose` neither is called. An error raised by `on_data` ends the
        response with that error.

        Raises:
            UsageError: the response is closed, or being read already.
        """
        if self._closed or self._attached or self._reader is not None:
            raise UsageError("attach once, and before anything else reads the response")
        self._attached = True
        self._on_data = on_data
        self._on_end = on_end
        if self._inflater is None:
            self.sink = on_data
        data = self._take_kept()
        if data and not on_data(data):
            self._stop_continuing()
            self._pause()
        elif self.paused:
            self.resume()
        elif self._over:
            self._tell_end()

    def resume(self) -> None:
        """Ready for more, after `on_data` said False."""
        if not self.paused or self._closed or self._continuing is not None:
            return
        self.paused = False
        if self._inflater is not None and not self._drain():
            self.paused = not self._closed
        elif self._over:
            self._tell_end()
        elif self._carrier is not None:
            self._carrier.resume_reading()

    async def aclose(self) -> None:
        """Let go of the response. Before the end of its body this closes the socket. Idempotent."""
        self.close()

    def close(self) -> None:
        """What `aclose` does, for callers that cannot await; `on_data` may call it."""
        if self._closed:
            return
        self._closed = True
        carrier, self._carrier = self._carrier, None
        if carrier is not None:
            carrier.abort()
        self._forget()

    # --- for the carrier -------------------------------------------------------------------

    def end(self, error: BaseException | None) -> None:
        """The body is over; the carrier does something else now."""
        self._carrier = None
        self._over = True
        self._error = error
        if not (self.paused or self._closed):
            self._tell_end()

    # --- inside ----------------------------------------------------------------------------

    def _keep(self, data: bytes) -> bool:
        self._kept.append(data)
        self._kept_bytes += len(data)
        if self._reader is not None:
            self._wake_reader(None)
        return self._kept_bytes <= READ_AHEAD_BYTES

    def _take_kept(self) -> bytes:
        kept = self._kept
        data = kept[0] if len(kept) == 1 else b"".join(kept)
        kept.clear()
        self._kept_bytes = 0
        return data

    async def _wait(self) -> None:
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def _wake_reader(self, error: BaseException | None) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _pause(self) -> None:
        if not self._closed:
            self.paused = True
            if self._carrier is not None:
                self._carrier.pause_reading()

    def _inflate(self, data: bytes) -> bool:
        assert self._inflater is not None
        self._inflater.feed(data)
        return self._drain()

    def _drain(self) -> bool:
        """Hand over decoded pieces; False if there is more, or `on_data` wants no more.

        A piece's worth each time: a few bytes may hold seconds of work, and others share the loop.
        """
        given_bytes = 0
        while (inflater := self._inflater) is not None:
            try:
                piece = inflater.take()
            except zlib.error as error:
                self._spoil(error)
                return True
            if not piece:
                return True
            if not self._on_data(piece):
                return False
            given_bytes += len(piece)
            if given_bytes >= PIECE_BYTES and inflater.waiting and not self._closed:
                self._continue_soon()
                return False
        return True

    def _continue_soon(self) -> None:
        if self._continuing is None:
            self._continuing = asyncio.get_running_loop().call_soon(self._continue)

    def _continue(self) -> None:
        self._continuing = None
        try:
            self.resume()
        except Exception as error:
            if self._carrier is not None:
                self._carrier.abort()
            self.end(error)

    def _stop_continuing(self) -> None:
        if self._continuing is not None:
            self._continuing.cancel()
            self._continuing = None

    def _spoil(self, error: zlib.error) -> None:
        """The compressed data is damaged: nothing that follows can be read."""
        self._inflater = None
        self._error = MalformedStreamError(
            f"{self._peer}: the compressed body is damaged ({error}); what could be read is in"
            " `partial`",
            provider=self._peer,
            status=self.status,
        )
        self._error.__cause__ = error
        if self._carrier is not None:
            self._carrier.abort()
            self.end(self._error)

    def _tell_end(self) -> None:
        if self._error is None and self._inflater is not None and not self._inflater.complete:
            self._error = self._cut_inside_compression()
        on_end, error = self._on_end, self._error
        if self._attached:
            self._forget()
        on_end(error)

    def _cut_inside_compression(self) -> StreamError:
        return StreamCutError(
            f"{self._peer}: the compressed body ended early; what had arrived is in `partial`",
            provider=self._peer,
            status=self.status,
        )

    def _closed_error(self) -> StreamError:
        return StreamCutError(f"{self._peer}: the response was closed", provider=self._peer)

    def _forget(self) -> None:
        """Let go of whoever read: a response may be kept longer than its reader."""
        self._wake_reader(None)
        self._stop_continuing()
        self._take_kept()
        self._inflater = None
        self.sink = self._on_data = _ignore
        self._on_end = _ignore_end


def _ignore(data: bytes) -> bool:
    return True


def _ignore_end(error: BaseException | None) -> None:
    return
