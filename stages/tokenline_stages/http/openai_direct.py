"""Sources without an SDK for OpenAI's APIs, of OpenAI and of compatible servers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tokenline.errors import ConfigError, MissingKeyError
from tokenline_stages.direct import DirectSource

from .keys import custom_headers, find_base_url, find_key, join_url
from .source_spec import SourceSpec

if TYPE_CHECKING:
    from tokenline_stages.providers.registry import Access

    from .openai_server import OpenAIServer

_PATHS = {"openai.chat": "/chat/completions", "openai.responses": "/responses"}
_ACCOUNT = {"openai-organization": "OPENAI_ORG_ID", "openai-project": "OPENAI_PROJECT_ID"}


def openai_direct_source(
    server: OpenAIServer,
    access: Access,
    api: str,
    streaming_fields: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
) -> DirectSource:
    """The source of one API of a server, authenticated by a bearer key.

    Args:
        server: whose; Azure is not among them, its addresses and keys have other forms.
        access: key and address; the environment's variables where it has none.
        api: a wire API, `openai.chat` or `openai.responses`.
        streaming_fields: what to add to a payload beside `stream: true`.

    Raises:
        ConfigError: no address, or a client or its options beside it.
    """
    access.need_no_sdk(server.name)
    base_url = _base_url(server, access)
    address = join_url(base_url, _PATHS[api])

    def body(payload: Mapping[str, Any]) -> Mapping[str, Any]:
        more = streaming_fields(payload) if streaming_fields is not None else {}
        return {**payload, "stream": True, **more}

    return DirectSource(
        SourceSpec(server.genai_name, api, base_url),
        url=lambda payload: address,
        headers=lambda: _headers(server, access),
        body=body,
    )


def _base_url(server: OpenAIServer, access: Access) -> str:
    base_url = find_base_url(access.base_url, server.base_url_variable, server.base_url)
    if not base_url:
        ways = f"set {server.base_url_variable} or " if server.base_url_variable else ""
        raise ConfigError(f"{server.name}: no address; {ways}pass base_url=...")
    return base_url


def _headers(server: OpenAIServer, access: Access) -> dict[str, str]:
    headers = {}
    if server.name == "openai":
        # These name an account at OpenAI and are no business of another server.
        headers = {name: os.environ[v] for name, v in _ACCOUNT.items() if os.environ.get(v)}
        headers |= custom_headers("OPENAI_CUSTOM_HEADERS")
    key = find_key(access.api_key, server.key_variable)
    if key is not None:
        return {"authorization": f"Bearer {key}", **headers}
    if server.needs_key and "authorization" not in headers:
        ways = f"set {server.key_variable}, or " if server.key_variable else ""
        raise MissingKeyError(f"{server.name}: no API key; {ways}pass api_key=...")
    return headers
