"""What a measured client is; imports nothing but the standard library."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

MODEL = "sim"
PROMPT = "hello"
MAX_TOKENS = 1_000_000
"""For APIs that want a limit."""

CHAT: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}]}
"""A chat request in the form that most APIs share."""


class Client(Protocol):
    """Reads streams of a server, all of them over the same pool of connections.

    A client is made as `Class(url)`, with the root address of a simulator. Making it is part of
    what a cold start costs.
    """

    async def read(self, headers: Mapping[str, str], stamps: list[int] | None = None) -> int:
        """Read one stream to its end.

        Args:
            headers: further headers of the request, for the simulator.
            stamps: gets `time.perf_counter_ns` at each content delta.

        Returns:
            Number of content deltas seen.
        """
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


@dataclass(frozen=True, slots=True)
class ClientSpec:
    """A client by name, for processes that do not have its packages.

    Attributes:
        name: row heading.
        module: module of `benchmarks.clients`.
        maker: class or function in it that makes a client from the server's address.
        environment: which environment has its packages.
        api: the API that it calls: `chat`, `responses` or `messages`.
        loop: `asyncio` or `uvloop`.
    """

    name: str
    module: str
    maker: str
    environment: str
    api: str = "chat"
    loop: str = "asyncio"

    def make(self, url: str) -> Client:
        """Import it and make one."""
        module = importlib.import_module(f"benchmarks.clients.{self.module}")
        client: Client = getattr(module, self.maker)(url)
        return client
