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
        """Host of the base URL."""
        return urlsplit(self.base_url).hostname if self.base_url else None

    @property
    def server_port(self) -> int | None:
        """Its port, the scheme's own if the URL has none."""
        if not self.base_url:
            return None
        address = urlsplit(self.base_url)
        return address.port or (80 if address.scheme == "http" else 443)
