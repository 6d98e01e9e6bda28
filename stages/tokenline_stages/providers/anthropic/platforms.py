"""Where Anthropic's models run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Platform:
    """Where Anthropic's models run.

    Attributes:
        name: name of the provider.
        genai_name: OpenTelemetry GenAI provider name.
        client_class: the SDK's client.
        cloud: whose credentials authenticate the requests: `vertex`, `bedrock` or none.
        frames: whether the events come in AWS event-stream frames.
    """

    name: str
    genai_name: str
    client_class: str
    cloud: str | None = None
    frames: bool = False


DIRECT = Platform("anthropic", "anthropic", "AsyncAnthropic")
VERTEX = Platform("anthropic-vertex", "gcp.vertex_ai", "AsyncAnthropicVertex", "vertex")
BEDROCK = Platform(
    "anthropic-bedrock", "aws.bedrock", "AsyncAnthropicBedrock", "bedrock", frames=True
)

PLATFORMS = {platform.name: platform for platform in (DIRECT, VERTEX, BEDROCK)}
"""By provider name."""
