"""litellm: `acompletion(stream=True)`, as its documentation shows for asynchronous streaming."""

import os
from collections.abc import Mapping
from time import perf_counter_ns

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # nothing fetched from elsewhere

import litellm

from .contract import CHAT


class LiteLLM:
    """See the module's docstring."""

    def __init__(self, url: str) -> None:
        self._options = {"api_base": f"{url}/v1", "api_key": "x", "max_retries": 0}

    async def read(self, headers: Mapping[str, str], stamps: list[int] | None = None) -> int:
        """See `Client.read`."""
        stream = await litellm.acompletion(
            model=f"openai/{CHAT['model']}",
            messages=CHAT["messages"],
            stream=True,
            extra_headers=dict(headers),
            **self._options,
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
