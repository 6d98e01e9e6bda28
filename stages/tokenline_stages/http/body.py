"""The body of an open response, read as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import aiohttp
import httpx2

from tokenline.errors import MalformedStreamError, StreamCutError, StreamError
from tokenline_stages.provider_errors import one_line

from .transport import BODY_EXTENSION, BrokenBodyError


class ResponseBytes:
    """A `tokenline.source.ByteStream` over an open httpx2 response.

    Over `AiohttpTransport` it reads from aiohttp's buffer; over any other transport, and for a
    compressed body, through httpx2's `aiter_bytes`.
    """

    def __init__(self, response: httpx2.Response, provider: str) -> None:
        self._response = response
        self._provider = provider
        self._read_bytes = 0
        carried: aiohttp.ClientResponse | None = response.extensions.get(BODY_EXTENSION)
        compressed = response.headers.get("content-encoding", "identity") != "identity"
        self.read: Callable[[], Awaitable[bytes]]
        if carried is None or compressed:
            self._chunks: AsyncIterator[bytes] = response.aiter_bytes()
            self.read = self._read_through_httpx
        else:
            self._content = carried.content
            self.read = self._read_from_buffer

    @property
    def status(self) -> int:
        """HTTP status."""
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        """Response headers, names in lower case."""
        return self._response.headers

    async def aclose(self) -> None:
        """Let go of the response; before the end of its body this closes the socket."""
        await self._response.aclose()

    async def _read_from_buffer(self) -> bytes:
        try:
            data = await self._content.readany()
        except (aiohttp.ClientError, OSError) as error:
            data = self._rescue()
            if not data:
                raise self._ended(error) from error
        self._read_bytes += len(data)
        return data

    def _rescue(self) -> bytes:
        """What arrived before the connection broke; aiohttp holds it back behind the error."""
        error = self._content.exception()
        if error is None:
            return b""
        self._content.set_exception(None)  # type: ignore[arg-type]  # the way to read on
        try:
            return self._content.read_nowait()
        finally:
            self._content.set_exception(error)

    async def _read_through_httpx(self) -> bytes:
        try:
            async for data in self._chunks:
                if data:
                    self._read_bytes += len(data)
                    return data
        except (httpx2.HTTPError, aiohttp.ClientError, OSError) as error:
            raise self._ended(error) from error
        return b""

    def _ended(self, error: BaseException) -> StreamError:
        reason = one_line(str(error)) or type(error).__name__
        if isinstance(error, (BrokenBodyError, httpx2.DecodingError)):
            return MalformedStreamError(
                f"{self._provider}: the response cannot be read on after {self._read_bytes} bytes"
                f" ({reason}); what had arrived is in `partial`",
                offset=self._read_bytes,
                provider=self._provider,
                status=self.status,
            )
        return StreamCutError(
            f"{self._provider}: the connection broke after {self._read_bytes} bytes of the"
            f" response ({reason}); what had arrived is in `partial`",
            provider=self._provider,
            status=self.status,
        )
