"""The official openai SDK on its default transport."""

from collections.abc import Mapping
from time import perf_counter_ns

import openai

from .contract import CHAT, MODEL


class OpenAISdk:
    """`chat.completions.create(stream=True)`."""

    def __init__(self, url: str) -> None:
        self._client = openai.AsyncOpenAI(api_key="x", base_url=f"{url}/v1", max_retries=0)

    async def read(self, headers: Mapping[str, str], stamps: list[int] | None = None) -> int:
        """See `Client.read`."""
        stream = await self._client.chat.completions.create(
            **CHAT, stream=True, extra_headers=headers
        )
        count = 0
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                count += 1
                if stamps is not None:
                    stamps.append(perf_counter_ns())
        return count

    async def aclose(self) -> None:
        """See `Client.aclose`."""
        await self._client.close()


class OpenAIAiohttp(OpenAISdk):
    """The same on the other transport that its documentation offers, `openai[aiohttp]`."""

    def __init__(self, url: str) -> None:
        self._client = openai.AsyncOpenAI(
            api_key="x",
            base_url=f"{url}/v1",
            max_retries=0,
            http_client=openai.DefaultAioHttpClient(),
        )


class OpenAIHelper(OpenAISdk):
    """`chat.completions.stream()`: events and an accumulated message."""

    async def read(self, headers: Mapping[str, str], stamps: list[int] | None = None) -> int:
        """See `Client.read`."""
        count = 0
        async with self._client.chat.completions.stream(**CHAT, extra_headers=headers) as stream:
            async for event in stream:
                if event.type == "content.delta" and event.delta:
                    count += 1
                    if stamps is not None:
                        stamps.append(perf_counter_ns())
            await stream.get_final_completion()
        return count


class OpenAIResponses(OpenAISdk):
    """`responses.create(stream=True)`."""

    async def read(self, headers: Mapping[str, str], stamps: list[int] | None = None) -> int:
        """See `Client.read`."""
        stream = await self._client.responses.create(
            model=MODEL, input=CHAT["messages"], stream=True, extra_headers=headers
        )
        count = 0
        async for event in stream:
            if event.type == "response.output_text.delta":
                count += 1
                if stamps is not None:
                    stamps.append(perf_counter_ns())
        return count
