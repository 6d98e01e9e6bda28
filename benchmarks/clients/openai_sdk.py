"""The official openai SDK, `create(stream=True)` on its default transport."""

from typing import Any

import openai


class OpenAISdkClient:
    """See the module's docstring."""

    name = "openai SDK"

    def __init__(self, base_url: str) -> None:
        self._client = openai.AsyncOpenAI(api_key="x", base_url=base_url, max_retries=0)

    async def read(self, payload: dict[str, Any], plan: str) -> int:
        """See `Client.read`."""
        stream = await self._client.chat.completions.create(
            **payload, stream=True, extra_headers={"x-tokenline-plan": plan}
        )
        count = 0
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                count += 1
        return count

    async def aclose(self) -> None:
        """See `Client.aclose`."""
        await self._client.close()
