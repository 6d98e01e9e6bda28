"""The OpenAI Responses API, and servers that speak it: Azure, OpenRouter, DeepSeek, llama.cpp."""

from .normalizer import ResponsesNormalizer
from .structs import ResponsesWire
from .wire import decode

__all__ = ["ResponsesNormalizer", "ResponsesWire", "decode"]
