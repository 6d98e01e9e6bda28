"""The official anthropic SDK on its default transport."""

from collections.abc import Mapping
from time import perf_counter_ns

import anthropic

from .contract import CHAT, MAX_TOKENS


class AnthropicSdk:
    """`messages.create(stream=True)`."""

    def __init__(self, url: str) -> None:
        self._client = anthropic.AsyncAnthropic(api_key="x", base_url=url, max_retries=0)

    async def read(self, headers: Mapping[str, str], stamps: list[int] | None = None) -> int:
        """See `Client.read`."""
        stream = await self._client.messages.create(
            **CHAT, max_tokens=MAX_TOKENS, stream=True, extra_headers=headers
        )
        count = 0
        async for event in stream:
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                count += 1
                if stamps is not None:
                    stamps.append(perf_counter_ns())
        return count

    async def aclose(self) -> None:
        """See `Client.aclose`."""
        await self._client.close()


class AnthropicHelper(AnthropicSdk):
    """`messages.stream()`: text and an accumulated message."""

    async def read(self, headers: Mapping[str, str], stamps: list[int] | None = None) -> int:
        """See `Client.read`."""
        count = 0
        async with self._client.messages.stream(
            **CHAT, max_tokens=MAX_TOKENS, extra_headers=headers
        ) as stream:
            async for _text in stream.text_stream:
                count += 1
                if stamps is not None:
                    stamps.append(perf_counter_ns())
            await stream.get_final_message()
        return count
