"""aiohttp and a typed decode, no pipeline: what its documentation shows for streamed bodies."""

from collections.abc import Mapping
from time import perf_counter_ns

import aiohttp

from .contract import CHAT
from .floor import _decode


class AiohttpAlone:
    """`session.post(...)`, `response.content.iter_any()`."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/v1/chat/completions"
        self._session: aiohttp.ClientSession | None = None

    async def read(self, headers: Mapping[str, str], stamps: list[int] | None = None) -> int:
        """See `Client.read`."""
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        count = 0
        rest = b""
        body = {**CHAT, "stream": True}
        async with self._session.post(self._url, json=body, headers=headers) as response:
            async for data in response.content.iter_any():
                *events, rest = (rest + data).split(b"\n\n")
                for event in events:
                    if event.startswith(b"data: {"):
                        chunk = _decode(event[6:])
                        if chunk.choices and chunk.choices[0].delta.content:
                            count += 1
                            if stamps is not None:
                                stamps.append(perf_counter_ns())
        return count

    async def aclose(self) -> None:
        """See `Client.aclose`."""
        if self._session is not None:
            await self._session.close()
