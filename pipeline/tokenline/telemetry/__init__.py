"""Spans and metrics of runs; the only folder that imports opentelemetry, and only when used.

- `configure()`: telemetry with providers of its own, from the standard `OTEL_*` variables.
- `OTelTelemetry`: telemetry through the user's providers.
- `default_telemetry()`: what a pipeline uses when nothing is said.
- `NoTelemetry`: nothing.
"""

from typing import TYPE_CHECKING, Any

from .hook import NoTelemetry as NoTelemetry
from .hook import RunSpan as RunSpan
from .hook import Telemetry as Telemetry
from .options import TelemetryOptions as TelemetryOptions
from .setup import configure as configure
from .setup import default_telemetry as default_telemetry

if TYPE_CHECKING:
    from .otel import OTelTelemetry as OTelTelemetry


def __getattr__(name: str) -> Any:
    """`OTelTelemetry`, imported when it is asked for."""
    if name == "OTelTelemetry":
        from .otel import OTelTelemetry

        return OTelTelemetry
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
