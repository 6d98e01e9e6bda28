"""Opens Anthropic Messages streams without an SDK (platform.claude.com/docs/en/api/overview)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenline.errors import MissingKeyError
from tokenline_stages.direct import DirectSource
from tokenline_stages.http.keys import custom_headers, find_base_url, find_key, join_url
from tokenline_stages.http.source_spec import SourceSpec

if TYPE_CHECKING:
    from tokenline_stages.providers.registry import Access

BASE_URL = "https://api.anthropic.com"
API_VERSION = "2023-06-01"
"""Sent as `anthropic-version`, unless a request has that header."""


def direct_messages_source(access: Access) -> DirectSource:
    """The source of `POST /v1/messages`, authenticated by a key or a bearer token.

    Raises:
        ConfigError: no usable address, or a client or its options beside it.
    """
    access.need_no_sdk("anthropic")
    base_url = find_base_url(access.base_url, "ANTHROPIC_BASE_URL") or BASE_URL
    address = join_url(base_url, "/v1/messages")
    return DirectSource(
        SourceSpec("anthropic", "anthropic.messages", base_url),
        url=lambda payload: address,
        headers=lambda: _headers(access),
        body=lambda payload: {**payload, "stream": True},
    )


def _headers(access: Access) -> dict[str, str]:
    headers = {"anthropic-version": API_VERSION, **custom_headers("ANTHROPIC_CUSTOM_HEADERS")}
    key = find_key(access.api_key, "ANTHROPIC_API_KEY")
    token = None if key else find_key(None, "ANTHROPIC_AUTH_TOKEN")
    if key is not None:
        headers["x-api-key"] = key
    elif token is not None:
        headers["authorization"] = f"Bearer {token}"
    elif not headers.keys() & {"x-api-key", "authorization"}:
        raise MissingKeyError(
            "anthropic: no API key; set ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN,"
            " or pass api_key=..."
        )
    return headers
