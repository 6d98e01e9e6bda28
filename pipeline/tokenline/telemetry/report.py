"""What the emitter keeps of a finished run: figures, no content, no error, no payload."""

from collections.abc import Mapping
from dataclasses import dataclass

from opentelemetry.context import Context

from tokenline.events import Usage
from tokenline.record import (
    AttemptRecord,
    ChunkGaps,
    LoopLag,
    Outcome,
    RunRecord,
    StageRecord,
    Timings,
)

from . import attributes as names
from .request_span import answering_provider, error_type, times_to
from .valid import Attributes, AttributeValue, valid_attributes, valid_text


@dataclass(slots=True)
class Report:
    """One finished run.

    Attributes:
        context: the request span is current in it; None without tracing.
        wall_offset_ns: wall-clock time minus monotonic time.
        attributes: the convention's attributes of the run's metrics.
        own_attributes: those of our own: a measurement with six attributes costs half as much
            again as one with two.
        duration_s: duration of the request span.
        outcome: how it ended.
        error_type: `error.type`; None for no error.
        failed_stage: the stage that the error names, if any.
        limit: the option whose bound was passed, if one was.
        timings: the stamps.
        times: the five flavours of time to first token, see `times_to`.
        gaps: gaps between content events.
        usage: token counts that the provider reported; None for estimates.
        loop_lag: blocks of the event loop; None if not measured.
        stages: one record for each stage.
        attempts: one record for each attempt, if there was more than one.
    """

    context: Context | None
    wall_offset_ns: int
    attributes: Mapping[str, AttributeValue]
    own_attributes: Mapping[str, str]
    duration_s: float
    outcome: Outcome
    error_type: str | None
    failed_stage: str | None
    limit: str | None
    timings: Timings
    times: tuple[tuple[str, int | None], ...]
    gaps: ChunkGaps
    usage: Usage | None
    loop_lag: LoopLag | None
    stages: tuple[StageRecord, ...]
    attempts: tuple[AttemptRecord, ...]

    @property
    def input_tokens(self) -> int | None:
        """Reported input tokens."""
        return None if self.usage is None else self.usage.input_tokens

    @property
    def output_tokens(self) -> int | None:
        """Reported output tokens."""
        return None if self.usage is None else self.usage.output_tokens


def report_of(record: RunRecord, context: Context | None) -> Report:
    """The report of a finished run."""
    timings = record.timings
    failed_stage, limit = (getattr(record.error, name, None) for name in ("stage", "limit"))
    own_attributes = {names.PROVIDER_NAME: valid_text(answering_provider(record))}
    if record.info.model is not None:
        own_attributes[names.REQUEST_MODEL] = valid_text(record.info.model)
    return Report(
        context=context,
        wall_offset_ns=record.info.wall_ns(0),
        attributes=metric_attributes(record),
        own_attributes=own_attributes,
        duration_s=(timings.ended_ns - timings.started_ns) / 1e9,
        outcome=record.outcome,
        error_type=error_type(record),
        failed_stage=failed_stage if isinstance(failed_stage, str) else None,
        limit=limit if isinstance(limit, str) else None,
        timings=timings,
        times=times_to(timings),
        gaps=record.gaps,
        usage=None if record.usage_estimated else record.usage,
        loop_lag=record.loop_lag,
        stages=record.stages,
        attempts=record.attempt_records if len(record.attempt_records) > 1 else (),
    )


def metric_attributes(record: RunRecord) -> Attributes:
    """Attributes of the convention's metrics; never ids of conversations or users."""
    info = record.info
    found: Attributes = {
        names.OPERATION_NAME: info.operation,
        names.PROVIDER_NAME: answering_provider(record),
    }
    if info.model is not None:
        found[names.REQUEST_MODEL] = info.model
    if record.response_model is not None:
        found[names.RESPONSE_MODEL] = record.response_model
    if info.server_address is not None and found[names.PROVIDER_NAME] == info.provider:
        found[names.SERVER_ADDRESS] = info.server_address
        if info.server_port is not None:
            found[names.SERVER_PORT] = info.server_port
    return valid_attributes(found)
