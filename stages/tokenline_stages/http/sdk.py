"""Requests through any official SDK client: the open response, not the SDK's chunk objects."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tokenline.errors import ConfigError
from tokenline.redaction import secret_values
from tokenline.source import Request

if TYPE_CHECKING:
    import httpx2

HTTP_MODULES = ("tokenline_stages.http.transport", "tokenline_stages.http.body")
"""What carries requests. Imported late: it takes longer than all of tokenline."""

CONNECT_TIMEOUT_S = 10.0
"""How long our clients wait for a connection; waiting for an answer is the run's own matter."""

_ASYNC_CLIENTS = frozenset(
    {"AsyncOpenAI", "AsyncAnthropic", "AsyncAnthropicVertex", "AsyncAnthropicBedrock"}
)
_KEY_ATTRIBUTES = ("api_key", "auth_token", "access_token", "aws_secret_key", "aws_session_token")
_SYNC_CLIENTS = frozenset(
    {"OpenAI", "AzureOpenAI", "Anthropic", "AnthropicVertex", "AnthropicBedrock"}
)


def new_client(kind: Callable[..., Any], name: str, **options: Any) -> Any:
    """An SDK client over our transport; to be called on the loop that will use it.

    It follows no redirect, so that keys stay where they belong.

    Raises:
        ConfigError: an option that the SDK does not know, or options that exclude each other.
    """
    import httpx2

    from .tls import default_context
    from .transport import AiohttpTransport

    timeout = httpx2.Timeout(None, connect=CONNECT_TIMEOUT_S)
    transport = AiohttpTransport(default_context())
    transport.prepare()
    http_client = httpx2.AsyncClient(transport=transport, timeout=timeout)
    try:
        return kind(http_client=http_client, **options)
    except Exception as error:
        closing = asyncio.ensure_future(http_client.aclose())
        closing.add_done_callback(lambda task: task.exception())
        said = " ".join(str(error).split())
        raise ConfigError(f"{name}: the SDK makes no client with these options: {said}") from error


def refuse_sync_client(client: Any, provider: str) -> None:
    """Refuse a synchronous client of an SDK: it would stop the event loop.

    Raises:
        ConfigError: it is one; the message names its asynchronous twin.
    """
    for kind in type(client).__mro__:
        if kind.__name__ in _SYNC_CLIENTS:
            raise ConfigError(
                f"{provider}: client={type(client).__name__} is no asynchronous client; pass an"
                f" Async{kind.__name__}"
            )


def check_client(client: Any, wanted: str, provider: str) -> None:
    """Refuse a client that is known to be of another kind; one of no known kind is let through.

    Args:
        client: the user's own client.
        wanted: name of the SDK class that the provider needs; a subclass is as good.
        provider: name of the provider, for messages.

    Raises:
        ConfigError: it is synchronous, or of another SDK or platform.
    """
    kinds = {kind.__name__ for kind in type(client).__mro__}
    name = type(client).__name__
    refuse_sync_client(client, provider)
    if not hasattr(client, "post"):
        raise ConfigError(f"{provider}: client={name} is no asynchronous client; pass an {wanted}")
    if kinds & _ASYNC_CLIENTS and wanted not in kinds:
        raise ConfigError(
            f"{provider}: client={name} is of another provider; pass an {wanted},"
            " or connect to the provider that it is for"
        )


def client_secrets(client: Any) -> set[str]:
    """The keys that an SDK client sends with its requests, as far as it tells."""
    found = {name: getattr(client, name, None) for name in _KEY_ATTRIBUTES}
    try:
        headers = dict(client.default_headers)
    except Exception:
        headers = {}  # some clients look their key up only when they send
    return secret_values([found, headers])


async def post_stream(
    client: Any,
    path: str,
    request: Request,
    *,
    body: Mapping[str, Any] | None = None,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> httpx2.Response:
    """Post with an SDK client and give the open response, its body unread.

    With `cast_to=httpx2.Response` the SDK hands out the response itself; it builds no stream
    and no chunk objects. Keys, signatures, URL and retries are the SDK's.

    Args:
        client: an asynchronous client of the openai or anthropic SDK.
        path: path below the client's base URL.
        request: its headers and time limit are applied.
        body: sent as JSON.
        content: sent as it is, instead of a body.
        headers: further headers; those of the request win.
    """
    import httpx2

    options: dict[str, Any] = {"headers": {**(headers or {}), **request.headers}}
    if request.connect_timeout_s is not None:
        options["timeout"] = _with_connect(getattr(client, "timeout", None), request)
    sent = {"body": body} if content is None else {"content": content}
    answer = await client.post(
        path,
        cast_to=httpx2.Response,
        options=options,
        stream=True,
        stream_cls=_stream_class(client),
        **sent,
    )
    return _open_response(answer)


def _stream_class(client: Any) -> Any | None:
    """The stream class of the client's SDK: unused, but some generations insist on one."""
    for kind in type(client).__mro__:
        module = sys.modules.get(kind.__module__.partition(".")[0])
        stream_class = getattr(module, "AsyncStream", None)
        if stream_class is not None:
            return stream_class[Any]
    return None


def _with_connect(timeout: Any, request: Request) -> Any:
    """A client's time limits, that for connecting replaced; of the client's own HTTP library."""
    import httpx2

    limits = timeout if hasattr(timeout, "as_dict") else httpx2.Timeout(timeout)
    return type(limits)(**{**limits.as_dict(), "connect": request.connect_timeout_s})


def _open_response(answer: Any) -> httpx2.Response:
    """The response in whatever the SDK gave.

    A client with middleware and the generations before openai 3 and anthropic 2 give a stream
    object; a client over the older httpx gives that library's response.
    """
    import httpx2

    response = getattr(answer, "response", answer)
    if isinstance(response, httpx2.Response):
        return response
    from .legacy_body import LegacyBody

    return httpx2.Response(
        response.status_code,
        headers=list(response.headers.multi_items()),
        stream=LegacyBody(response),
    )
