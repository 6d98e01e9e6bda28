"""Opens streams of Ollama's native API (docs.ollama.com/api); there is no SDK path for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tokenline_stages.direct import DirectSource
from tokenline_stages.http.address import check_address
from tokenline_stages.http.keys import find_base_url, find_key, join_url
from tokenline_stages.http.source_spec import SourceSpec

if TYPE_CHECKING:
    from tokenline_stages.providers.registry import Access

_PORT = 11434
_ANYWHERE = ("0.0.0.0", "::")


def direct_chat_source(access: Access) -> DirectSource:
    """The source of `POST /api/chat`."""
    return _source(access, "ollama.chat", "/api/chat", "chat")


def direct_generate_source(access: Access) -> DirectSource:
    """The source of `POST /api/generate`."""
    return _source(access, "ollama.generate", "/api/generate", "text_completion")


def read_host(host: str | None) -> str:
    """The base URL that `OLLAMA_HOST` means.

    As Ollama reads it: scheme and port may be missing (then `http` and 11434; with a scheme its
    own port). An address that means every interface to a server means this machine to us.

    Raises:
        ConfigError: requests cannot go there.
    """
    host = (host or "").strip().strip("\"'").rstrip("/")
    scheme, separator, rest = host.partition("://")
    if not separator:
        scheme, rest = "http", host
        if rest.startswith(":"):
            rest = f"127.0.0.1{rest}"
    parts = urlsplit(check_address(f"{scheme}://{rest or '127.0.0.1'}", "OLLAMA_HOST"))
    name = parts.hostname or "127.0.0.1"
    if name in _ANYWHERE:
        name = "127.0.0.1"
    port = parts.port or (None if separator else _PORT)
    shown = f"[{name}]" if ":" in name else name
    return f"{scheme}://{shown}{f':{port}' if port else ''}{parts.path}"


def _source(access: Access, api: str, path: str, operation: str) -> DirectSource:
    base_url = find_base_url(access.base_url, None) or read_host(os.environ.get("OLLAMA_HOST"))
    address = join_url(base_url, path)
    return DirectSource(
        SourceSpec("ollama", api, base_url, operation),
        url=lambda payload: address,
        headers=lambda: _headers(access),
        body=_body,
        no_stream_types=("text/html",),
    )


def _body(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {**payload, "stream": True}


def _headers(access: Access) -> dict[str, str]:
    """A local server asks for no key; ollama.com does."""
    key = find_key(access.api_key, "OLLAMA_API_KEY")
    return {"authorization": f"Bearer {key}"} if key else {}
