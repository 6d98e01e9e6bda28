"""Opens Chat Completions streams of OpenAI, of Azure and of compatible servers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenline_stages.http.azure_sdk import azure_source
from tokenline_stages.http.openai_sdk import openai_source
from tokenline_stages.http.openai_server import OpenAIServer
from tokenline_stages.providers.registry import Access
from tokenline_stages.source import SdkSource

from .quirks import Quirks


def chat_source(server: OpenAIServer, quirks: Quirks, access: Access) -> SdkSource:
    """The source of `POST {base_url}/chat/completions`.

    Raises:
        ConfigError: no address, or the user's client is of another kind.
    """
    fields = ask_for_usage if quirks.include_usage else None
    if server.name == "azure":
        return azure_source(access, "openai.chat", fields)
    return openai_source(server, access, "openai.chat", fields)


def ask_for_usage(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Servers send token counts in a stream only if asked; a caller's own choice stays."""
    return {"stream_options": {"include_usage": True, **(payload.get("stream_options") or {})}}
