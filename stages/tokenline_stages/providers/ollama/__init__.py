"""Ollama's native API: NDJSON of `/api/chat` and `/api/generate`."""

from .normalizer import OllamaNormalizer as OllamaNormalizer
from .wire import decode as decode
