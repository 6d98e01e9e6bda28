"""Opens Responses streams without an SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenline_stages.direct import DirectSource
from tokenline_stages.http.openai_direct import openai_direct_source

if TYPE_CHECKING:
    from tokenline_stages.http.openai_server import OpenAIServer
    from tokenline_stages.providers.registry import Access


def direct_responses_source(server: OpenAIServer, access: Access) -> DirectSource:
    """The source of `POST {base_url}/responses`; not for Azure.

    Raises:
        ConfigError: no address.
    """
    return openai_direct_source(server, access, "openai.responses")
