"""Anthropic Messages: direct, on Vertex AI, and inside Bedrock's frames."""

from .normalizer import MessagesNormalizer as MessagesNormalizer
from .structs import MessagesWire as MessagesWire
from .wire import decode as decode
from .wire import decode_frame as decode_frame
