"""Requests through the official openai SDK: client and sending, for Chat and Responses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

import httpx2

from tokenline.errors import MissingKeyError
from tokenline.source import Request

from .transport import AiohttpTransport

if TYPE_CHECKING:
    from openai import AsyncOpenAI


def make_openai_client(
    *, api_key: str | None, base_url: str | None, max_retries: int, provider: str, key_env: str
) -> AsyncOpenAI:
    """An `AsyncOpenAI` over the aiohttp transport.

    Raises:
        MissingKeyError: neither argument nor environment gives a key.
    """
    import openai

    try:
        return openai.AsyncOpenAI(
            api_key=api_key,
            base_url=base_url,
            max_retries=max_retries,
            http_client=httpx2.AsyncClient(
                transport=AiohttpTransport(), timeout=httpx2.Timeout(None, connect=10.0)
            ),
        )
    except openai.OpenAIError as error:
        raise MissingKeyError(
            f"{provider}: no API key; set {key_env}, pass api_key=..., or pass your own client=..."
        ) from error


def send_openai(path: str) -> Callable[[Any, Request], Awaitable[httpx2.Response]]:
    """A sender for `path`: posts the payload as it is and gives the open response.

    With `cast_to=httpx2.Response` the SDK hands out the response itself, unread; it builds no
    stream and no chunk objects.
    """

    async def send(client: AsyncOpenAI, request: Request) -> httpx2.Response:
        from openai import AsyncStream

        response: Any = await client.post(
            path,
            cast_to=httpx2.Response,
            body={**request.payload, "stream": True},
            options={"headers": dict(request.headers)},
            stream=True,
            stream_cls=AsyncStream[Any],
        )
        return cast(httpx2.Response, response)

    return send
