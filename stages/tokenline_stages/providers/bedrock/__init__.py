"""Amazon Bedrock: ConverseStream, and InvokeModelWithResponseStream of models not Anthropic's."""

from .normalizer import BedrockNormalizer as BedrockNormalizer
from .wire import decode as decode
