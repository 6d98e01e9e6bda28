"""A simulated provider on a real socket, in this process."""

import ssl
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from tokenline.errors import ConfigError

from .intake import Intake
from .ledger import Ledger
from .plan import Plan, PlanMix
from .recording import Recordings
from .server import Server


class Simulator:
    """Serves every provider API by a plan; an async context manager.

    Attributes:
        ledger: what was sent when.
        url: base of all addresses, `http://127.0.0.1:PORT`, known once it runs.
    """

    def __init__(
        self,
        plan: Plan | PlanMix | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        tls: ssl.SSLContext | None = None,
        recordings: Path | str | None = None,
        ledger: Ledger | None = None,
        capacity: int | None = None,
    ) -> None:
        """Set up a simulator; nothing is opened before `start`.

        Args:
            plan: what to answer; a request may change it by header or field.
            host: address to listen on; loopback unless told otherwise.
            port: 0 for a free one.
            api_key: the key that requests must present; None asks for none.
            tls: serve HTTPS with this context.
            recordings: folder with recordings to play.
            ledger: where to write stamps; a new one by default.
            capacity: how many requests are served at a time; others wait their turn, as on a
                server with so many slots. None for no limit.

        Raises:
            ConfigError: no recordings in that folder, or a capacity below 1.
        """
        self.ledger = Ledger() if ledger is None else ledger
        if capacity is not None and capacity < 1:
            raise ConfigError(f"capacity is {capacity}; give 1 or more")
        found = None if recordings is None else Recordings(Path(recordings))
        self._intake = Intake(plan or Plan(), api_key, found)
        self._server = Server(self._intake, self.ledger, capacity)
        self._host = host
        self._port = port
        self._tls = tls
        self._runner: web.AppRunner | None = None
        self.url = ""

    @property
    def plan(self) -> Plan | PlanMix:
        """The plan of requests to come; may be set while running."""
        return self._intake.plan

    @plan.setter
    def plan(self, plan: Plan | PlanMix) -> None:
        self._intake.plan = plan

    @property
    def openai_base_url(self) -> str:
        """For the OpenAI client's `base_url`."""
        return f"{self.url}/v1"

    @property
    def anthropic_base_url(self) -> str:
        """For the Anthropic client's `base_url`."""
        return self.url

    async def start(self) -> None:
        """Listen. Raises `OSError` when the address is taken."""
        runner = web.AppRunner(
            self._server.application(),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=0.1,
        )
        await runner.setup()
        site = web.TCPSite(runner, self._host, self._port, ssl_context=self._tls, backlog=1024)
        try:
            await site.start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        self._port = runner.addresses[0][1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        self.url = f"{'https' if self._tls else 'http'}://{host}:{self._port}"

    async def stop(self) -> None:
        """Close every connection and the socket."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()
