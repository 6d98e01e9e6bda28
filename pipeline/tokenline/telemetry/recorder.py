"""Records on a histogram by the shortest road that gives the same.

For every measurement the SDK cleans the attributes anew and looks up by them where it belongs: half
of what it costs. The attributes of runs are clean, and the same few sets come again and again, so
where a set belongs is looked up once: each later measurement with it is made as the SDK makes it
and handed to the very aggregations that the SDK would have found.

Instruments of another make, an SDK that is built otherwise than expected, and readers that begin
anew with every collection (delta temporality) are recorded on as everybody does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from time import time_ns
from typing import Any, TypeAlias

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram

from .valid import AttributeValue

SharedAttributes: TypeAlias = Mapping[str, AttributeValue]
"""What `valid_attributes` gave, one object for many measurements, which nobody changes."""

_MOST_SETS = 512
_MOST_SEARCHED = 128
"""Among more sets of one histogram the search would cost more than it saves."""

_FIELDS = ("value", "time_unix_nano", "instrument", "context", "attributes")


@dataclass(slots=True)
class _Place:
    """Where the measurements with one set of attributes belong.

    Attributes:
        attributes: the set; it is known by its identity and so must stay.
        storages: the readers of that time.
        found: each view's match with its key and aggregation; None where they are not known.
    """

    attributes: SharedAttributes
    storages: object
    found: list[tuple[Any, object, Any]] | None

    def is_current(self, storages: object) -> bool:
        """Whether the SDK would still find the same."""
        if self.found is None or storages is not self.storages:
            return False
        for match, key, to in self.found:  # noqa: SIM110 - a generator costs as much as the rest
            if match._attributes_aggregation.get(key) is not to:
                return False
        return True


class Recorder:
    """One histogram."""

    __slots__ = ("_consumer", "_histogram", "_is_enabled", "_make", "_places")

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._make = _clean_measurement(histogram)
        self._consumer: Any = getattr(histogram, "_measurement_consumer", None)
        self._is_enabled: Callable[[], bool] = getattr(histogram, "_is_enabled", lambda: True)
        self._places: dict[int, _Place] = {}

    @property
    def is_direct(self) -> bool:
        """Whether measurements are made here."""
        return self._make is not None

    def record(self, value: float, attributes: SharedAttributes, context: Context | None) -> None:
        """Record `value`, in the instrument's unit; the span of `context` is its exemplar's."""
        make = self._make
        if make is None or context is None or not 0 <= value < inf or not self._is_enabled():
            self._histogram.record(value, attributes, context)
            return
        now_ns, consumer = time_ns(), self._consumer
        measurement = make(value, now_ns, self._histogram, context, attributes)
        place = self._places.get(id(attributes))
        if place is None or not place.is_current(consumer._reader_storages):
            consumer.consume_measurement(measurement)
            if place is None or place.found is not None:
                self._learn(attributes)
            return
        chosen = consumer._sdk_config.exemplar_filter.should_sample
        sampled = chosen(value, now_ns, attributes, context)
        for _, _, aggregation in place.found or ():
            aggregation.aggregate(measurement, sampled)

    def record_once(
        self, value: float, attributes: SharedAttributes, context: Context | None
    ) -> None:
        """The same with attributes that were made for this measurement."""
        self._histogram.record(value, attributes, context)

    def _learn(self, attributes: SharedAttributes) -> None:
        if len(self._places) >= _MOST_SETS:
            self._places.clear()
        storages = self._consumer._reader_storages
        try:
            found = list(_matches(storages, self._histogram, attributes))
        except (AttributeError, ValueError):
            found = None
        self._places[id(attributes)] = _Place(attributes, storages, found)


def _matches(
    storages: Any, histogram: Histogram, attributes: SharedAttributes
) -> list[tuple[Any, object, Any]]:
    """What the SDK finds for `attributes`, one for each reader and view.

    Raises:
        AttributeError: the SDK is built otherwise.
        ValueError: there is not exactly one aggregation, or not for long, or one among too many.
    """
    found: list[tuple[Any, object, Any]] = []
    for storage in storages.values():
        for match in storage._get_or_init_view_instrument_match(histogram):
            if getattr(match, "_reset_on_collect", False):
                raise ValueError("the aggregations go with every collection")
            kept = match._view._attribute_keys
            left = {name: attributes[name] for name in attributes if kept is None or name in kept}
            known = list(match._attributes_aggregation.items())
            if len(known) > _MOST_SEARCHED:
                raise ValueError("too many sets of attributes")
            ((key, to),) = [(key, to) for key, to in known if dict(to._attributes or {}) == left]
            found.append((match, key, to))
    return found


def _clean_measurement(histogram: Histogram) -> Callable[..., object] | None:
    """The SDK's measurement without the cleaning; None if `histogram` or it is not what it was."""
    if not type(histogram).__module__.startswith("opentelemetry.sdk."):
        return None
    try:
        from opentelemetry.sdk.metrics._internal.measurement import Measurement
        from opentelemetry.sdk.metrics._internal.measurement_consumer import (
            SynchronousMeasurementConsumer,
        )
    except ImportError:
        return None
    consumer = getattr(histogram, "_measurement_consumer", None)
    if (
        tuple(getattr(Measurement, "__dataclass_fields__", ())) != _FIELDS
        or type(consumer) is not SynchronousMeasurementConsumer
        or not hasattr(consumer, "_reader_storages")
        or not hasattr(getattr(consumer, "_sdk_config", None), "exemplar_filter")
        or "record" in vars(histogram)
    ):
        return None

    class CleanMeasurement(Measurement):
        def __post_init__(self) -> None:
            pass

    return CleanMeasurement
