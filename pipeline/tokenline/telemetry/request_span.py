"""From a run record to the attributes of its request span; plain data, no OpenTelemetry objects."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from tokenline.record import LoopLag, Outcome, RunInfo, RunRecord, Timings

from . import attributes as names
from .attributes import Semconv
from .options import Alias
from .valid import Attributes, valid_attributes, valid_text

_MAX_TAGS = 32
_MAX_STATUS_CHARS = 512
_LEAST_STREAM_NS = 10_000_000
"""Content that comes in less is a burst: a rate over it would run to millions of tokens."""
_NS = 1e9
_OURS = ("tokenline.", "gen_ai.client.", "gen_ai.response.", "gen_ai.usage.")
_REPORTED = frozenset(
    name for name in vars(names).values() if isinstance(name, str) and name != names.CONVERSATION_ID
)

# Request parameters by the names that providers give them.
_NUMBERS: Mapping[str, str] = {
    "frequency_penalty": names.REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": names.REQUEST_PRESENCE_PENALTY,
    "temperature": names.REQUEST_TEMPERATURE,
    "top_p": names.REQUEST_TOP_P,
}
_INTEGERS: Mapping[str, str] = {
    "max_tokens": names.REQUEST_MAX_TOKENS,
    "max_completion_tokens": names.REQUEST_MAX_TOKENS,
    "max_output_tokens": names.REQUEST_MAX_TOKENS,
    "seed": names.REQUEST_SEED,
    "top_k": names.REQUEST_TOP_K,
}


def span_name(info: RunInfo) -> str:
    """Name of the request span: `chat gpt-5`, or `chat` where no model is named."""
    return valid_text(f"{info.operation} {info.model}" if info.model else info.operation)


def start_attributes(info: RunInfo) -> Attributes:
    """What a sampler may decide by: set when the request span starts."""
    found: Attributes = {
        names.OPERATION_NAME: info.operation,
        names.PROVIDER_NAME: info.provider,
        names.REQUEST_STREAM: True,
    }
    if info.model is not None:
        found[names.REQUEST_MODEL] = info.model
    if info.server_address is not None:
        found[names.SERVER_ADDRESS] = info.server_address
        if info.server_port is not None:
            found[names.SERVER_PORT] = info.server_port
    return valid_attributes(found)


def end_attributes(record: RunRecord, semconv: Semconv, aliases: Collection[Alias]) -> Attributes:
    """What is known when the request is over. Absent means not reported, never zero."""
    found: Attributes = {
        names.MESSAGE_ID: record.info.message_id,
        names.API: record.info.api,
        names.OUTCOME: record.outcome.value,
        names.ATTEMPTS: record.attempts,
        names.CHUNKS: record.chunks,
        names.BYTES: record.bytes,
    }
    if record.retry_wait_ns:
        found[names.RETRY_WAIT] = record.retry_wait_ns / _NS
    if record.limiter_wait_ns:
        found[names.LIMITER_WAIT] = record.limiter_wait_ns / _NS
    _add_route(found, record)
    _add_loop(found, record.loop_lag)
    if record.unknown_events:
        found[names.UNKNOWN_EVENTS] = record.unknown_events
    _add_request(found, record.info.payload)
    _add_tags(found, record.info.tags)
    _add_response(found, record)
    _add_times(found, record)
    _add_usage(found, record, semconv, aliases)
    _add_error(found, record)
    if aliases:
        _add_aliases(found, record, aliases)
    return valid_attributes(found)


def answering_provider(record: RunRecord) -> str:
    """The provider whose content was delivered; without any, the one that was asked first."""
    for attempt in reversed(record.attempt_records):
        if attempt.committed:
            return attempt.provider
    return record.info.provider


def _add_route(found: Attributes, record: RunRecord) -> None:
    if record.route:
        found[names.ROUTE] = record.route
    provider = answering_provider(record)
    if provider != record.info.provider:
        found[names.PROVIDER_NAME] = provider


def _add_loop(found: Attributes, lag: LoopLag | None) -> None:
    if lag is None:
        return
    found[names.LOOP_BLOCKED] = lag.blocked_ns / _NS
    if lag.blocks:
        found[names.LOOP_BLOCKS] = lag.blocks
        found[names.LOOP_MAX_BLOCK] = lag.max_block_ns / _NS
        found[names.LOOP_BLOCKED_BEFORE_FIRST_TOKEN] = lag.first_token_blocked_ns / _NS


def _add_request(found: Attributes, payload: Mapping[str, Any]) -> None:
    for key, name in _NUMBERS.items():
        value = payload.get(key)
        if type(value) is float or type(value) is int:
            with suppress(OverflowError):
                found[name] = float(value)
    for key, name in _INTEGERS.items():
        value = payload.get(key)
        if type(value) is int:
            found[name] = value
    choices = payload.get("n")
    if type(choices) is int and choices != 1:
        found[names.REQUEST_CHOICE_COUNT] = choices
    stop = payload.get("stop") or payload.get("stop_sequences")
    if isinstance(stop, str):
        found[names.REQUEST_STOP_SEQUENCES] = (stop,)
    elif isinstance(stop, list) and all(isinstance(each, str) for each in stop):
        found[names.REQUEST_STOP_SEQUENCES] = tuple(stop)


def _add_tags(found: Attributes, tags: Mapping[str, str]) -> None:
    """Dotted tags are attribute names (`gen_ai.conversation.id`); others get a prefix.

    So do those that would stand for what is reported here, whether this run reports it or not.
    """
    for key, value in islice(tags.items(), _MAX_TAGS):
        free = "." in key and not key.startswith(_OURS) and key not in _REPORTED
        found[key if free else names.TAG_PREFIX + key] = value


def _add_response(found: Attributes, record: RunRecord) -> None:
    if record.response_id is not None:
        found[names.RESPONSE_ID] = record.response_id
    if record.response_model is not None:
        found[names.RESPONSE_MODEL] = record.response_model
    if record.finish_reasons:
        found[names.RESPONSE_FINISH_REASONS] = record.finish_reasons
    elif record.outcome is not Outcome.OK:
        found[names.RESPONSE_FINISH_REASONS] = (names.FINISH_REASON_ERROR,)


def times_to(timings: Timings) -> tuple[tuple[str, int | None], ...]:
    """The five flavours of time to first token: attribute and the stamp that stops its clock."""
    return (
        (names.TIME_TO_HEADERS, timings.headers_ns),
        (names.RESPONSE_TIME_TO_FIRST_CHUNK, timings.first_chunk_ns),
        (names.TIME_TO_FIRST_TOKEN, timings.first_token_ns),
        (names.TIME_TO_FIRST_ANSWER, timings.first_answer_ns),
        (names.TIME_TO_FIRST_DELIVERY, timings.first_delivery_ns),
    )


def _add_times(found: Attributes, record: RunRecord) -> None:
    since_request = record.timings.since_request_s
    for name, stamp in times_to(record.timings):
        seconds = since_request(stamp)
        if seconds is not None:
            found[name] = seconds
    gaps = record.gaps
    if gaps.count:
        found[names.CHUNK_GAP_MEAN] = gaps.mean_ns / _NS
        found[names.CHUNK_GAP_P50] = gaps.p50_ns / _NS
        found[names.CHUNK_GAP_P99] = gaps.p99_ns / _NS
        found[names.CHUNK_GAP_MAX] = gaps.max_ns / _NS


def output_tokens_per_second(record: RunRecord) -> float | None:
    """Speed of the stream: (output tokens - 1) / (last content - first content).

    Reasoning tokens count only if reasoning was streamed: hidden reasoning is over before the
    first content comes. None if the provider reported no count, or if all content came within
    10 ms: in one read or a few, which tells the speed of a buffer on the way, not the model's.
    """
    usage, timings = record.usage, record.timings
    if usage is None or record.usage_estimated or usage.output_tokens is None:
        return None
    first, last = timings.first_token_ns, timings.last_token_ns
    if first is None or last is None or last - first < _LEAST_STREAM_NS:
        return None
    tokens = usage.output_tokens
    if first == timings.first_answer_ns:
        tokens -= usage.reasoning_tokens or 0
    return (tokens - 1) / ((last - first) / _NS) if tokens > 1 else None


def _add_usage(
    found: Attributes, record: RunRecord, semconv: Semconv, aliases: Collection[Alias]
) -> None:
    usage = record.usage
    if usage is None:
        return
    if record.usage_estimated:
        found[names.USAGE_ESTIMATED] = True
        _add_known(found, names.USAGE_ESTIMATED_INPUT, usage.input_tokens)
        _add_known(found, names.USAGE_ESTIMATED_OUTPUT, usage.output_tokens)
        return
    _add_known(found, names.USAGE_INPUT_TOKENS, usage.input_tokens)
    _add_known(found, names.USAGE_OUTPUT_TOKENS, usage.output_tokens)
    _add_known(found, names.USAGE_CACHE_READ_INPUT_TOKENS, usage.cached_input_tokens)
    _add_known(found, semconv.cache_write_tokens, usage.cache_write_input_tokens)
    if "phoenix" in aliases:  # It reads only this name (20.26).
        _add_known(found, names.USAGE_CACHE_CREATION_INPUT_TOKENS, usage.cache_write_input_tokens)
    _add_known(found, names.USAGE_REASONING_OUTPUT_TOKENS, usage.reasoning_tokens)
    speed = output_tokens_per_second(record)
    if speed is not None:
        found[names.OUTPUT_TOKENS_PER_SECOND] = speed


def _add_known(found: Attributes, name: str, value: int | None) -> None:
    if value is not None:
        found[name] = value


def error_type(record: RunRecord) -> str | None:
    """The convention's `error.type`: a class name, `timeout` or `_OTHER`; None for no error.

    A consumer that leaves is no error.
    """
    match record.outcome:
        case Outcome.OK | Outcome.CANCELLED:
            return None
        case Outcome.TIMEOUT:
            return names.ERROR_TYPE_TIMEOUT
        case Outcome.ERROR if record.error is not None:
            return valid_text(type(record.error).__qualname__)
        case _:
            return names.ERROR_TYPE_OTHER


def status_description(record: RunRecord) -> str:
    """What the error says, cut to a readable length."""
    if record.outcome is Outcome.ABANDONED:
        return "the run was dropped without being closed"
    error = record.error
    if error is None:
        return record.outcome.value
    return valid_text((str(error) or type(error).__qualname__)[:_MAX_STATUS_CHARS])


def _add_error(found: Attributes, record: RunRecord) -> None:
    kind = error_type(record)
    if kind is None:
        return
    found[names.ERROR_TYPE] = kind
    error = record.error
    for field, name in (
        ("code", names.ERROR_CODE),
        ("stage", names.ERROR_STAGE),
        ("limit", names.ERROR_LIMIT),
        ("request_id", names.ERROR_REQUEST_ID),
    ):
        text = getattr(error, field, None)
        if isinstance(text, str):
            found[name] = text
    status = getattr(error, "status", None)
    if isinstance(status, int):
        found[names.ERROR_STATUS] = status


def _add_aliases(found: Attributes, record: RunRecord, aliases: Collection[Alias]) -> None:
    if "phoenix" in aliases:
        found[names.OPENINFERENCE_SPAN_KIND] = names.OPENINFERENCE_KIND_LLM
    if "langsmith" in aliases:
        found[names.LANGSMITH_SPAN_KIND] = names.LANGSMITH_KIND_LLM
    first = record.timings.first_token_ns
    if first is None:
        return
    if "langfuse" in aliases:
        moment = datetime.fromtimestamp(record.info.wall_ns(first) / _NS, UTC)
        found[names.LANGFUSE_COMPLETION_START] = moment.isoformat(timespec="microseconds")
    if "signoz" in aliases:
        seconds = record.timings.since_request_s(first)
        if seconds is not None:
            found[names.SIGNOZ_TTFT] = seconds


def first_token_events(aliases: Collection[Alias]) -> tuple[str, ...]:
    """Names of the span events that mark the first token for some back-ends."""
    return tuple(
        event
        for alias, event in (
            ("langsmith", names.LANGSMITH_FIRST_TOKEN_EVENT),
            ("phoenix", names.OPENINFERENCE_FIRST_TOKEN_EVENT),
        )
        if alias in aliases
    )
