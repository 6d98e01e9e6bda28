"""Reads recordings over real HTTP: the simulator plays them to the full pipeline."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self
from urllib.parse import quote

import msgspec

from tokenline.errors import TokenlineError
from tokenline.events import Event
from tokenline.telemetry.hook import NoTelemetry
from tokenline_stages.connection import Connection, connect
from tokenline_stages.simulator import Plan, Simulator

from .playing import MESSAGE_ID, Reading
from .recording import Content
from .wiring import Wiring

PATIENCE_S = 60.0
"""How long one response may take; they take milliseconds."""

# A pause between the pieces, so that they come in reads of their own.
_PLAN = Plan(ttft_s=0.0, inter_token_s=0.0002, split_bytes=(1, 8192))
_HEADER = "x-tokenline-recording"
_CLIENT_OPTIONS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "anthropic-bedrock": {"aws_region": "us-east-1"},
        "anthropic-vertex": {"region": "us-east5", "project_id": "conformance"},
        "bedrock": {"aws_region": "us-east-1"},
    }
)
_BASE_PATHS = MappingProxyType({"azure": "/openai/v1"})


@contextmanager
def _loopback_past_proxies() -> Iterator[None]:
    """While it lasts, what is sent to this machine goes through no proxy of the environment."""
    before = {name: os.environ.get(name) for name in ("no_proxy", "NO_PROXY")}
    hosts = [hosts for hosts in before.values() if hosts]
    for name in before:
        os.environ[name] = ",".join([*hosts, "127.0.0.1"])
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class Stand:
    """A simulator that plays the recordings of a folder, and the connections to it.

    An async context manager.
    """

    def __init__(self, folder: Path) -> None:
        """Find the folder's recordings. Raises `RecordingError` if there are none to play."""
        self._simulator = Simulator(_PLAN, recordings=folder)
        self._connections: dict[tuple[str, str], Connection] = {}
        self._past_proxies = _loopback_past_proxies()

    async def __aenter__(self) -> Self:
        await self._simulator.start()
        self._past_proxies.__enter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._past_proxies.__exit__(kind, error, traceback)
        for connection in self._connections.values():
            await connection.aclose()
        await self._simulator.stop()

    async def read(self, name: str, content: Content, wiring: Wiring) -> Reading:
        """Request the recording called `name` and read the answer to its end."""
        events: list[Event] = []
        error: BaseException | None = None
        run = self._connection(wiring).run(
            content.payload, message_id=MESSAGE_ID, headers={_HEADER: quote(name)}
        )
        async with run:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    async for event in run:
                        # No comprehension: an error must not take along what came before it.
                        events.append(msgspec.structs.replace(event, recv_ns=0))  # noqa: PERF401
            except (TokenlineError, TimeoutError) as raised:
                error = raised
            result = run.snapshot()
        return Reading(events, error, result, result.unknown_events)

    def _connection(self, wiring: Wiring) -> Connection:
        key = wiring.provider, wiring.api.name
        if key not in self._connections:
            self._connections[key] = connect(
                wiring.provider,
                api_key="conformance",
                base_url=self._simulator.url + _BASE_PATHS.get(wiring.provider, ""),
                client_options=_CLIENT_OPTIONS.get(wiring.provider),
                max_retries=0,
                api=wiring.api.name,
                telemetry=NoTelemetry(),
            )
        return self._connections[key]
