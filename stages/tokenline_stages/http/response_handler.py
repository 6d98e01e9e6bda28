"""aiohttp's protocol of one connection, made to keep what it has read when the rest is damaged.

Its parser raises for a whole read at once: where head, body and bytes beyond `content-length`
come in one, the response is lost with them. Given the head by itself, it has handed the response
over before it meets the damage, and the body keeps what came before.
"""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

_HEAD_END = b"\r\n\r\n"


class PatientHandler(ResponseHandler):
    """Parses the head of each response apart from its body."""

    _recent: bytes | None = None
    """The last bytes of an unfinished head; None when no head is awaited."""

    def set_response_params(self, **params: Any) -> None:
        """Called by aiohttp before each request."""
        self._recent = b""
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """What one read brought."""
        if self._recent is not None:
            data = self._take_head(data)
            if not data:
                return
        super().data_received(data)

    def _take_head(self, data: bytes) -> bytes:
        """Parse up to the end of the head; gives what follows it."""
        known = self._recent or b""
        end = (known + data).find(_HEAD_END)
        if end < 0:
            self._recent = (known + data)[-len(_HEAD_END) + 1 :]
            super().data_received(data)
            return b""
        self._recent = None
        split = end + len(_HEAD_END) - len(known)
        super().data_received(data[:split])
        return data[split:] if self.exception() is None else b""


class PatientConnector(aiohttp.TCPConnector):
    """A connector whose connections use `PatientHandler`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # aiohttp has no public way to choose the protocol.
        self._factory = functools.partial(_make_handler, loop=self._loop)


def _make_handler(loop: asyncio.AbstractEventLoop) -> ResponseHandler:
    return PatientHandler(loop)
