"""What the OpenTelemetry side of a pipeline emits."""

from typing import Literal

from pydantic import Field

from tokenline.options import KIB, Options

from .attributes import SemconvName
from .content import ContentMode, Redact

StageDetail = Literal["always", "slow_or_error", "sample", "attributes", "off"]
Alias = Literal["langfuse", "langsmith", "phoenix", "signoz"]


class TelemetryOptions(Options):
    """Choices of `OTelTelemetry`; the defaults suit a service.

    Attributes:
        semconv: names of the GenAI conventions, see `tokenline.telemetry.attributes`.
        stages: which runs get a span for each stage. `slow_or_error`: runs that did not end well
            or passed one of the two limits below. `sample`: every `sample_every`-th run.
            `attributes`: no stage spans, the main figures as attributes of the request span.
        slow_first_token_s: time to first token from which a run counts as slow.
        slow_duration_s: duration from which a run counts as slow.
        sample_every: of how many runs one gets stage spans under `sample`.
        suppress: other instrumentations silenced inside the pipeline's tasks, so that a request
            is not counted twice. `genai`: OpenTelemetry's GenAI instrumentations and OpenLLMetry.
            `all`: every instrumentation, HTTP clients too (OpenInference hears only this).
        aliases: back-ends whose own words for the first token are set too.
        metrics: record metrics if there is a meter provider.
        stage_metrics: record the metrics of each stage too.
        content: where prompts and answers go: nowhere, on the request span, in a log record, or
            both. None follows `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`
            (`NO_CONTENT`, `SPAN_ONLY`, `EVENT_ONLY`, `SPAN_AND_EVENT`), by default nowhere.
        max_content_bytes: largest attribute of content; the oldest messages are cut first and
            `tokenline.content.truncated` is set.
        redact: gives what may be kept of a run's content. It is called before any sink, with the
            content and the run's `RunInfo`; if it fails nothing is kept. What looks like a key or
            a token is hidden with and without it.
        queue_capacity: most finished runs that wait for their stage spans and metrics; a run
            that finds no room is counted in `tokenline.telemetry.dropped`.
    """

    semconv: SemconvName = "v1.41"
    stages: StageDetail = "always"
    slow_first_token_s: float = Field(default=2.0, ge=0)
    slow_duration_s: float = Field(default=30.0, ge=0)
    sample_every: int = Field(default=10, ge=1)
    suppress: Literal["genai", "all"] | None = "genai"
    aliases: frozenset[Alias] = frozenset({"langfuse", "langsmith", "phoenix", "signoz"})
    metrics: bool = True
    stage_metrics: bool = True
    content: ContentMode | None = None
    max_content_bytes: int = Field(default=32 * KIB, ge=KIB)
    redact: Redact | None = None
    queue_capacity: int = Field(default=2048, ge=1)
