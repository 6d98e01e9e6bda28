"""Opens Chat Completions streams without an SDK."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tokenline_stages.direct import DirectSource
from tokenline_stages.http.openai_direct import openai_direct_source

from .quirks import Quirks

if TYPE_CHECKING:
    from tokenline_stages.http.openai_server import OpenAIServer
    from tokenline_stages.providers.registry import Access


def direct_chat_source(server: OpenAIServer, quirks: Quirks, access: Access) -> DirectSource:
    """The source of `POST {base_url}/chat/completions`; not for Azure.

    Raises:
        ConfigError: no address.
    """
    fields = _ask_for_usage if quirks.include_usage else None
    return openai_direct_source(server, access, "openai.chat", fields)


def _ask_for_usage(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Servers send token counts in a stream only if asked; a caller's own choice stays."""
    return {"stream_options": {"include_usage": True, **(payload.get("stream_options") or {})}}
