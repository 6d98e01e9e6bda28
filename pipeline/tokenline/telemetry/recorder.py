"""Records on a histogram by the shortest road that gives the same.

The SDK cleans the attributes of every measurement anew, a third of what a measurement costs. Those
of a run are clean and are shared by its measurements, so a measurement is made as the SDK makes
it, but for that, and handed to the SDK. Instruments of another make, and an SDK that is built
otherwise than expected, are recorded on as everybody does.
"""

from collections.abc import Callable, Mapping
from math import inf
from time import time_ns
from typing import Any, TypeAlias

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram

from .valid import AttributeValue

Record: TypeAlias = Callable[[float, Mapping[str, AttributeValue] | None, Context | None], None]
"""Value in the instrument's unit, attributes that exporters can write and that nobody changes,
and the context whose span is the exemplar's."""

_FIELDS = ("value", "time_unix_nano", "instrument", "context", "attributes")


def recorder(histogram: Histogram) -> Record:
    """How to record on `histogram`."""
    direct = None
    if type(histogram).__module__.startswith("opentelemetry.sdk."):
        direct = _direct(histogram)
    return histogram.record if direct is None else direct


def _direct(histogram: Any) -> Record | None:
    make = _clean_measurement()
    consumer = getattr(histogram, "_measurement_consumer", None)
    consume = getattr(consumer, "consume_measurement", None)
    is_enabled: Callable[[], bool] = getattr(histogram, "_is_enabled", lambda: True)
    if make is None or consume is None or "record" in vars(histogram):
        return None

    def record(
        value: float, attributes: Mapping[str, AttributeValue] | None, context: Context | None
    ) -> None:
        if context is not None and 0 <= value < inf and is_enabled():
            consume(make(value, time_ns(), histogram, context, attributes))
        else:
            histogram.record(value, attributes, context)

    return record


def _clean_measurement() -> Callable[..., object] | None:
    """The SDK's measurement without the cleaning; None if it is not what it was."""
    try:
        from opentelemetry.sdk.metrics._internal.measurement import Measurement
    except ImportError:
        return None
    if tuple(getattr(Measurement, "__dataclass_fields__", ())) != _FIELDS:
        return None

    class CleanMeasurement(Measurement):
        def __post_init__(self) -> None:
            pass

    return CleanMeasurement
