"""An endpoint, ready for measured requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tokenline.run import Run
from tokenline.telemetry.hook import Telemetry
from tokenline_bench.config import Endpoint
from tokenline_bench.work.conversation import Message, Turn
from tokenline_bench.work.payloads import Form, payload_form
from tokenline_stages.connection import Connection, connect
from tokenline_stages.providers.registry import provider

_HTTPS_PORT = 443


@dataclass(frozen=True, slots=True)
class Address:
    """Where requests go."""

    host: str
    port: int
    tls: bool


class Client:
    """Turns work into runs of one endpoint. Retries are off: they would hide what is measured.

    Raises:
        ConfigError: no such provider or API, or no address.
    """

    def __init__(self, endpoint: Endpoint, telemetry: Telemetry | None = None) -> None:
        known = provider(endpoint.provider)
        api = known.api_named(endpoint.api) if endpoint.api else known.apis[0]
        self.name = endpoint.name
        self._endpoint = endpoint
        self._api = api.name
        self._form: Form | None = None
        self._connection: Connection = connect(
            endpoint.provider,
            api_key=endpoint.api_key,
            base_url=endpoint.base_url,
            client_options=endpoint.client_options or None,
            api=api.name,
            max_retries=0,
            telemetry=telemetry,
        )

    @property
    def address(self) -> Address | None:
        """Where requests go, if known before the first."""
        source = self._connection.pipeline().source
        if source.server_address is None or source.server_port is None:
            return None
        given = self._endpoint.base_url
        tls = given.startswith("https:") if given else source.server_port == _HTTPS_PORT
        return Address(source.server_address, source.server_port, tls)

    async def prepare(self) -> None:
        """Make ready what the first request needs: imports, client, TLS context.

        Raises:
            MissingKeyError: no credentials.
        """
        await self._connection.pipeline().source.prepare()

    def run(self, turn: Turn, history: Sequence[Message] = ()) -> Run:
        """A run that asks `turn` after `history`.

        Raises:
            ConfigError: this API has no form for prompts.
        """
        payload = self.payload(turn, history)
        return self._connection.run(payload, headers=self._endpoint.headers)

    def payload(self, turn: Turn, history: Sequence[Message] = ()) -> dict[str, Any]:
        """The request's body."""
        if turn.payload is not None:
            body = {"model": self._endpoint.model, **turn.payload}
        else:
            if self._form is None:
                self._form = payload_form(self._api, self._endpoint.provider)
            messages = [*history, *turn.messages]
            body = self._form(self._endpoint.model, messages, turn.output_tokens)
        return _merged(body, self._endpoint.body)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._connection.aclose()


def _merged(body: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """`body` with more fields; objects in both are joined."""
    for name, value in more.items():
        old = body.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            value = {**old, **value}
        body = {**body, name: value}
    return body
