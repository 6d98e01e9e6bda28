"""Opens Responses streams of OpenAI, of Azure and of compatible servers."""

from __future__ import annotations

from tokenline_stages.http.azure_sdk import azure_source
from tokenline_stages.http.openai_sdk import openai_source
from tokenline_stages.http.openai_server import OpenAIServer
from tokenline_stages.providers.registry import Access
from tokenline_stages.source import SdkSource


def responses_source(server: OpenAIServer, access: Access) -> SdkSource:
    """The source of `POST {base_url}/responses`.

    Raises:
        ConfigError: no address, or the user's client is of another kind.
    """
    if server.name == "azure":
        return azure_source(access, "openai.responses")
    return openai_source(server, access, "openai.responses")
