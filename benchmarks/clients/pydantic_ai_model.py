"""pydantic-ai: `model_request_stream`, its way to a model without an agent."""

from collections.abc import Mapping
from time import perf_counter_ns

from pydantic_ai import ModelRequest
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from .contract import CHAT, PROMPT


class PydanticAI:
    """See the module's docstring."""

    def __init__(self, url: str) -> None:
        provider = OpenAIProvider(base_url=f"{url}/v1", api_key="x")
        self._model = OpenAIChatModel(CHAT["model"], provider=provider)

    async def read(self, headers: Mapping[str, str], stamps: list[int] | None = None) -> int:
        """See `Client.read`."""
        count = 0
        async with model_request_stream(
            self._model,
            [ModelRequest.user_text_prompt(PROMPT)],
            model_settings={"extra_headers": dict(headers)},
        ) as stream:
            async for event in stream:
                if _has_text(event):
                    count += 1
                    if stamps is not None:
                        stamps.append(perf_counter_ns())
            stream.get()
        return count

    async def aclose(self) -> None:
        """See `Client.aclose`."""


def _has_text(event: object) -> bool:
    if isinstance(event, PartDeltaEvent):
        return isinstance(event.delta, TextPartDelta)
    return isinstance(event, PartStartEvent) and isinstance(event.part, TextPart)
