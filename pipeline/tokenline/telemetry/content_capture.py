"""Content on request spans and as log records, for those who asked for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenline.record import RunRecord

from . import attributes as names
from .content import ContentMode, Redact, content_of
from .content_size import Fitted, fit
from .valid import Attributes


@dataclass(frozen=True, slots=True)
class Captured:
    """The content of one run, cleaned and cut to size."""

    fields: Mapping[str, Fitted]

    @property
    def truncated(self) -> bool:
        """Something was cut."""
        return any(fitted.truncated for fitted in self.fields.values())

    def span_attributes(self) -> Attributes:
        """As JSON texts: what back-ends read from spans."""
        found: Attributes = {name: fitted.text for name, fitted in self.fields.items()}
        if self.truncated:
            found[names.CONTENT_TRUNCATED] = True
        return found

    def event_attributes(self) -> dict[str, Any]:
        """As structures, which the conventions demand of events."""
        found: dict[str, Any] = {name: fitted.items for name, fitted in self.fields.items()}
        if self.truncated:
            found[names.CONTENT_TRUNCATED] = True
        return found


@dataclass(frozen=True, slots=True)
class ContentCapture:
    """What one telemetry captures.

    Attributes:
        mode: where content goes.
        max_bytes: largest attribute.
        redact: the user's hook.
    """

    mode: ContentMode
    max_bytes: int
    redact: Redact | None

    @property
    def on_spans(self) -> bool:
        """Content is wanted on request spans."""
        return self.mode in ("span", "span_and_event")

    @property
    def as_events(self) -> bool:
        """Content is wanted as log records."""
        return self.mode in ("event", "span_and_event")

    def capture(self, record: RunRecord) -> Captured | None:
        """The content of a run; None if nothing of it may be kept."""
        content = content_of(record, self.redact)
        if content is None:
            return None
        lists = {
            names.SYSTEM_INSTRUCTIONS: content.system_instructions,
            names.INPUT_MESSAGES: content.input_messages,
            names.OUTPUT_MESSAGES: content.output_messages,
            names.TOOL_DEFINITIONS: content.tool_definitions,
        }
        return Captured(
            {name: fit(items, self.max_bytes) for name, items in lists.items() if items}
        )
