"""The body of a response of the older httpx, for a user's client over that library."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2


class LegacyBody(httpx2.AsyncByteStream):
    """The body of a response of the older httpx."""

    def __init__(self, response: Any) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for data in self._response.aiter_raw():
                yield data
        except Exception as error:
            raise httpx2.ReadError(str(error) or type(error).__name__) from error

    async def aclose(self) -> None:
        """Let go of the response."""
        await self._response.aclose()
