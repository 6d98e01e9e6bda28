"""1. The source without an SDK: key-authenticated APIs over an HTTP client made for streams.

It builds the request itself, so nothing of an SDK is imported and none of its time is spent:
a warm request costs a tenth of a millisecond. The SDKs stay for what needs more than a key
(Azure, Bedrock, Vertex, profiles), for proxies and for a user's own client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from tokenline.errors import ConfigError, MissingKeyError, StreamError
from tokenline.source import ByteStream, Opening, Request
from tokenline.stage import RawChunk
from tokenline.telemetry.version import version

from .http.answers import (
    NO_STREAM_TYPES,
    media_type,
    no_stream_error,
    read_answer,
    redirect_error,
    status_error,
)
from .http.client import CONNECT_TIMEOUT_S, HttpClient, SentRequest
from .http.clients import LoopClients
from .http.connection import ConnectionLostError
from .http.failures import (
    connect_timeout,
    head_too_large,
    hung_up,
    unreachable,
    unreadable,
    unwritable,
)
from .http.proxies import proxy_applies
from .http.response import HttpResponse
from .http.response_parser import HeadTooLargeError, MalformedResponseError
from .http.source_spec import SourceSpec
from .http.tls import default_context

Payload = Mapping[str, Any]

_SECRETS = frozenset({"authorization", "x-api-key", "x-goog-api-key", "api-key"})
_SECRET_CHARS = 8
_STANDARD = {
    "accept-encoding": "identity",
    "content-type": "application/json",
    "user-agent": f"tokenline/{version() or 'unknown'}",
}


class DirectSource:
    """A `tokenline.source.Source` over `HttpClient`.

    Args:
        spec: names and address.
        url: where to send a payload.
        headers: the provider's own headers, its key among them; asked at every request.
            Raises `MissingKeyError` when there is no key.
        body: what to send for a payload: adds what streaming needs.
        no_stream_types: media types of answers that are no stream.
    """

    outlet: Any = RawChunk

    def __init__(
        self,
        spec: SourceSpec,
        *,
        url: Callable[[Payload], str],
        headers: Callable[[], Mapping[str, str]],
        body: Callable[[Payload], Payload],
        no_stream_types: tuple[str, ...] = NO_STREAM_TYPES,
    ) -> None:
        self.name = spec.name
        self.provider = spec.provider
        self.api = spec.api
        self.operation = spec.operation
        self.server_address = spec.server_address
        self.server_port = spec.server_port
        self._base_url = spec.base_url
        self._is_secure = spec.base_url is None or spec.base_url.lower().startswith("https:")
        self._url = url
        self._headers = headers
        self._body = body
        self._no_stream_types = no_stream_types
        self._clients: LoopClients[HttpClient] = LoopClients(self._make_client, _close_client)

    @property
    def applies(self) -> bool:
        """Whether requests may go straight to the server: false behind a proxy.

        Proxies are those of the environment (`HTTPS_PROXY` ..., `NO_PROXY` respected). The
        SDKs can use them, this source cannot: it refuses instead of passing them by.
        """
        return self._base_url is None or not proxy_applies(self._base_url)

    @property
    def secrets(self) -> set[str]:
        """The keys that it sends; no error may show them."""
        try:
            return _secrets(self._headers())
        except MissingKeyError:
            return set()

    async def prepare(self) -> None:
        """Make the running loop's client, if there is none yet.

        Raises:
            MissingKeyError: no credentials.
            ConfigError: the environment wants a proxy.
        """
        if self._clients.known() is not None:
            return
        self._headers()
        if self._is_secure:
            await asyncio.to_thread(default_context)  # reads the system's roots: 20-40 ms
        await self._clients.get()

    def begin(self, request: Request) -> Opening | None:
        """Send the request if a connection is kept for it; see `tokenline.source.EagerSource`."""
        client = self._clients.known()
        if client is None or type(self).open is not DirectSource.open:
            return None
        try:
            url = self._url(request.payload)
            if not client.keeps(url):
                return None  # before the work of writing, which `open` would do again
            headers, body = self._write(request)
            sent = client.post_nowait(url, headers, body, connect_timeout_s=_connect_s(request))
        except Exception:
            return None  # `open` meets it again, and says what it is
        return None if sent is None else _Opening(self, sent, headers)

    async def open(self, request: Request) -> ByteStream:
        """Send the request; see `tokenline.source.Source.open`.

        Raises:
            ConfigError: the request cannot be written: not JSON, or a bad header.
        """
        client = await self._clients.get()
        url = self._url(request.payload)
        headers, body = self._write(request)
        sent = client.post(url, headers, body, connect_timeout_s=_connect_s(request))
        return await self._answered(sent, headers)

    def _write(self, request: Request) -> tuple[dict[str, str], bytes]:
        headers = _merge(self._headers(), request.headers)
        return headers, _encode(self.provider, self._body(request.payload))

    async def _answered(
        self, sent: Awaitable[HttpResponse], headers: Mapping[str, str]
    ) -> ByteStream:
        try:
            response = await sent
        except (OSError, MalformedResponseError) as error:
            raise self._typed(error) from error
        if response.status >= 300 or media_type(response.headers) in self._no_stream_types:
            raise await self._refusal(response, headers)
        return response

    async def aclose(self) -> None:
        """Close the client that this source made on the running loop."""
        await self._clients.aclose()

    def __repr__(self) -> str:
        return f"DirectSource({self.provider!r}, {self.api!r}, {self.server_address!r})"

    def _make_client(self) -> HttpClient:
        if not self.applies:
            raise ConfigError(
                f"{self.provider}: the environment sets a proxy for {self._where()}, which direct"
                " requests do not use; add the host to NO_PROXY, or send requests with the SDK"
            )
        return HttpClient(self.provider)

    async def _refusal(self, response: HttpResponse, headers: Mapping[str, str]) -> StreamError:
        """The error for an answer that is no stream."""
        provider, status = self.provider, response.status
        try:
            if status < 400 and status >= 300:
                return redirect_error(provider, status, response.headers.get("location"))
            body = _hide(await read_answer(response.read), headers)
            make = status_error if status >= 400 else no_stream_error
            return make(provider, status, response.headers, body)
        finally:
            await response.aclose()

    def _typed(self, error: Exception) -> StreamError:
        provider, where = self.provider, self._where()
        if isinstance(error, TimeoutError):
            return connect_timeout(provider, where)
        if isinstance(error, HeadTooLargeError):
            return head_too_large(provider, where, error)
        if isinstance(error, MalformedResponseError):
            return unreadable(provider, where, error)
        if isinstance(error, ConnectionLostError):
            return hung_up(provider, where, error)
        return unreachable(provider, where, error)

    def _where(self) -> str:
        if self.server_address is None:
            return "the server"
        return f"{self.server_address}:{self.server_port}"


class _Opening:
    """A request that was sent, and whose it is."""

    __slots__ = ("_headers", "_sent", "_source")

    def __init__(self, source: DirectSource, sent: SentRequest, headers: Mapping[str, str]) -> None:
        self._source = source
        self._sent = sent
        self._headers = headers

    async def stream(self) -> ByteStream:
        return await self._source._answered(self._sent.response(), self._headers)

    def abort(self) -> None:
        self._sent.abort()


def _connect_s(request: Request) -> float:
    timeout_s = request.connect_timeout_s
    return CONNECT_TIMEOUT_S if timeout_s is None else timeout_s


def _merge(own: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """All headers of a request, names in lower case; those given with it come first."""
    headers = _STANDARD | dict(own)
    for name, value in given.items():
        headers[name.lower()] = value
    return headers


def _encode(provider: str, payload: Payload) -> bytes:
    try:
        return msgspec.json.encode(payload, enc_hook=_encode_model)
    except (TypeError, ValueError, RecursionError) as error:
        raise unwritable(provider, error) from error


def _encode_model(value: Any) -> Any:
    """Pydantic models in a payload, written as the SDKs write them."""
    dump = getattr(value, "model_dump", None)
    if dump is None:
        raise TypeError(f"{type(value).__name__} is no JSON value")
    return dump(mode="json", by_alias=True, exclude_unset=True)


def _hide(body: bytes, headers: Mapping[str, str]) -> bytes:
    """The body without the key, should the server send it back."""
    for secret in _secrets(headers):
        body = body.replace(secret.encode(), b"***")
    return body


def _secrets(headers: Mapping[str, str]) -> set[str]:
    keys = (headers[name].rpartition(" ")[2] for name in _SECRETS.intersection(headers))
    return {key for key in keys if len(key) >= _SECRET_CHARS}


async def _close_client(client: HttpClient) -> None:
    await client.aclose()
