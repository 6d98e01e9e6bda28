"""PromQL over tokenline's metrics; names come from the table that the metrics are made of.

A metric is called differently in Prometheus: dots and braces go, the unit and what it is are
added (https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/).
"""

from tokenline.telemetry import attributes as names
from tokenline.telemetry.attributes import SEMCONV, Metric

RATE = "$__rate_interval"
FILTER = 'gen_ai_provider_name=~"$provider", gen_ai_request_model=~"$model"'
"""Metrics of requests; those of stages and loops know no provider."""
BY_MODEL = "gen_ai_provider_name, gen_ai_request_model"

_GENAI = SEMCONV["v1.41"]


def series(metric: Metric) -> str:
    """The metric's name in Prometheus, without what its kind adds."""
    unit = "_seconds" if metric.unit == "s" else ""
    return metric.name.replace(".", "_") + unit


def label(attribute: str) -> str:
    """An attribute's name in Prometheus."""
    return attribute.replace(".", "_")


DURATION = series(_GENAI.duration)
FIRST_CHUNK = series(_GENAI.first_chunk)
TOKENS = series(_GENAI.token_usage) if _GENAI.token_usage else ""
HEADERS = series(names.M_TIME_TO_HEADERS)
FIRST_TOKEN = series(names.M_TIME_TO_FIRST_TOKEN)
FIRST_ANSWER = series(names.M_TIME_TO_FIRST_ANSWER)
FIRST_DELIVERY = series(names.M_TIME_TO_FIRST_DELIVERY)
GAP_P50 = series(names.M_CHUNK_GAP_P50)
GAP_MAX = series(names.M_CHUNK_GAP_MAX)
LOOP_BLOCKED = series(names.M_LOOP_BLOCKED)
STAGE_PROCESSING = series(names.M_STAGE_PROCESSING)
STAGE_QUEUE_WAIT = series(names.M_STAGE_QUEUE_WAIT)
STAGE_BLOCKED = series(names.M_STAGE_BLOCKED)
STAGE_ITEMS = series(names.M_STAGE_ITEMS) + "_total"
STAGE_DROPPED = series(names.M_STAGE_DROPPED) + "_total"
STAGE_ERRORS = series(names.M_STAGE_ERRORS) + "_total"
QUEUE_DEPTH = series(names.M_QUEUE_DEPTH)
ACTIVE = series(names.M_STREAMS_ACTIVE)
COMPLETED = series(names.M_STREAMS_COMPLETED) + "_total"
TELEMETRY_DROPPED = series(names.M_TELEMETRY_DROPPED) + "_total"

OUTCOME = label(names.OUTCOME)
ERROR_TYPE = label(names.ERROR_TYPE)
STAGE = label(names.STAGE_NAME)
TOKEN_TYPE = label(names.TOKEN_TYPE)
SIGNAL = label(names.SIGNAL)


def rate(name: str, labels: str = "", window: str = RATE) -> str:
    """Per-second increase."""
    chosen = f"{{{labels}}}" if labels else ""
    return f"rate({name}{chosen}[{window}])"


def total(name: str, labels: str = "", by: str = "", window: str = RATE) -> str:
    """Per-second increase, summed."""
    return f"sum {_by(by)}({rate(name, labels, window)})"


def quantile(q: float, name: str, labels: str = "", by: str = "", window: str = RATE) -> str:
    """A quantile of a histogram."""
    groups = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, {total(name + '_bucket', labels, groups, window)})"


def mean(name: str, labels: str = "", by: str = "", window: str = RATE) -> str:
    """The mean of a histogram."""
    above = total(name + "_sum", labels, by, window)
    return f"{above} / {total(name + '_count', labels, by, window)}"


def share_above(bound: str, name: str, labels: str = "", by: str = "", window: str = RATE) -> str:
    """The share of a histogram's values above one of its bucket bounds."""
    within = f'le="{bound}"' + (f", {labels}" if labels else "")
    below = total(name + "_bucket", within, by, window)
    return f"1 - {below} / {total(name + '_count', labels, by, window)}"


def _by(labels: str) -> str:
    return f"by ({labels}) " if labels else ""
