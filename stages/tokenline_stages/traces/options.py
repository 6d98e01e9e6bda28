"""What is recorded, how much of it, and how hard it is tried to write it down."""

from __future__ import annotations

import re
from collections.abc import Callable

from pydantic import Field

from tokenline.options import KIB, MIB, Options
from tokenline.record import RunRecord

Predicate = Callable[[RunRecord], bool]


class TraceOptions(Options):
    """Choices of a `TraceStore`; the defaults record every call, content included.

    Attributes:
        enabled: record at all.
        predicate: which runs to record: called at the end of a run, on its event loop, in its
            context; must be quick. One that raises keeps the run out.
        sample_rate: share of runs recorded, by message id: the same runs in every process.
        slow_first_token_s: runs whose first token took longer are recorded whatever the rate.
        slow_duration_s: so are runs that took longer than this,
        content: record texts, tool arguments and the request payload. Without it a record has
            the request's numbers and switches and the types and sizes of content parts.
        redact_keys: further names whose values are taken out, wherever they stand.
        redact_patterns: further regular expressions; what they match is taken out of every text.
        max_field_bytes: longest text of one field; what is longer is cut and says so.
        max_record_bytes: largest record as JSON; texts of a larger one are cut shorter.
        queue_items: most records that wait to be encoded and, for each sink, to be written; what
            finds no room is dropped and counted.
        queue_bytes: most memory that they take there, roughly.
        batch_items: most records written at once.
        batch_wait_s: how long a record waits for others.
        write_timeout_s: longest wait for one write of a sink.
        retry_s: how long one batch is tried again before it is dropped and counted.
        exit_timeout_s: how long the end of the process may wait for what is not yet written.
    """

    enabled: bool = True
    predicate: Predicate | None = None
    sample_rate: float = Field(default=1.0, ge=0, le=1)
    slow_first_token_s: float = Field(default=2.0, ge=0)
    slow_duration_s: float = Field(default=30.0, ge=0)
    content: bool = True
    redact_keys: frozenset[str] = frozenset()
    redact_patterns: tuple[re.Pattern[str], ...] = ()
    max_field_bytes: int = Field(default=64 * KIB, ge=64)
    max_record_bytes: int = Field(default=1 * MIB, ge=4 * KIB)
    queue_items: int = Field(default=16_384, ge=1)
    queue_bytes: int = Field(default=128 * MIB, ge=1)
    batch_items: int = Field(default=64, ge=1)
    batch_wait_s: float = Field(default=0.1, ge=0)
    write_timeout_s: float = Field(default=10.0, gt=0)
    retry_s: float = Field(default=30.0, ge=0)
    exit_timeout_s: float = Field(default=3.0, ge=0)
