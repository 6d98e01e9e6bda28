"""Chat Completions of OpenAI, Azure and every server that speaks the same API."""

from .normalizer import ChatNormalizer
from .quirks import QUIRKS, Quirks, quirks_of
from .wire import ChatChunk, ChatWire, ErrorChunk, decode

__all__ = [
    "QUIRKS",
    "ChatChunk",
    "ChatNormalizer",
    "ChatWire",
    "ErrorChunk",
    "Quirks",
    "decode",
    "quirks_of",
]
