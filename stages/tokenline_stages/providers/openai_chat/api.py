"""Chat Completions as a wire API, of OpenAI and of every compatible server."""

from __future__ import annotations

from tokenline.source import Source
from tokenline.stage import RawChunk, StageSpec
from tokenline_stages.http.openai_server import OpenAIServer
from tokenline_stages.normalizer import normalizer
from tokenline_stages.parser import SseParser
from tokenline_stages.providers.registry import Access, Api, has

from .normalizer import ChatNormalizer
from .quirks import quirks_of
from .watch import decoder_of
from .wire import ChatWire


def chat_server(provider: str) -> OpenAIServer:
    """The server called `provider`, as its quirks describe it."""
    quirks = quirks_of(provider)
    return OpenAIServer(
        name=provider,
        genai_name=quirks.genai_name,
        base_url=quirks.base_url,
        base_url_variable="OPENAI_BASE_URL" if provider == "openai" else None,
        key_variable=quirks.key_variable,
        needs_key=quirks.needs_key,
    )


def chat_api(provider: str) -> Api:
    """`POST /chat/completions` of the server called `provider`."""
    quirks = quirks_of(provider)
    server = chat_server(provider)
    name = quirks.genai_name

    def source(access: Access) -> Source:
        def sdk() -> Source:
            from .source import chat_source

            return chat_source(server, quirks, access)

        if provider == "azure":
            return sdk()
        from .direct_source import direct_chat_source

        return access.choose(lambda: direct_chat_source(server, quirks, access), sdk)

    return Api(
        name="openai.chat",
        source=source,
        parser=lambda: StageSpec(
            "parser",
            RawChunk,
            ChatWire,
            lambda context: SseParser(decoder_of(context), context, name),
        ),
        normalizer=lambda: normalizer(
            ChatWire, lambda context: ChatNormalizer(context, name, quirks)
        ),
        accepts=has("messages"),
        payload="`messages`",
    )
