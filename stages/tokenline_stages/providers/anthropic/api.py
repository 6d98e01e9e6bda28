"""Anthropic Messages as a wire API: source, parser and normalizer."""

from __future__ import annotations

from tokenline_stages.normalizer import normalizer
from tokenline_stages.parser import sse_parser
from tokenline_stages.providers.registry import Api

from .normalizer import MessagesNormalizer
from .source import messages_source
from .structs import MessagesWire
from .wire import decode


def messages_api() -> Api:
    """`POST /v1/messages`."""
    return Api(
        name="anthropic.messages",
        source=messages_source,
        parser=lambda: sse_parser(MessagesWire, decode, "anthropic"),
        normalizer=lambda: normalizer(
            MessagesWire, lambda context: MessagesNormalizer(context, "anthropic")
        ),
    )
