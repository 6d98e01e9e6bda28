"""One HTTP/1.1 connection: from a socket's bytes to a response, one exchange at a time.

States: idle -> busy (a request was sent) -> idle again once its response is complete;
any -> closed. `data_received` is where bytes become responses; it needs no socket.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextvars import Context
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade

from tokenline.errors import MalformedStreamError, StreamCutError
from tokenline.wake import Wakes

from .answer import Answer
from .inflate import Inflater
from .response import HttpResponse
from .response_parser import Progress, ResponseParser

READ_BYTES = 256 * 1024
"""Most that one read takes from the socket; asyncio's own choice."""

WRITE_BYTES = 256 * 1024
"""How much of a request's body is given to the socket at once."""


_BODY = Progress.BODY  # looking up a member of an enumeration costs as much as a call

# A model may think for minutes: probes tell a silent server from one that is gone.
_KEEP_ALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)] + [
    (socket.IPPROTO_TCP, getattr(socket, name), 60)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL")
    if hasattr(socket, name)
]


class ConnectionLostError(ConnectionError):
    """The server closed the connection before a response; `received` if bytes of one came."""

    def __init__(self, message: str, *, received: bool) -> None:
        super().__init__(message)
        self.received = received


class HttpConnection(asyncio.BufferedProtocol):
    """A connection to one server.

    Args:
        peer: whose server it is, for messages.
        buffer: what sockets are read into. All connections of a loop share it: bytes are
            taken out of it before anything else is read.
        on_free: told when the response is complete and another request may be sent.
        on_gone: told once when the connection is closed.

    Attributes:
        closed: it is of no more use.
        keep_alive_s: how long the server said it keeps an idle connection, if it said so.
    """

    __slots__ = (
        "_answer",
        "_buffer",
        "_feed",
        "_on_free",
        "_on_gone",
        "_parser",
        "_peer",
        "_received",
        "_response",
        "_room",
        "_sent",
        "_transport",
        "_wakes",
        "_write_paused",
        "closed",
        "keep_alive_s",
    )

    def __init__(
        self,
        peer: str,
        buffer: memoryview,
        on_free: Callable[[HttpConnection], None],
        on_gone: Callable[[HttpConnection], None],
    ) -> None:
        self.closed = False
        self.keep_alive_s: float | None = None
        self._peer = peer
        self._buffer = buffer
        self._on_free = on_free
        self._on_gone = on_gone
        self._parser = ResponseParser()
        self._feed = self._parser.feed
        self._transport: asyncio.Transport | None = None
        self._response: HttpResponse | None = None
        self._answer: Answer | None = None
        self._wakes = Wakes()
        self._received = False
        self._sent = True
        self._room: asyncio.Future[None] | None = None
        self._write_paused = False

    # --- exchange --------------------------------------------------------------------------

    async def exchange(self, head: bytes, body: bytes) -> HttpResponse:
        """Send a request; gives its response when the headers are there.

        Cancelling it closes the connection.

        Raises:
            ConnectionLostError: the server closed the connection instead.
            MalformedResponseError: the answer is not HTTP, or its head is too large.
        """
        if len(body) <= WRITE_BYTES:
            return await self.answered(self.send(head, body))
        transport, answer = self._expect()
        try:
            await self._write_large(transport, head, body, answer)
        except BaseException:
            self.give_up(answer)
            raise
        return await self.answered(answer)

    def send(self, head: bytes, body: bytes) -> Answer:
        """Send a request whose body is no larger than `WRITE_BYTES`, without waiting.

        What it gives goes to `answered`, or to `give_up`.

        Raises:
            ConnectionLostError: the connection is closed; nothing was sent.
        """
        transport, answer = self._expect()
        try:
            transport.write(head + body)
        except BaseException:
            self.give_up(answer)
            raise
        return answer

    async def answered(self, answer: Answer) -> HttpResponse:
        """The response to what was sent; raises like `exchange`, cancelling closes, too."""
        try:
            await answer
            assert answer.response is not None
            return answer.response
        except BaseException:
            self.give_up(answer)
            raise
        finally:
            # A short response is over by now, and the connection perhaps in other hands.
            if self._answer is answer:
                self._answer = None

    def give_up(self, answer: Answer) -> None:
        """Nobody waits for the response any more: close the socket, unless others use it."""
        if self._answer is answer:
            self.abort()

    def _expect(self) -> tuple[asyncio.Transport, Answer]:
        transport = self._transport
        if transport is None or self.closed:
            raise ConnectionLostError("the connection was closed", received=False)
        answer = self._answer = Answer(asyncio.get_running_loop(), self._wakes)
        self._received = False
        self._parser.expect()
        return transport, answer

    async def _write_large(
        self,
        transport: asyncio.Transport,
        head: bytes,
        body: bytes,
        answer: Answer,
    ) -> None:
        self._sent = False
        transport.write(head)
        view = memoryview(body)
        for at in range(0, len(body), WRITE_BYTES):
            # A server that refuses, or is gone, has no use for the rest.
            if answer.done() and (self._response is None or self._response.status >= 300):
                return
            transport.write(view[at : at + WRITE_BYTES])
            if self._write_paused:
                self._room = asyncio.get_running_loop().create_future()
                await self._room
        self._sent = True

    # --- for the response ------------------------------------------------------------------

    def pause_reading(self) -> None:
        """Read nothing more from the socket for now."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self._transport is not None:
            # The loop keeps the caller's context with the reader; a run's must not stay there.
            Context().run(self._transport.resume_reading)

    def abort(self) -> None:
        """Close the socket at once and forget the response. Idempotent."""
        self._response = None
        self._close()

    def lose(self, reason: str) -> None:
        """Close the socket at once; whoever waits for a response is told why. Idempotent."""
        response, self._response = self._response, None
        self._close()
        if self._answer is not None and not self._answer.done():
            self._answer.fail(
                ConnectionLostError(
                    f"the connection ended before a response ({reason})", received=self._received
                )
            )
        elif response is not None:
            response.end(self._cut(response, reason))

    # --- asyncio ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is connected (and TLS agreed on)."""
        self._transport = cast(asyncio.Transport, transport)
        raw = transport.get_extra_info("socket")
        if raw is not None:
            for level, option, value in _KEEP_ALIVE:
                raw.setsockopt(level, option, value)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes have come."""
        self.data_received(self._buffer[:nbytes])

    def data_received(self, data: bytes | memoryview) -> None:
        """Bytes have come; body bytes are handed over before this returns."""
        error = None
        try:
            self._feed(data)
        except (HttpParserError, HttpParserUpgrade) as fault:
            error = fault
        parser = self._parser
        response = self._response
        if parser.progress is _BODY and parser.parts and response is not None:
            self._hand_over(response)
            if error is None:
                return
        answer = self._answer
        if answer is None or answer.done():
            self._advance(error, len(data))
        else:
            self._take_head(error, len(data))

    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """The socket takes more."""
        self._write_paused = False
        self._wake_writer()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed, by the server unless we did it."""
        self._transport = None
        if exc is None and self._response is not None and self._parser.until_close:
            self._finish()
        else:
            self.lose(str(exc) if exc is not None else "the server closed it")

    # --- inside ----------------------------------------------------------------------------

    def _take_head(self, error: Exception | None, fed_bytes: int) -> None:
        """Whoever waits for the response goes on with it before this returns."""
        wakes = self._wakes
        wakes.held = True
        try:
            self._advance(error, fed_bytes)
        finally:
            wakes.releasing = True
            try:
                wakes.release()
            finally:
                wakes.releasing = False

    def _advance(self, error: Exception | None, fed_bytes: int) -> None:
        """Everything that is rarer than a read of body bytes."""
        parser = self._parser
        self._received = True
        if parser.progress is Progress.NONE:
            self.abort()  # nobody asked: a server may say 408 before it closes
            return
        response = self._response
        if response is None and parser.progress is not Progress.HEAD:
            response = self._open_response()
            if response is None:
                self.abort()  # whoever asked was cancelled: the next one must not get its answer
                return
        if response is not None and parser.parts:
            self._hand_over(response)
            fed_bytes = 0
        if self.closed:
            return
        if parser.progress is Progress.COMPLETE:
            self._finish()
            return
        failure = parser.find_failure(error, fed_bytes)
        if failure is not None:
            self._fail(failure)

    def _open_response(self) -> HttpResponse | None:
        parser = self._parser
        answer = self._answer
        if answer is None or answer.done():
            return None
        inflater = Inflater(parser.coding) if parser.coding else None
        response = HttpResponse(
            parser.status, parser.headers, self, inflater, self._peer, self._wakes
        )
        self._response = response
        answer.resolve(response)
        if response.status >= 300:
            self._wake_writer()
        return response

    def _hand_over(self, response: HttpResponse) -> None:
        parser = self._parser
        if len(parser.parts) == 1:  # `take_body`, spelled out: one event, one chunk, one read
            data = parser.parts.pop()
            parser.body_bytes += len(data)
        else:
            data = parser.take_body()
        try:
            more = response.sink(data)
        except Exception as error:
            self.abort()
            response.end(error)
            return
        if not more and self._response is response:
            response.paused = True
            if parser.progress is _BODY:
                self.pause_reading()

    def _finish(self) -> None:
        response, self._response = self._response, None
        if self._parser.reusable and self._sent:
            self.keep_alive_s = self._parser.rest()
            self._on_free(self)
        else:
            self._close()
        if response is not None:
            response.end(None)

    def _fail(self, failure: Exception) -> None:
        response, self._response = self._response, None
        self._close()
        if self._answer is not None and not self._answer.done():
            self._answer.fail(failure)
        elif response is not None:
            error = MalformedStreamError(
                f"{self._peer}: the response breaks HTTP/1.1 ({failure}); what had arrived is in"
                " `partial`",
                offset=self._parser.body_bytes,
                provider=self._peer,
                status=response.status,
            )
            error.__cause__ = failure
            response.end(error)

    def _cut(self, response: HttpResponse, reason: str) -> StreamCutError:
        return StreamCutError(
            f"{self._peer}: the connection broke after {self._parser.body_bytes} bytes of the"
            f" response ({reason}); what had arrived is in `partial`",
            provider=self._peer,
            status=response.status,
        )

    def _close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._parser.close()
        self._feed = self._parser.feed
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        self._wake_writer()
        self._on_gone(self)

    def _wake_writer(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
