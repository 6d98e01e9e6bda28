"""Gemini: `streamGenerateContent?alt=sse` of the Gemini API and of Vertex AI."""

from .normalizer import GeminiNormalizer as GeminiNormalizer
from .wire import decode as decode
