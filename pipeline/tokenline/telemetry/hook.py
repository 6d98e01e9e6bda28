"""How a run speaks to telemetry: one call at its start, one at its end."""

from contextvars import Context
from typing import Protocol

from tokenline.record import RunInfo, RunRecord


class RunSpan(Protocol):
    """The live side of one run's telemetry.

    Attributes:
        task_context: context for the pipeline's own tasks (the request span is current in it),
            or None to use a copy of the caller's.
    """

    @property
    def task_context(self) -> Context | None:
        """Context for the pipeline's own tasks."""
        ...

    def end(self, record: RunRecord) -> None:
        """The run is over. Called exactly once; must not block, must not raise."""
        ...


class Telemetry(Protocol):
    """Where runs report; `start` is called in the caller's context when a run starts."""

    def start(self, info: RunInfo) -> RunSpan:
        """Begin a run."""
        ...


class NoRunSpan:
    """Telemetry switched off: nothing is kept."""

    __slots__ = ()
    task_context: Context | None = None

    def end(self, record: RunRecord) -> None:
        """Do nothing."""


class NoTelemetry:
    """Telemetry switched off."""

    __slots__ = ()
    _span = NoRunSpan()

    def start(self, info: RunInfo) -> NoRunSpan:
        """Give the one span that does nothing."""
        return self._span
