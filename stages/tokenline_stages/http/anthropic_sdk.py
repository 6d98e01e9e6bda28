"""Clients of the official anthropic SDK: direct, on Vertex AI and on Bedrock.

Its own OpenTelemetry spans are off: the request span is ours, and two would count a call twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tokenline.errors import ConfigError, MissingKeyError
from tokenline_stages.providers.registry import Access

from .keys import find_base_url, find_key
from .sdk import check_client, new_client

_EXPLICIT = ("api_key", "auth_token", "credentials", "config", "profile")
DIRECT_BASE_URL = "https://api.anthropic.com"

MODULES = {
    "anthropic": ("anthropic", "anthropic.lib.credentials"),
    "anthropic-vertex": ("anthropic.lib.vertex",),
    # The SDK imports what signs when it first signs: a second of the event loop's time.
    "anthropic-bedrock": (
        "anthropic.lib.bedrock",
        "boto3",
        "botocore.auth",
        "botocore.awsrequest",
    ),
}
"""What the SDK's clients need imported, by provider."""


def own_client(access: Access, wanted: str, provider: str) -> Any | None:
    """The user's own client, without spans of its own; None if there is none.

    Raises:
        ConfigError: it is a client of another kind.
    """
    client = access.client
    if client is None:
        return None
    check_client(client, wanted, provider)
    if not hasattr(client, "open_telemetry") or not hasattr(client, "with_options"):
        return client
    return client.with_options(open_telemetry=False)


def _find_base_url(access: Access, variable: str, default: str | None) -> str | None:
    """Where requests will go, if that is known before there is a client."""
    if access.client is not None:
        return str(getattr(access.client, "base_url", "")) or None
    return find_base_url(access.base_url, variable, default)


def direct_base_url(access: Access) -> str | None:
    """Where requests to Anthropic itself will go."""
    return _find_base_url(access, "ANTHROPIC_BASE_URL", DIRECT_BASE_URL)


def make_direct_client(access: Access) -> Any:
    """An `AsyncAnthropic`.

    Raises:
        MissingKeyError: no key, token or profile.
    """
    import anthropic

    options = dict(access.client_options)
    if access.api_key or not any(options.get(name) for name in _EXPLICIT):
        key = find_key(access.api_key, "ANTHROPIC_API_KEY")
        token = find_key(None, "ANTHROPIC_AUTH_TOKEN")
        if key is not None:
            options["api_key"] = key
        elif token is not None:
            options["auth_token"] = token
        elif not _has_profile():
            raise MissingKeyError(
                "anthropic: no API key; set ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN, pass"
                " api_key=..., or pass your own client=..."
            )
    return _make(anthropic.AsyncAnthropic, "anthropic", access, options)


def _has_profile() -> bool:
    """Whether the SDK finds credentials of its own, be they usable or not."""
    from anthropic.lib.credentials import default_credentials

    try:
        return default_credentials() is not None
    except Exception:
        return True


def vertex_base_url(access: Access) -> str | None:
    """The address of a region, as the SDK makes it."""
    region = access.client_options.get("region") or os.environ.get("CLOUD_ML_REGION")
    hosts = {
        "global": "aiplatform.googleapis.com",
        "us": "aiplatform.us.rep.googleapis.com",
        "eu": "aiplatform.eu.rep.googleapis.com",
    }
    host = hosts.get(region, f"{region}-aiplatform.googleapis.com") if region else None
    default = f"https://{host}/v1" if host else None
    return _find_base_url(access, "ANTHROPIC_VERTEX_BASE_URL", default)


def make_vertex_client(access: Access) -> Any:
    """An `AsyncAnthropicVertex`. A key given as `api_key` is an OAuth access token.

    Raises:
        MissingKeyError: no region or project; the token itself is found when it is needed.
    """
    from anthropic.lib.vertex import AsyncAnthropicVertex

    options = dict(access.client_options)
    if access.api_key:
        options["access_token"] = access.api_key.strip()
    for option, variable in (
        ("region", "CLOUD_ML_REGION"),
        ("project_id", "ANTHROPIC_VERTEX_PROJECT_ID"),
    ):
        if not (options.get(option) or os.environ.get(variable)):
            raise MissingKeyError(
                f"anthropic-vertex: no {option}; set {variable} or pass"
                f" client_options={{{option!r}: ...}}, or pass your own client=..."
            )
    return _make(AsyncAnthropicVertex, "anthropic-vertex", access, options)


def bedrock_base_url(access: Access) -> str | None:
    """The address of a region, as the SDK makes it."""
    region = (
        access.client_options.get("aws_region")
        or os.environ.get("AWS_REGION")
        or os.environ.get("AWS_DEFAULT_REGION")
    )
    default = f"https://bedrock-runtime.{region}.amazonaws.com" if region else None
    return _find_base_url(access, "ANTHROPIC_BEDROCK_BASE_URL", default)


def make_bedrock_client(access: Access, provider: str = "anthropic-bedrock") -> Any:
    """An `AsyncAnthropicBedrock`. A key given as `api_key` is a Bedrock API key.

    Raises:
        MissingKeyError: no region; AWS credentials are found when they are needed.
        ConfigError: the SDK refuses an option.
    """
    from anthropic.lib.bedrock import AsyncAnthropicBedrock

    options = dict(access.client_options)
    if access.api_key:
        options["api_key"] = access.api_key.strip()
    try:
        return _make(AsyncAnthropicBedrock, provider, access, options)
    except ConfigError as error:
        if "region" not in str(error):
            raise
        raise MissingKeyError(
            f"{provider}: no AWS region; set AWS_REGION, pass"
            " client_options={'aws_region': ...}, or pass your own client=..."
        ) from error


def _make(kind: Any, provider: str, access: Access, options: dict[str, Any]) -> Any:
    options.setdefault("open_telemetry", False)
    return new_client(
        kind, provider, base_url=access.base_url, max_retries=access.max_retries, **options
    )


_SHOWN_CHARS = 300
_CREDENTIAL_ERRORS = ("botocore.", "boto3.", "google.auth.")
_WAYS = {
    "vertex": "set GOOGLE_APPLICATION_CREDENTIALS or run `gcloud auth application-default login`",
    "bedrock": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or"
    " AWS_BEARER_TOKEN_BEDROCK",
}


@contextmanager
def naming_credentials(provider: str, cloud: str | None) -> Iterator[None]:
    """Turn a cloud library's failure to find credentials into a typed error.

    Args:
        provider: name of the provider, for the message.
        cloud: `vertex` or `bedrock`, which is the extra to install, too; None for no cloud.

    Raises:
        MissingKeyError: nothing was sent, because there is nothing to sign with.
    """
    try:
        yield
    except Exception as error:
        missing = _missing_credentials(error, provider, cloud) if cloud is not None else None
        if missing is None:
            raise
        raise missing from error


def _missing_credentials(error: Exception, provider: str, cloud: str) -> MissingKeyError | None:
    if isinstance(error, ImportError) or isinstance(error.__cause__, ImportError):
        return MissingKeyError(
            f"{provider}: signing needs a library that is not installed; install"
            f" tokenline[{cloud}], or pass your own client=..."
        )
    said = " ".join(str(error).split())[:_SHOWN_CHARS]
    unresolved = type(error) is RuntimeError and said.startswith("Could not resolve")
    if unresolved or type(error).__module__.startswith(_CREDENTIAL_ERRORS):
        return MissingKeyError(
            f"{provider}: no usable credentials ({said}); {_WAYS[cloud]}, or pass your own"
            " client=..."
        )
    return None
