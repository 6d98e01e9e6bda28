"""OpenAI Responses as a wire API, of OpenAI and of the servers that speak it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenline.source import Source
from tokenline_stages.http.openai_server import OpenAIServer
from tokenline_stages.normalizer import normalizer
from tokenline_stages.parser import sse_parser
from tokenline_stages.providers.registry import Access, Api

from .normalizer import ResponsesNormalizer
from .structs import ResponsesWire
from .wire import decode


def responses_api(server: OpenAIServer) -> Api:
    """`POST /responses` of a server."""
    name = server.genai_name

    def source(access: Access) -> Source:
        def sdk() -> Source:
            from .source import responses_source

            return responses_source(server, access)

        if server.name == "azure":
            return sdk()
        from .direct_source import direct_responses_source

        return access.choose(lambda: direct_responses_source(server, access), sdk)

    return Api(
        name="openai.responses",
        source=source,
        parser=lambda: sse_parser(ResponsesWire, decode, name),
        normalizer=lambda: normalizer(
            ResponsesWire, lambda context: ResponsesNormalizer(context, name)
        ),
        accepts=is_responses_payload,
        payload="`input` without `messages`",
    )


def is_responses_payload(payload: Mapping[str, Any]) -> bool:
    """Whether a payload has `input` and no `messages`."""
    return "input" in payload and "messages" not in payload
