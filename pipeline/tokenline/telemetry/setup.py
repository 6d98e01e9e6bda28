"""Telemetry from the standard environment variables, and what a pipeline uses by default.

The SDK and the exporters are imported by `configure` alone. Variables:
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and
https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

import logging
import os
import sys
import threading
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Literal, cast

from tokenline.errors import ConfigError
from tokenline.record import RunInfo

from .hook import NoTelemetry, RunSpan, Telemetry
from .options import TelemetryOptions

if TYPE_CHECKING:
    from .otel import OTelTelemetry
    from .own import OwnTelemetry

_logger = logging.getLogger(__name__)
_NO_TELEMETRY = NoTelemetry()
_configuring = threading.Lock()

_NAMING_A_TARGET = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)
_NAMING_EXPORTERS = ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER")
_PROVIDER_VARIABLES = ("OTEL_PYTHON_TRACER_PROVIDER", "OTEL_PYTHON_METER_PROVIDER")

OtlpProtocol = Literal["http/protobuf", "grpc"]


def configure(
    *,
    service_name: str | None = None,
    endpoint: str | None = None,
    protocol: OtlpProtocol | None = None,
    headers: Mapping[str, str] | None = None,
    options: TelemetryOptions | None = None,
    exit_timeout_s: float = 3.0,
) -> "OwnTelemetry":
    """Telemetry with providers of its own, which export by OTLP.

    What is not given comes from the standard `OTEL_*` variables: `OTEL_EXPORTER_OTLP_*`,
    `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_EXPORTER`,
    `OTEL_METRICS_EXPORTER`, `OTEL_SDK_DISABLED`, `OTEL_BSP_*`, samplers and intervals. The global
    providers are left alone.

    Args:
        service_name: `service.name` of the resource.
        endpoint: base URL of the collector; `/v1/traces` and `/v1/metrics` are added for HTTP.
        protocol: OTLP transport, http/protobuf unless set by variable.
        headers: sent with every export.
        options: what is emitted.
        exit_timeout_s: how long the end of the process may wait for the collector.

    Raises:
        ConfigError: an exporter or protocol that does not exist or is not installed, or a value
            that the SDK does not take.
    """
    try:
        from .own import OwnTelemetry, Target  # The SDK reads some variables when it is imported.

        target = Target(service_name, endpoint, protocol, dict(headers) if headers else None)
        return OwnTelemetry(target, options or TelemetryOptions(), exit_timeout_s)
    except ValueError as error:
        raise ConfigError(
            f"OpenTelemetry does not take a value of its settings: {error};"
            " check the OTEL_* variables"
        ) from error


def default_telemetry() -> "DefaultTelemetry":
    """What a pipeline reports to when its user says nothing; see `DefaultTelemetry`."""
    current_telemetry()  # The imports of a set-up take some 0.3 s: now, not in the first run.
    return _DEFAULT


class DefaultTelemetry:
    """Decides anew at every run, so that providers set after the pipeline was built count.

    The global providers if somebody set them; else what the `OTEL_EXPORTER_OTLP_*ENDPOINT` or
    `OTEL_*_EXPORTER` variables name, configured once; else nothing.
    """

    __slots__ = ()

    def start(self, info: RunInfo) -> RunSpan:
        """Begin a run."""
        return current_telemetry().start(info)

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Push out what is queued, see `OTelTelemetry.flush`; True if there is no telemetry."""
        telemetry = current_telemetry()
        return telemetry is _NO_TELEMETRY or cast("OTelTelemetry", telemetry).flush(timeout_s)


_DEFAULT = DefaultTelemetry()


def current_telemetry() -> Telemetry:
    """What `DefaultTelemetry` reports to now."""
    if _may_have_providers():
        telemetry = _of_global_providers()
        if telemetry is not None:
            return telemetry
    with _configuring:
        return _of_environment()


def _may_have_providers() -> bool:
    """Nobody sets a provider without importing the API; it is not imported to find that out."""
    return "opentelemetry.trace" in sys.modules or any(map(os.environ.get, _PROVIDER_VARIABLES))


def _of_global_providers() -> Telemetry | None:
    from opentelemetry import metrics, trace

    from .outlet import is_real

    try:
        found = is_real(trace.get_tracer_provider()) or is_real(metrics.get_meter_provider())
    except Exception:
        # OTEL_PYTHON_TRACER_PROVIDER names something that cannot be loaded; the API logs it.
        return None
    return _shared_global() if found else None


@cache
def _shared_global() -> Telemetry:
    from .otel import OTelTelemetry

    return OTelTelemetry()


@cache
def _of_environment() -> Telemetry:
    named = any(os.environ.get(variable, "").strip() for variable in _NAMING_A_TARGET)
    chosen = any(
        os.environ.get(variable, "").strip().lower() not in ("", "none")
        for variable in _NAMING_EXPORTERS
    )
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if disabled or not (named or chosen):
        return _NO_TELEMETRY
    try:
        return configure()
    except Exception as error:
        _logger.warning("no telemetry: %s", error)
        return _NO_TELEMETRY
