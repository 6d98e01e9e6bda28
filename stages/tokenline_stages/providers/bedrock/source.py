"""Opens Bedrock streams with the anthropic SDK's Bedrock client, which signs any path.

The body is sent as bytes: into a dict the client would put Anthropic's own `anthropic_version`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from tokenline.errors import ConfigError
from tokenline.source import Request
from tokenline_stages.http import anthropic_sdk as sdk
from tokenline_stages.http.sdk import post_stream
from tokenline_stages.http.source_spec import SourceSpec
from tokenline_stages.providers.registry import Access
from tokenline_stages.source import SdkSource

from .vocabulary import PROVIDER

if TYPE_CHECKING:
    import httpx2

_HEADERS = {"content-type": "application/json"}
_MODEL_KEYS = ("modelId", "model")


def bedrock_source(access: Access, api: str, action: str, operation: str = "chat") -> SdkSource:
    """The source of `POST /model/{modelId}/{action}`.

    The model's id or ARN is the payload's `modelId` or `model`; it goes into the path.

    Args:
        access: how to reach it.
        api: name of the wire API.
        action: `converse-stream` or `invoke-with-response-stream`.
        operation: GenAI operation name.

    Raises:
        ConfigError: the user's client is of another kind.
    """
    access.need_sdk("bedrock")
    client = sdk.own_client(access, "AsyncAnthropicBedrock", "bedrock")

    async def send(client: Any, request: Request) -> httpx2.Response:
        path, content = read_request(request.payload, action)
        with sdk.naming_credentials("bedrock", "bedrock"):
            return await post_stream(client, path, request, content=content, headers=_HEADERS)

    spec = SourceSpec(PROVIDER, api, sdk.bedrock_base_url(access), operation)
    return SdkSource(
        spec,
        send,
        lambda: sdk.make_bedrock_client(access, "bedrock"),
        client,
        sdk.MODULES["anthropic-bedrock"],
    )


def read_request(payload: Any, action: str) -> tuple[str, bytes]:
    """Path and body of a request.

    Raises:
        ConfigError: the payload names no model.
    """
    model = next((payload[key] for key in _MODEL_KEYS if payload.get(key)), None)
    if not isinstance(model, str):
        raise ConfigError("bedrock: the payload names no model; put its id or ARN in `modelId`")
    body = {key: value for key, value in payload.items() if key not in _MODEL_KEYS}
    # A colon stays: HTTP libraries unquote it on the way, and the path is signed.
    return f"/model/{quote(model, safe=':')}/{action}", msgspec.json.encode(body)
