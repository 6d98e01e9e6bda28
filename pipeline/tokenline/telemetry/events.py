"""The conventions' event of a request as a log record; the only module that imports the logs API.

The API is still `opentelemetry._logs`, with the underscore.
"""

from typing import Any

from opentelemetry._logs import LoggerProvider, LogRecord, SeverityNumber, get_logger_provider
from opentelemetry.context import Context

from tokenline.record import RunRecord

from . import attributes as names
from .attributes import Semconv
from .content_capture import Captured
from .outlet import is_real
from .request_span import end_attributes, start_attributes
from .version import version

_SHARED = ("gen_ai.", "server.", "error.")


class Events:
    """Emits through a logger provider, the global one if none is given."""

    def __init__(self, provider: LoggerProvider | None, semconv: Semconv) -> None:
        self._provider = provider
        self._semconv = semconv

    @property
    def provider(self) -> LoggerProvider | None:
        """Where events go now; None for nowhere."""
        provider = self._provider or get_logger_provider()
        return provider if is_real(provider) else None

    def emit(self, record: RunRecord, captured: Captured, context: Context | None) -> None:
        """Emit the details of one run."""
        provider = self.provider
        if provider is None:
            return
        logger = provider.get_logger(names.SCOPE, version(), self._semconv.schema_url)
        logger.emit(
            LogRecord(
                timestamp=record.info.wall_ns(record.timings.ended_ns),
                context=context,
                severity_number=SeverityNumber.INFO,
                event_name=names.INFERENCE_DETAILS_EVENT,
                attributes={**self._shared(record), **captured.event_attributes()},
            )
        )

    def _shared(self, record: RunRecord) -> dict[str, Any]:
        found = start_attributes(record.info) | end_attributes(record, self._semconv, ())
        return {name: value for name, value in found.items() if name.startswith(_SHARED)}
