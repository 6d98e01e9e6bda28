"""Makes the provider `anthropic` known."""

from __future__ import annotations

from tokenline_stages.normalizer import normalizer
from tokenline_stages.parser import sse_parser
from tokenline_stages.providers.registry import Api, Provider, register

from .normalizer import MessagesNormalizer
from .source import messages_source
from .structs import MessagesWire
from .wire import decode

MESSAGES = Api(
    name="anthropic.messages",
    source=messages_source,
    parser=lambda: sse_parser(MessagesWire, decode, "anthropic"),
    normalizer=lambda: normalizer(
        MessagesWire, lambda context: MessagesNormalizer(context, "anthropic")
    ),
)

ANTHROPIC = register(Provider("anthropic", (MESSAGES,), key_env="ANTHROPIC_API_KEY"))
