"""Providers that belong to tokenline: made from the environment, closed with a deadline."""

import atexit
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any
from weakref import WeakMethod

from opentelemetry._logs import LoggerProvider
from opentelemetry.metrics import MeterProvider, NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider as SdkMeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NoOpTracerProvider, TracerProvider

from tokenline.errors import ConfigError

from .content import has_events
from .deadline import Countdown
from .emitter import calling
from .options import TelemetryOptions
from .otel import OTelTelemetry
from .outlet import Outlet, shutdown_all

_BATCH_SPANS = 64
"""Encoding 512 spans (the SDK's batch) holds the interpreter for some 100 ms; 64 for some 12."""

_ENTRY_POINTS = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}


@dataclass(frozen=True, slots=True)
class Target:
    """Where telemetry goes; None leaves it to the environment."""

    service_name: str | None = None
    endpoint: str | None = None
    protocol: str | None = None
    headers: dict[str, str] | None = None


class OwnTelemetry(OTelTelemetry):
    """Telemetry that owns its providers: closing it, or the end of the process, closes them.

    Use `tokenline.telemetry.configure` to make one.
    """

    def __init__(self, target: Target, options: TelemetryOptions, exit_timeout_s: float) -> None:
        made = _Providers.of(target, with_logs=has_events(options.content))
        super().__init__(made.tracers, made.meters, options, made.loggers)
        providers = (made.tracers, made.meters, made.loggers)
        self._own = [Outlet(provider) for provider in providers if provider is not None]
        self._open = not isinstance(made.tracers, NoOpTracerProvider)
        if self._open:
            self._start_threads()
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=calling(WeakMethod(self._start_threads)))
            atexit.register(self.shutdown, exit_timeout_s)

    def shutdown(self, timeout_s: float = 5.0) -> bool:
        """Export what is left and close the providers; later runs leave no telemetry.

        Blocks for at most `timeout_s`. In async code call it as
        `await asyncio.to_thread(telemetry.shutdown)`.

        Returns:
            False if the time was up first. The rest is lost then.
        """
        if not self._open:
            return True
        self._open = False
        atexit.unregister(self.shutdown)
        countdown = Countdown(timeout_s)
        made = self._reporting.emitter.close(countdown.left_s)
        return shutdown_all(self._own, countdown.left_s) and made

    def _start_threads(self) -> None:
        """Now, and in a forked child, which has none: at its end it may be too late."""
        if self._open:
            for outlet in self._own:
                outlet.thread.start()

    def _current_outlets(self) -> list[Outlet]:
        return self._own if self._open else []


@dataclass(frozen=True, slots=True)
class _Providers:
    """What a target is reached through."""

    tracers: TracerProvider
    meters: MeterProvider
    loggers: LoggerProvider | None = None

    @classmethod
    def of(cls, target: Target, *, with_logs: bool) -> "_Providers":
        """The providers for a target; all exporters are looked for before one is made."""
        if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            return cls(NoOpTracerProvider(), NoOpMeterProvider())
        spans, metrics = list(_exporters("traces", target)), list(_exporters("metrics", target))
        logs = list(_exporters("logs", target)) if with_logs else []
        named = {"service.name": target.service_name} if target.service_name else {}
        resource = Resource.create(named)
        # The SDK's own exit handlers wait for up to 30 s each; ours has a deadline.
        tracers = SdkTracerProvider(resource=resource, shutdown_on_exit=False)
        for make in spans:
            tracers.add_span_processor(
                BatchSpanProcessor(make(), max_export_batch_size=_batch_spans())
            )
        readers = [_reader(make) for make in metrics]
        meters = SdkMeterProvider(readers, resource=resource, shutdown_on_exit=False)
        return cls(tracers, meters, _loggers(logs, resource) if logs else None)


def _loggers(makers: list[Callable[[], Any]], resource: Resource) -> LoggerProvider:
    from opentelemetry.sdk._logs import LoggerProvider as SdkLoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    loggers = SdkLoggerProvider(resource=resource, shutdown_on_exit=False)
    for make in makers:
        loggers.add_log_record_processor(BatchLogRecordProcessor(make()))
    return loggers


def _batch_spans() -> int | None:
    """Spans to a batch; None where the user's variables decide."""
    if os.environ.get("OTEL_BSP_MAX_EXPORT_BATCH_SIZE"):
        return None
    try:
        queue = int(os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE", ""))
    except ValueError:
        return _BATCH_SPANS
    return max(min(queue, _BATCH_SPANS), 1)


def _reader(make: Callable[[], Any]) -> MetricReader:
    made = make()
    return made if isinstance(made, MetricReader) else PeriodicExportingMetricReader(made)


def _exporters(signal: str, target: Target) -> Iterator[Callable[[], Any]]:
    """How to make the exporters that `OTEL_<SIGNAL>_EXPORTER` lists."""
    listed = os.environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip()
    if not listed:
        listed = "otlp" if _has_endpoint(signal, target) else "none"
    for name in (part.strip() for part in listed.split(",")):
        if name.lower() in ("", "none"):
            continue
        if name == "otlp":
            yield _otlp(signal, target)
        else:
            yield _load(signal, name)


def _has_endpoint(signal: str, target: Target) -> bool:
    """False where an endpoint is named for the other signal alone: this one has nowhere to go."""
    named = {
        scope
        for scope in ("", "TRACES_", "METRICS_", "LOGS_")
        if os.environ.get(f"OTEL_EXPORTER_OTLP_{scope}ENDPOINT")
    }
    wanted = {"", f"{signal.upper()}_"}
    return target.endpoint is not None or not named or bool(named & wanted)


def _otlp(signal: str, target: Target) -> Callable[[], Any]:
    protocol = (
        target.protocol
        or os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL")
        or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        or "http/protobuf"
    ).strip()
    if protocol not in _ENTRY_POINTS:
        known = " or ".join(_ENTRY_POINTS)
        raise ConfigError(f"no OTLP protocol {protocol!r}; set OTEL_EXPORTER_OTLP_PROTOCOL={known}")
    exporter = _load(signal, _ENTRY_POINTS[protocol])
    arguments: dict[str, object] = {}
    if target.endpoint is not None:
        path = f"/v1/{signal}" if protocol == "http/protobuf" else ""
        arguments["endpoint"] = target.endpoint.rstrip("/") + path
    if target.headers is not None:
        arguments["headers"] = target.headers
    return lambda: exporter(**arguments)


def _load(signal: str, name: str) -> Callable[..., Any]:
    group = f"opentelemetry_{signal}_exporter"
    for entry_point in entry_points(group=group, name=name):
        found: Callable[..., Any] = entry_point.load()
        return found
    raise ConfigError(
        f"no exporter {name!r} for {signal}; install the package that brings it "
        f"or set OTEL_{signal.upper()}_EXPORTER"
    )
