"""Sources over the official openai SDK: Chat Completions and Responses of every server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tokenline.errors import ConfigError, MissingKeyError
from tokenline.source import Request
from tokenline_stages.providers.registry import Access
from tokenline_stages.source import SdkSource, SendRequest

from .keys import find_base_url, find_key
from .openai_server import OpenAIServer as OpenAIServer
from .sdk import check_client, new_client, post_stream
from .source_spec import SourceSpec

if TYPE_CHECKING:
    import httpx2

StreamingFields = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""What a payload needs for streaming beside `stream: true`."""

PATHS = {"openai.chat": "/chat/completions", "openai.responses": "/responses"}
"""Wire API to its path below the base URL."""

MODULES = ("openai",)
"""What the SDK's clients need imported."""

_NO_KEY = "unneeded"  # the SDK insists on one


def openai_source(
    server: OpenAIServer,
    access: Access,
    api: str,
    streaming_fields: StreamingFields | None = None,
) -> SdkSource:
    """The source of one API of a server.

    Args:
        server: whose.
        access: how to reach it.
        api: a wire API out of `PATHS`.
        streaming_fields: what to add to a payload beside `stream: true`.

    Raises:
        ConfigError: no address, or a client of another kind.
    """
    base_url = _base_url(server, access)
    if access.client is not None:
        check_client(access.client, "AsyncOpenAI", server.name)
    spec = SourceSpec(server.genai_name, api, base_url)
    send = json_sender(PATHS[api], streaming_fields)
    return SdkSource(
        spec,
        send,
        lambda: _make_client(server, access, base_url),
        access.client,
        MODULES,
    )


def json_sender(path: str, streaming_fields: StreamingFields | None) -> SendRequest:
    """What posts payloads to `path`, each with `stream: true` and these fields."""

    async def send(client: Any, request: Request) -> httpx2.Response:
        payload = request.payload
        more = streaming_fields(payload) if streaming_fields is not None else {}
        return await post_stream(client, path, request, body={**payload, "stream": True, **more})

    return send


def _base_url(server: OpenAIServer, access: Access) -> str:
    if access.client is not None:
        return str(getattr(access.client, "base_url", ""))
    base_url = find_base_url(access.base_url, server.base_url_variable, server.base_url)
    if not base_url:
        ways = f"set {server.base_url_variable} or " if server.base_url_variable else ""
        raise ConfigError(f"{server.name}: no address; {ways}pass base_url=...")
    return base_url


def _make_client(server: OpenAIServer, access: Access, base_url: str) -> Any:
    import openai

    key = _find_key(server, access)
    options = {name: value for name, value in access.client_options.items() if name != "api_key"}
    return make_client(
        openai.AsyncOpenAI,
        server.name,
        api_key=key,
        base_url=base_url,
        max_retries=access.max_retries,
        **options,
    )


def make_client(kind: Callable[..., Any], name: str, **options: Any) -> Any:
    """A client of the openai SDK; see `sdk.new_client`.

    Organization and project name an account at OpenAI. The SDK takes them from the environment
    and would tell them to every server.
    """
    if name == "openai":
        return new_client(kind, name, **options)
    client = new_client(kind, name, **{"organization": "", "project": "", **options})
    client.organization = client.organization or None
    client.project = client.project or None
    return client


def _find_key(server: OpenAIServer, access: Access) -> Any:
    """The key of a server. Never another one's: the SDK would fall back to OpenAI's.

    Raises:
        MissingKeyError: none is given and the server needs one.
    """
    given = access.client_options.get("api_key")
    if access.api_key or given is None or isinstance(given, str):
        key = find_key(access.api_key or given, server.key_variable)
    else:
        return given  # a function that the SDK asks for a key
    if key or not server.needs_key:
        return key or _NO_KEY
    ways = f"set {server.key_variable}, " if server.key_variable else ""
    raise MissingKeyError(
        f"{server.name}: no API key; {ways}pass api_key=..., or pass your own client=..."
    )
