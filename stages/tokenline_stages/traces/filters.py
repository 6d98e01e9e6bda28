"""Which records to read from a store."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

import msgspec

from tokenline.errors import ConfigError

from .record import TraceRecord

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


class TraceFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a record must be like; what is None or empty does not matter.

    Attributes:
        models: names of models, `*` stands for anything.
        providers: GenAI provider names.
        outcomes: `ok`, `error`, `timeout`, `cancelled`, `abandoned`.
        since: earliest start.
        until: latest start, itself excluded.
        slower_than_s: time to first token above this.
        run_id: the run it belongs to.
        limit: most records given, the latest first.
    """

    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    slower_than_s: float | None = None
    run_id: str | None = None
    limit: int = 20

    def matches(self, record: TraceRecord) -> bool:
        """Whether a record is wanted."""
        model = record.model or ""
        ttft_s = record.timings.time_to_first_token_s
        return (
            (not self.models or any(fnmatchcase(model, wanted) for wanted in self.models))
            and (not self.providers or record.provider in self.providers)
            and (not self.outcomes or record.outcome in self.outcomes)
            and (self.since is None or record.started_at >= self.since)
            and (self.until is None or record.started_at < self.until)
            and (self.slower_than_s is None or (ttft_s is not None and ttft_s > self.slower_than_s))
            and (self.run_id is None or record.ids.run_id == self.run_id)
        )


def read_moment(text: str, now: datetime | None = None) -> datetime:
    """A moment from what a user wrote: ISO 8601 (UTC unless it says), or how long ago (`90m`).

    Raises:
        ConfigError: neither.
    """
    text = text.strip()
    ago = _AGO.fullmatch(text)
    if ago is not None:
        seconds = float(ago[1]) * _UNITS[ago[2]]
        with suppress(OverflowError):
            return (now or datetime.now(UTC)) - timedelta(seconds=seconds)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{text!r} is no time; write 2026-11-22, 2026-11-22T14:30 or 45m, 2h, 7d"
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
