"""Opens Messages streams with the official SDK: of Anthropic, on Vertex AI and on Bedrock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenline.errors import ConfigError
from tokenline.source import Request
from tokenline_stages.http import anthropic_sdk as sdk
from tokenline_stages.http.sdk import post_stream
from tokenline_stages.http.source_spec import SourceSpec
from tokenline_stages.providers.registry import Access
from tokenline_stages.source import SdkSource

from .platforms import Platform

if TYPE_CHECKING:
    import httpx2

_BASE_URLS = {
    "anthropic": sdk.direct_base_url,
    "anthropic-vertex": sdk.vertex_base_url,
    "anthropic-bedrock": sdk.bedrock_base_url,
}
_CLIENTS = {
    "anthropic": sdk.make_direct_client,
    "anthropic-vertex": sdk.make_vertex_client,
    "anthropic-bedrock": sdk.make_bedrock_client,
}


def messages_source(platform: Platform, access: Access) -> SdkSource:
    """The source of `POST /v1/messages`, which the SDK turns into what a platform has instead.

    Raises:
        ConfigError: the user's client is of another kind.
    """
    client = sdk.own_client(access, platform.client_class, platform.name)

    async def send(client: Any, request: Request) -> httpx2.Response:
        body = {**request.payload, "stream": True}
        if platform.frames and "modelId" in body:
            body["model"] = body.pop("modelId")
        if platform.cloud is not None and not isinstance(body.get("model"), str):
            raise ConfigError(f"{platform.name}: the payload names no model; add `model`")
        with sdk.naming_credentials(platform.name, platform.cloud):
            return await post_stream(client, "/v1/messages", request, body=body)

    base_url = _BASE_URLS[platform.name](access)
    spec = SourceSpec(platform.genai_name, "anthropic.messages", base_url)
    return SdkSource(
        spec,
        send,
        lambda: _CLIENTS[platform.name](access),
        client,
        sdk.MODULES[platform.name],
    )
