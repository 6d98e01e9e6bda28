"""Opens Chat Completions streams of OpenAI and of compatible servers with the openai SDK."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx2

from tokenline.source import Request
from tokenline_stages.http.openai_sdk import make_openai_client, send_openai
from tokenline_stages.providers.registry import Access
from tokenline_stages.source import SdkSource, SendRequest, SourceSpec

from .quirks import Quirks

_UNNEEDED_KEY = "unneeded"


def chat_source(provider: str, quirks: Quirks, access: Access) -> SdkSource:
    """The source of `POST {base_url}/chat/completions`."""
    base_url = access.base_url or _usual_base_url(provider, quirks)
    if access.client is not None:
        base_url = str(getattr(access.client, "base_url", base_url))
    spec = SourceSpec(quirks.genai_name, "openai.chat", base_url)
    send = send_openai("/chat/completions")

    def make_client() -> Any:
        return make_openai_client(
            api_key=access.api_key or _usual_key(quirks),
            base_url=base_url,
            max_retries=access.max_retries,
            provider=provider,
            key_env=quirks.key_variable or "OPENAI_API_KEY",
        )

    if quirks.include_usage:
        send = _asking_for_usage(send)
    return SdkSource(spec, send, make_client, access.client)


def _usual_base_url(provider: str, quirks: Quirks) -> str | None:
    if provider == "openai" and os.environ.get("OPENAI_BASE_URL"):
        return os.environ["OPENAI_BASE_URL"]
    return quirks.base_url


def _usual_key(quirks: Quirks) -> str | None:
    key = os.environ.get(quirks.key_variable) if quirks.key_variable else None
    return key or (None if quirks.needs_key else _UNNEEDED_KEY)


def _asking_for_usage(send: SendRequest) -> SendRequest:
    """Servers send token counts in a stream only if asked; a caller's own choice stays."""

    async def ask(client: Any, request: Request) -> httpx2.Response:
        payload: Mapping[str, Any] = request.payload
        options = {"include_usage": True, **(payload.get("stream_options") or {})}
        return await send(client, replace(request, payload={**payload, "stream_options": options}))

    return ask
