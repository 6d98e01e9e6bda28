"""Chat Completions as a wire API, of OpenAI and of every compatible server."""

from __future__ import annotations

from tokenline_stages.normalizer import normalizer
from tokenline_stages.parser import sse_parser
from tokenline_stages.providers.registry import Api

from .normalizer import ChatNormalizer
from .quirks import quirks_of
from .source import chat_source
from .wire import ChatWire, decode


def chat_api(provider: str) -> Api:
    """`POST /chat/completions` of the server called `provider`."""
    quirks = quirks_of(provider)
    return Api(
        name="openai.chat",
        source=lambda access: chat_source(provider, quirks, access),
        parser=lambda: sse_parser(ChatWire, decode, provider),
        normalizer=lambda: normalizer(
            ChatWire, lambda context: ChatNormalizer(context, provider, quirks)
        ),
    )
