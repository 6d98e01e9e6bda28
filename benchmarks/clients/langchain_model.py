"""langchain-openai: `ChatOpenAI(...).astream(messages)`."""

from collections.abc import Mapping
from time import perf_counter_ns

from langchain_openai import ChatOpenAI

from .contract import CHAT, PROMPT


class LangChain:
    """See the module's docstring."""

    def __init__(self, url: str) -> None:
        self._model = ChatOpenAI(
            model=CHAT["model"], base_url=f"{url}/v1", api_key="x", max_retries=0
        )

    async def read(self, headers: Mapping[str, str], stamps: list[int] | None = None) -> int:
        """See `Client.read`."""
        count = 0
        async for chunk in self._model.astream(PROMPT, extra_headers=dict(headers)):
            if chunk.content:
                count += 1
                if stamps is not None:
                    stamps.append(perf_counter_ns())
        return count

    async def aclose(self) -> None:
        """See `Client.aclose`."""
