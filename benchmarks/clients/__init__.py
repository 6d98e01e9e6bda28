"""Ways to read a chat stream, each used as its documentation recommends for streaming."""

from .contract import Client as Client
from .floor import FloorClient as FloorClient
from .openai_sdk import OpenAISdkClient as OpenAISdkClient
from .pipeline import PipelineClient as PipelineClient
