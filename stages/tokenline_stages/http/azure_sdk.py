"""Sources over the openai SDK's Azure client, or over its plain client for Azure's v1 API.

Azure has two address forms: a dated one (`?api-version=2024-10-21`, chat under the deployment's
path) and `/openai/v1`, which is OpenAI's own form. Source:
learn.microsoft.com/azure/foundry/openai/api-version-lifecycle.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tokenline.errors import ConfigError, MissingKeyError
from tokenline_stages.providers.registry import Access
from tokenline_stages.source import SdkSource

from .keys import find_base_url, find_key
from .openai_sdk import MODULES, PATHS, StreamingFields, json_sender, make_client
from .sdk import check_client
from .source_spec import SourceSpec

_ENDPOINT = "AZURE_OPENAI_ENDPOINT"
_CREDENTIALS = ("api_key", "azure_ad_token", "azure_ad_token_provider")
_DEPLOYMENT = re.compile(r"(?P<endpoint>.*)/openai/deployments/(?P<deployment>[^/?]+)/*")


@dataclass(frozen=True, slots=True)
class AzureAddress:
    """Where a resource is.

    Attributes:
        endpoint: the resource, without `/openai`.
        deployment: the deployment that all chats go to; None takes the payload's `model`.
        api_version: date of the API; None for the v1 API.
    """

    endpoint: str
    deployment: str | None = None
    api_version: str | None = None


def azure_source(
    access: Access, api: str, streaming_fields: StreamingFields | None = None
) -> SdkSource:
    """The source of one API of an Azure resource; arguments as `openai_source`.

    Raises:
        ConfigError: no address, or a client of another kind.
    """
    access.need_sdk("azure")
    send = json_sender(PATHS[api], streaming_fields)
    if access.client is not None:
        check_client(access.client, "AsyncOpenAI", "azure")
        spec = SourceSpec("azure.ai.openai", api, str(getattr(access.client, "base_url", "")))
        return SdkSource(spec, send, lambda: None, access.client)
    address = read_address(access)
    spec = SourceSpec("azure.ai.openai", api, address.endpoint)
    return SdkSource(spec, send, lambda: _make_client(address, access), modules=MODULES)


def read_address(access: Access) -> AzureAddress:
    """Where a resource is, from what its user says and the SDK's environment variables.

    Raises:
        ConfigError: no address, or a deployment's address without a version.
    """
    options = access.client_options
    given = find_base_url(access.base_url or options.get("azure_endpoint"), _ENDPOINT)
    if not given:
        raise ConfigError(f"azure: no address; set {_ENDPOINT} or pass base_url=...")
    version = options.get("api_version") or os.environ.get("OPENAI_API_VERSION")
    endpoint, v1, _ = given.partition("/openai/v1")
    if v1:
        return AzureAddress(endpoint)
    endpoint, deployment = given.rstrip("/"), options.get("azure_deployment")
    match = _DEPLOYMENT.fullmatch(given)
    if match is not None:
        endpoint, deployment = match["endpoint"], match["deployment"]
    if deployment and not version:
        raise ConfigError(
            "azure: a deployment's address needs the API's version; set OPENAI_API_VERSION or"
            " pass client_options={'api_version': ...}"
        )
    return AzureAddress(endpoint.removesuffix("/openai"), deployment, version)


def _make_client(address: AzureAddress, access: Access) -> Any:
    import openai

    credential, value = _find_credential(access)
    beside = {*_CREDENTIALS, "azure_endpoint", "azure_deployment", "api_version"}
    options = {name: value for name, value in access.client_options.items() if name not in beside}
    options |= {"max_retries": access.max_retries}
    if address.api_version is not None:
        return make_client(
            openai.AsyncAzureOpenAI,
            "azure",
            azure_endpoint=address.endpoint,
            azure_deployment=address.deployment,
            api_version=address.api_version,
            **{credential: value},
            **options,
        )
    return make_client(
        openai.AsyncOpenAI,
        "azure",
        api_key=_awaited(value) if callable(value) else value,
        base_url=f"{address.endpoint}/openai/v1",
        **options,
    )


def _find_credential(access: Access) -> tuple[str, Any]:
    """Name and value of what the SDK takes: what is given explicitly, then its variables."""
    given = {
        **access.client_options,
        "api_key": access.api_key or access.client_options.get("api_key"),
    }
    for name in _CREDENTIALS:
        value = given.get(name)
        if value:
            return name, value.strip() if isinstance(value, str) else value
    for name, variable in (
        ("azure_ad_token", "AZURE_OPENAI_AD_TOKEN"),
        ("api_key", "AZURE_OPENAI_API_KEY"),
    ):
        key = find_key(None, variable)
        if key is not None:
            return name, key
    raise MissingKeyError(
        "azure: no credentials; set AZURE_OPENAI_API_KEY or AZURE_OPENAI_AD_TOKEN, pass"
        " api_key=... or client_options={'azure_ad_token_provider': ...}, or your own client=..."
    )


def _awaited(provider: Callable[[], Any]) -> Callable[[], Awaitable[str]]:
    """A token provider of either kind in the form that the plain client takes."""

    async def token() -> str:
        value = provider()
        return str(await value if inspect.isawaitable(value) else value)

    return token
