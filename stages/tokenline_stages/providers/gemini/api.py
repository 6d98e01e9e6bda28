"""Gemini's `streamGenerateContent` as a wire API: source, parser and normalizer."""

from __future__ import annotations

from tokenline.source import Source
from tokenline_stages.normalizer import normalizer
from tokenline_stages.parser import sse_parser
from tokenline_stages.providers.registry import Access, Api, has

from .normalizer import GeminiNormalizer
from .wire import Item, decode

_NAME = "gcp.gemini"


def gemini_api() -> Api:
    """`POST /v1beta/models/{model}:streamGenerateContent?alt=sse`."""
    return Api(
        name="gemini.generate_content",
        source=_source,
        parser=lambda: sse_parser(Item, decode, _NAME),
        normalizer=lambda: normalizer(Item, lambda context: GeminiNormalizer(context, _NAME)),
        accepts=has("contents"),
        payload="`contents`",
    )


def _source(access: Access) -> Source:
    from .direct_source import direct_gemini_source

    access.need_no_sdk("gemini")
    return direct_gemini_source(access)
