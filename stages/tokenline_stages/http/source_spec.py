"""What tells one source from another."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """What tells one source from another.

    Attributes:
        provider: OpenTelemetry GenAI provider name.
        api: wire API, `openai.chat` ...
        base_url: where requests go, if known before the first.
        operation: GenAI operation name.
        name: stage name.
    """

    provider: str
    api: str
    base_url: str | None = None
    operation: str = "chat"
    name: str = "source"

    @property
    def server_address(self) -> str | None:
        """Host of the base URL; None if that is no address."""
        return _address(self.base_url)[0]

    @property
    def server_port(self) -> int | None:
        """Its port, the scheme's own if the URL has none."""
        return _address(self.base_url)[1]


def _address(url: str | None) -> tuple[str | None, int | None]:
    # A user's client may have any address: its own library says what is wrong with it.
    try:
        parts = urlsplit(url or "")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None, None
    if not host:
        return None, None
    return host, port or (80 if parts.scheme == "http" else 443)
