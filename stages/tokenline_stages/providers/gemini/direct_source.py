"""Opens Gemini API streams without an SDK (ai.google.dev/api/generate-content)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from tokenline.errors import ConfigError, MissingKeyError
from tokenline_stages.direct import DirectSource
from tokenline_stages.http.keys import find_base_url, find_key, join_url
from tokenline_stages.http.source_spec import SourceSpec

if TYPE_CHECKING:
    from tokenline_stages.providers.registry import Access

BASE_URL = "https://generativelanguage.googleapis.com"
API_VERSION = "v1beta"
"""Put into the path, unless the base URL ends with a version."""

_VERSION = re.compile(r"/v\d\w*/?\Z")


def direct_gemini_source(access: Access) -> DirectSource:
    """The source of `POST /v1beta/models/{model}:streamGenerateContent?alt=sse`.

    The model is the payload's `model`, which is no field of the API's own body. Of the two
    variables for the key, `GOOGLE_API_KEY` counts first, as in Google's SDK.

    Raises:
        ConfigError: no usable address.
    """
    base_url = find_base_url(access.base_url, "GOOGLE_GEMINI_BASE_URL") or BASE_URL
    has_version = _VERSION.search(urlsplit(base_url).path) is not None
    root = base_url if has_version else join_url(base_url, f"/{API_VERSION}")
    return DirectSource(
        SourceSpec("gcp.gemini", "gemini.generate_content", base_url, "generate_content"),
        url=lambda payload: _address(root, payload),
        headers=lambda: _headers(access),
        body=lambda payload: {name: payload[name] for name in payload if name != "model"},
    )


def _address(root: str, payload: Mapping[str, Any]) -> str:
    model = payload.get("model")
    if not isinstance(model, str) or not model:
        raise ConfigError("gemini: the payload names no model; add 'model': 'gemini-...'")
    resource = model if "/" in model else f"models/{model}"
    address = join_url(root, f"/{quote(resource)}:streamGenerateContent")
    return f"{address}{'&' if '?' in address else '?'}alt=sse"


def _headers(access: Access) -> dict[str, str]:
    key = find_key(access.api_key, "GOOGLE_API_KEY", "GEMINI_API_KEY")
    if key is None:
        raise MissingKeyError("gemini: no API key; set GEMINI_API_KEY, or pass api_key=...")
    return {"x-goog-api-key": key}
