"""What the emitter keeps of a finished run: figures, no content, no error, no payload."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

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

_MOST_KINDS = 256
"""Of how many kinds of requests (provider, models, server) the attributes are kept ready."""


@dataclass(frozen=True, slots=True)
class RequestAttributes:
    """The convention's attributes of a kind of request.

    Attributes:
        plain: those of most metrics.
        of_input: with the token type of input.
        of_output: with that of output.
    """

    plain: Mapping[str, AttributeValue]
    of_input: Mapping[str, AttributeValue]
    of_output: Mapping[str, AttributeValue]


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
    attributes: RequestAttributes
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
    return Report(
        context=context,
        wall_offset_ns=record.info.wall_ns(0),
        attributes=metric_attributes(record),
        own_attributes=_own_attributes(answering_provider(record), record.info.model),
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


def metric_attributes(record: RunRecord) -> RequestAttributes:
    """Attributes of the convention's metrics; never ids of conversations or users."""
    info = record.info
    provider = answering_provider(record)
    asked = provider == info.provider
    answered = record.response_model
    return _genai_attributes(
        info.operation,
        provider,
        info.model,
        answered if isinstance(answered, str) else None,
        info.server_address if asked else None,
        info.server_port if asked else None,
    )


@lru_cache(_MOST_KINDS)
def _genai_attributes(
    operation: str,
    provider: str,
    model: str | None,
    response_model: str | None,
    address: str | None,
    port: int | None,
) -> RequestAttributes:
    found: Attributes = {names.OPERATION_NAME: operation, names.PROVIDER_NAME: provider}
    if model is not None:
        found[names.REQUEST_MODEL] = model
    if response_model is not None:
        found[names.RESPONSE_MODEL] = response_model
    if address is not None:
        found[names.SERVER_ADDRESS] = address
        if port is not None:
            found[names.SERVER_PORT] = port
    plain = valid_attributes(found)
    return RequestAttributes(
        plain,
        {**plain, names.TOKEN_TYPE: names.TOKEN_TYPE_INPUT},
        {**plain, names.TOKEN_TYPE: names.TOKEN_TYPE_OUTPUT},
    )


@lru_cache(_MOST_KINDS)
def _own_attributes(provider: str, model: str | None) -> Mapping[str, str]:
    found = {names.PROVIDER_NAME: valid_text(provider)}
    if model is not None:
        found[names.REQUEST_MODEL] = valid_text(model)
    return found
