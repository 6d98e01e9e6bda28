"""Opens Anthropic Messages streams with the official SDK client."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import httpx2

from tokenline.errors import MissingKeyError
from tokenline.source import Request
from tokenline_stages.http.transport import AiohttpTransport
from tokenline_stages.providers.registry import Access
from tokenline_stages.source import SdkSource, SourceSpec

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

DEFAULT_BASE_URL = "https://api.anthropic.com"


def messages_source(access: Access) -> SdkSource:
    """The source of `POST /v1/messages`."""
    base_url = access.base_url or os.environ.get("ANTHROPIC_BASE_URL") or DEFAULT_BASE_URL
    if access.client is not None:
        base_url = str(getattr(access.client, "base_url", base_url))
    spec = SourceSpec("anthropic", "anthropic.messages", base_url)
    return SdkSource(spec, _send, lambda: _make_client(access, base_url), access.client)


def _make_client(access: Access, base_url: str) -> AsyncAnthropic:
    from anthropic import AsyncAnthropic

    named = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
    if access.api_key is None and not any(os.environ.get(name) for name in named):
        raise MissingKeyError(
            "anthropic: no API key; set ANTHROPIC_API_KEY, pass api_key=...,"
            " or pass your own client=..."
        )
    return AsyncAnthropic(
        api_key=access.api_key,
        base_url=base_url,
        max_retries=access.max_retries,
        # The request span is ours: a second CLIENT span of the same call would count it twice.
        open_telemetry=False,
        http_client=httpx2.AsyncClient(
            transport=AiohttpTransport(), timeout=httpx2.Timeout(None, connect=10.0)
        ),
    )


async def _send(client: AsyncAnthropic, request: Request) -> httpx2.Response:
    from anthropic import AsyncStream

    response: Any = await client.post(
        "/v1/messages",
        cast_to=httpx2.Response,
        body={**request.payload, "stream": True},
        options={"headers": dict(request.headers)},
        stream=True,
        stream_cls=AsyncStream[Any],
    )
    return cast(httpx2.Response, response)
