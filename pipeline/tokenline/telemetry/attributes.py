"""Every name that leaves tokenline: spans, events, attributes, metrics, units and buckets.

The GenAI conventions are in development, so a rename must be one diff, here:

- `v1.41`, the last text in the main repository and what released instrumentations emit:
  https://github.com/open-telemetry/semantic-conventions/tree/v1.41.1/docs/gen-ai
- `genai-dev`, the conventions' new home, still untagged:
  https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/client-inference.md
  and `gen-ai-token-metrics.md` beside it.

Everything under `tokenline.` is our own. Times are seconds, as the conventions want them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

SCOPE = "tokenline"

SemconvName = Literal["v1.41", "genai-dev"]

# Spans
STAGE_SPAN_PREFIX = "stage "
ATTEMPT_SPAN_PREFIX = "attempt "

# GenAI: client inference span
OPERATION_NAME = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
CONVERSATION_ID = "gen_ai.conversation.id"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
REQUEST_CHOICE_COUNT = "gen_ai.request.choice.count"
REQUEST_FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
REQUEST_PRESENCE_PENALTY = "gen_ai.request.presence_penalty"
REQUEST_SEED = "gen_ai.request.seed"
REQUEST_STOP_SEQUENCES = "gen_ai.request.stop_sequences"
REQUEST_TEMPERATURE = "gen_ai.request.temperature"
REQUEST_TOP_K = "gen_ai.request.top_k"
REQUEST_TOP_P = "gen_ai.request.top_p"
RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
RESPONSE_ID = "gen_ai.response.id"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ_INPUT_TOKENS = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_CREATION_INPUT_TOKENS = "gen_ai.usage.cache_creation.input_tokens"
USAGE_CACHE_WRITE_INPUT_TOKENS = "gen_ai.usage.cache_write.input_tokens"
USAGE_REASONING_OUTPUT_TOKENS = "gen_ai.usage.reasoning.output_tokens"
TOKEN_TYPE = "gen_ai.token.type"
TOKEN_MODALITY = "gen_ai.token.modality"

# GenAI: content, opt-in, and the log record that carries it
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
TOOL_DEFINITIONS = "gen_ai.tool.definitions"
INFERENCE_DETAILS_EVENT = "gen_ai.client.inference.operation.details"

# Stable conventions: https://opentelemetry.io/docs/specs/semconv/registry/attributes/
ERROR_TYPE = "error.type"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"

ERROR_TYPE_OTHER = "_OTHER"
ERROR_TYPE_TIMEOUT = "timeout"
FINISH_REASON_ERROR = "error"
"""`genai-dev`: the slot of a generation that ended before its final event."""
TOKEN_TYPE_INPUT = "input"
TOKEN_TYPE_OUTPUT = "output"
MODALITY_UNKNOWN = "unknown"

# Request span
MESSAGE_ID = "tokenline.message_id"
API = "tokenline.api"
OUTCOME = "tokenline.outcome"
ATTEMPTS = "tokenline.attempts"
RETRY_WAIT = "tokenline.retry_wait"
TIME_TO_HEADERS = "tokenline.time_to_headers"
TIME_TO_FIRST_TOKEN = "tokenline.time_to_first_token"
TIME_TO_FIRST_ANSWER = "tokenline.time_to_first_answer"
TIME_TO_FIRST_DELIVERY = "tokenline.time_to_first_delivery"
CHUNKS = "tokenline.chunks"
BYTES = "tokenline.bytes"
CHUNK_GAP_MEAN = "tokenline.chunk_gap.mean"
CHUNK_GAP_P50 = "tokenline.chunk_gap.p50"
CHUNK_GAP_P99 = "tokenline.chunk_gap.p99"
CHUNK_GAP_MAX = "tokenline.chunk_gap.max"
OUTPUT_TOKENS_PER_SECOND = "tokenline.output_tokens_per_second"
LOOP_BLOCKS = "tokenline.loop.blocks"
LOOP_BLOCKED = "tokenline.loop.blocked"
LOOP_MAX_BLOCK = "tokenline.loop.max_block"
LOOP_BLOCKED_BEFORE_FIRST_TOKEN = "tokenline.loop.blocked_before_first_token"
ROUTE = "tokenline.route"
LIMITER_WAIT = "tokenline.limiter_wait"
UNKNOWN_EVENTS = "tokenline.unknown_events"
USAGE_ESTIMATED = "tokenline.usage.estimated"
USAGE_ESTIMATED_INPUT = "tokenline.usage.input_tokens"
USAGE_ESTIMATED_OUTPUT = "tokenline.usage.output_tokens"
ERROR_CODE = "tokenline.error.code"
ERROR_STATUS = "tokenline.error.status"
ERROR_STAGE = "tokenline.error.stage"
ERROR_LIMIT = "tokenline.error.limit"
"""Which option was passed: one of `Timeouts` (`idle_s`) or of `Limits` (`max_parts`)."""
ERROR_REQUEST_ID = "tokenline.error.request_id"
CONTENT_TRUNCATED = "tokenline.content.truncated"
TAG_PREFIX = "tokenline.tag."

# Attempt spans
ATTEMPT_ROUTE = "tokenline.attempt.route"
ATTEMPT_PROVIDER = "tokenline.attempt.provider"
ATTEMPT_OUTCOME = "tokenline.attempt.outcome"
ATTEMPT_COMMITTED = "tokenline.attempt.committed"

# Stage spans
STAGE_NAME = "tokenline.stage.name"
STAGE_KIND = "tokenline.stage.kind"
STAGE_INDEX = "tokenline.stage.index"
STAGE_ITEMS_IN = "tokenline.stage.items.in"
STAGE_ITEMS_OUT = "tokenline.stage.items.out"
STAGE_BATCHES = "tokenline.stage.batches"
STAGE_BATCHES_QUEUED = "tokenline.stage.batches.queued"
STAGE_BYTES = "tokenline.stage.bytes"
STAGE_DROPPED = "tokenline.stage.dropped"
STAGE_ERRORS = "tokenline.stage.errors"
STAGE_TIME_PROCESSING = "tokenline.stage.time.processing"
STAGE_TIME_QUEUE_WAIT = "tokenline.stage.time.queue_wait"
STAGE_TIME_BLOCKED = "tokenline.stage.time.blocked"
STAGE_TIME_IDLE = "tokenline.stage.time.idle"
STAGE_LATENCY_FIRST_ITEM = "tokenline.stage.latency.first_item"
STAGE_LATENCY_MAX = "tokenline.stage.latency.max"
STAGE_QUEUE_CAPACITY = "tokenline.stage.queue.capacity"
STAGE_QUEUE_CAPACITY_BYTES = "tokenline.stage.queue.capacity_bytes"
STAGE_QUEUE_HIGH_WATER = "tokenline.stage.queue.high_water_mark"
STAGE_QUEUE_HIGH_WATER_BYTES = "tokenline.stage.queue.high_water_mark_bytes"

# Metrics of our own
SIGNAL = "tokenline.signal"
SIGNAL_TRACES = "traces"
SIGNAL_METRICS = "metrics"
SIGNAL_PROVIDER_TRACES = "provider_traces"

# Other back-ends' words for the first token
LANGFUSE_COMPLETION_START = "langfuse.observation.completion_start_time"
"""ISO 8601; the only place where Langfuse reads the time to first token."""
LANGSMITH_SPAN_KIND = "langsmith.span.kind"
LANGSMITH_KIND_LLM = "llm"
LANGSMITH_FIRST_TOKEN_EVENT = "new_token"
OPENINFERENCE_SPAN_KIND = "openinference.span.kind"
OPENINFERENCE_KIND_LLM = "LLM"
OPENINFERENCE_KIND_CHAIN = "CHAIN"
OPENINFERENCE_FIRST_TOKEN_EVENT = "First Token Stream Event"
SIGNOZ_TTFT = "gen_ai.server.ttft"
"""Seconds; see signoz.io/docs/ai-observability-telemetry-requirements."""

# Context keys that other instrumentations respect
SUPPRESS_LANGUAGE_MODEL = "suppress_language_model_instrumentation"
"""Traceloop's OpenLLMetry."""
SUPPRESS_INSTRUMENTATION = "suppress_instrumentation"
"""opentelemetry-instrumentation, older spelling; HTTP spans too."""
GENAI_INFERENCE_CONTEXT = "opentelemetry.genai.client.inference.context"
"""opentelemetry-util-genai: an `InferenceData` here means that the call has its span."""

# The conventions' own boundaries: each twice (tokens: four times) the one before.
_LATENCY_BUCKETS = tuple(0.01 * 2**power for power in range(14))
_TOKEN_BUCKETS = tuple(float(4**power) for power in range(14))
_GAP_BUCKETS = (0.001, 0.0025, 0.005, *_LATENCY_BUCKETS[:11])
# fmt: off
_STAGE_BUCKETS = (
    0.00001, 0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Metric:
    """One instrument.

    Attributes:
        name: its name on the wire.
        unit: UCUM unit.
        description: one sentence.
        buckets: explicit bucket boundaries in `unit`; histograms only.
    """

    name: str
    unit: str
    description: str
    buckets: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Semconv:
    """The names that differ between versions of the GenAI conventions.

    Attributes:
        schema_url: schema of the emitted telemetry.
        cache_write_tokens: span attribute of the input tokens written to a cache.
        duration: histogram of the request span's duration.
        first_chunk: histogram of the time to the first provider event.
        token_usage: histogram of tokens by `gen_ai.token.type`; None where there is none.
        input_tokens: histogram of input tokens of a request; None where there is none.
        output_tokens: histogram of output tokens of a request; None where there is none.
        usage_counters: counters of tokens by the field of `Usage` they count.
    """

    schema_url: str
    cache_write_tokens: str
    duration: Metric
    first_chunk: Metric
    token_usage: Metric | None = None
    input_tokens: Metric | None = None
    output_tokens: Metric | None = None
    usage_counters: Mapping[str, Metric] = field(default_factory=dict)


_DURATION = "Duration of a request to the model, from its start to its accumulated response"
_FIRST_CHUNK = "Time from issuing the request to the first event of the response"


def _counter(suffix: str, description: str) -> Metric:
    return Metric(f"gen_ai.client.inference.usage.{suffix}", "{token}", description)


SEMCONV: Mapping[SemconvName, Semconv] = {
    "v1.41": Semconv(
        schema_url="https://opentelemetry.io/schemas/1.41.1",
        cache_write_tokens=USAGE_CACHE_CREATION_INPUT_TOKENS,
        duration=Metric("gen_ai.client.operation.duration", "s", _DURATION, _LATENCY_BUCKETS),
        first_chunk=Metric(
            "gen_ai.client.operation.time_to_first_chunk", "s", _FIRST_CHUNK, _LATENCY_BUCKETS
        ),
        token_usage=Metric(
            "gen_ai.client.token.usage", "{token}", "Tokens used by a request", _TOKEN_BUCKETS
        ),
    ),
    "genai-dev": Semconv(
        schema_url="https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev",
        cache_write_tokens=USAGE_CACHE_WRITE_INPUT_TOKENS,
        duration=Metric("gen_ai.client.inference.duration", "s", _DURATION, _LATENCY_BUCKETS),
        first_chunk=Metric(
            "gen_ai.client.inference.time_to_first_chunk", "s", _FIRST_CHUNK, _LATENCY_BUCKETS
        ),
        input_tokens=Metric(
            "gen_ai.client.inference.operation.input_tokens",
            "{token}",
            "Input tokens of a request",
            _TOKEN_BUCKETS,
        ),
        output_tokens=Metric(
            "gen_ai.client.inference.operation.output_tokens",
            "{token}",
            "Output tokens of a request",
            _TOKEN_BUCKETS,
        ),
        usage_counters={
            "input_tokens": _counter("input_tokens", "Input tokens, cached ones included"),
            "output_tokens": _counter("output_tokens", "Output tokens, reasoning included"),
            "cached_input_tokens": _counter(
                "cache_read.input_tokens", "Input tokens read from a cache"
            ),
            "cache_write_input_tokens": _counter(
                "cache_write.input_tokens", "Input tokens written to a cache"
            ),
            "reasoning_tokens": _counter("reasoning.output_tokens", "Output tokens of reasoning"),
        },
    ),
}

M_TIME_TO_HEADERS = Metric(
    TIME_TO_HEADERS, "s", "Time from issuing the request to its response headers", _LATENCY_BUCKETS
)
M_TIME_TO_FIRST_TOKEN = Metric(
    TIME_TO_FIRST_TOKEN,
    "s",
    "Time from issuing the request to the first content (text, reasoning, refusal, tool call)",
    _LATENCY_BUCKETS,
)
M_TIME_TO_FIRST_ANSWER = Metric(
    TIME_TO_FIRST_ANSWER,
    "s",
    "Time from issuing the request to the first content that is not reasoning",
    _LATENCY_BUCKETS,
)
M_TIME_TO_FIRST_DELIVERY = Metric(
    TIME_TO_FIRST_DELIVERY,
    "s",
    "Time from issuing the request to the consumer holding the first content",
    _LATENCY_BUCKETS,
)
M_CHUNK_GAP_P50 = Metric(
    "tokenline.chunk.gap.p50", "s", "Median gap between content events of a stream", _GAP_BUCKETS
)
M_CHUNK_GAP_MAX = Metric(
    "tokenline.chunk.gap.max", "s", "Longest gap between content events of a stream", _GAP_BUCKETS
)
M_LOOP_BLOCKED = Metric(
    "tokenline.loop.blocked.duration",
    "s",
    "Time the event loop was blocked, summed over a run; runs side by side share a loop's blocks",
    _STAGE_BUCKETS[5:],
)
M_STAGE_PROCESSING = Metric(
    "tokenline.stage.processing.duration",
    "s",
    "Time a stage spent in its own code, summed over a run",
    _STAGE_BUCKETS,
)
M_STAGE_QUEUE_WAIT = Metric(
    "tokenline.stage.queue.wait",
    "s",
    "Time a batch waited in a stage's inbox, mean over a run that used it",
    _STAGE_BUCKETS,
)
M_STAGE_BLOCKED = Metric(
    "tokenline.stage.blocked.duration",
    "s",
    "Time a stage waited for room downstream, summed over a run that made it wait",
    _STAGE_BUCKETS,
)
M_STAGE_ITEMS = Metric(
    "tokenline.stage.items", "{item}", "Items taken by a stage (by the source: reads given)"
)
M_STAGE_DROPPED = Metric(
    "tokenline.stage.dropped", "{item}", "Items lost to a stage's overflow policy"
)
M_STAGE_ERRORS = Metric("tokenline.stage.errors", "{error}", "Exceptions raised by a stage")
M_QUEUE_DEPTH = Metric(
    "tokenline.stage.queue.depth",
    "{item}",
    "Most items that waited in a stage's inbox, of the runs that ended since the last collection",
)
M_STREAMS_ACTIVE = Metric("tokenline.streams.active", "{stream}", "Streams that run now")
M_STREAMS_COMPLETED = Metric("tokenline.streams.completed", "{stream}", "Streams that ended")
M_TELEMETRY_DROPPED = Metric(
    "tokenline.telemetry.dropped",
    "{run}",
    "Runs whose stage spans, metrics or trace records were lost, most often to a full queue",
)
