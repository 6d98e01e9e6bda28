"""Ollama's native API as two wire APIs: chat and generate."""

from __future__ import annotations

from tokenline.source import Source
from tokenline.stage import RawChunk, StageSpec, StepContext
from tokenline_stages.normalizer import normalizer
from tokenline_stages.parser import NdjsonParser
from tokenline_stages.providers.registry import Access, Api, has

from .normalizer import OllamaNormalizer
from .wire import Item, decode, decode_all


def chat_api() -> Api:
    """`POST /api/chat`."""
    return _api("ollama.chat", "messages")


def generate_api() -> Api:
    """`POST /api/generate`."""
    return _api("ollama.generate", "prompt")


def _api(name: str, field: str) -> Api:
    def source(access: Access) -> Source:
        from .direct_source import direct_chat_source, direct_generate_source

        access.need_no_sdk("ollama-native")
        make = direct_chat_source if field == "messages" else direct_generate_source
        return make(access)

    return Api(
        name=name,
        source=source,
        parser=_parser,
        normalizer=lambda: normalizer(Item, OllamaNormalizer),
        accepts=has(field),
        payload=f"`{field}`",
    )


def _parser() -> StageSpec:
    return StageSpec("parser", RawChunk, Item, _open_parser)


def _open_parser(context: StepContext) -> NdjsonParser[Item]:
    """Only runs that ask for unknown input pay for looking for it."""
    asks = context.strict or context.pass_unknown
    return NdjsonParser(decode_all if asks else decode, context, "ollama")
