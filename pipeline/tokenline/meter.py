"""Watches events pass the fan-out: the token clocks and the gaps between content events.

Pure integers; one call for each batch. Formulas:

- first chunk = receive time of the first event that is no sign of life (`Ping`);
- first token = receive time of the first event in `CONTENT_EVENTS`;
- first answer = receive time of the first event in `ANSWER_EVENTS`;
- gap = receive time of a content event - that of the one before it.

All of it starts anew at a `Reset`: what came before is void. Where a response is continued by a
further attempt the clocks go on, and the pause between the two is a gap like any other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .events import (
    ANSWER_EVENTS,
    CONTENT_EVENTS,
    Finish,
    MessageStart,
    Ping,
    Reset,
    Usage,
    UsageUpdate,
)
from .record import ChunkGaps

if TYPE_CHECKING:
    from .attempt import Stamps

_KEPT_BITS = 7  # 64 buckets an octave: quantiles are right to 1/64


class GapHistogram:
    """Log-linear histogram of gaps, in ns. Recording costs well under a microsecond."""

    __slots__ = ("_buckets", "_zeros", "count", "max_ns", "total_ns")

    def __init__(self) -> None:
        self._buckets: defaultdict[int, int] = defaultdict(int)
        self._zeros = 0
        self.count = 0
        self.total_ns = 0
        self.max_ns = 0

    def add(self, gap_ns: int, further_zeros: int = 0) -> None:
        """Record one gap, and `further_zeros` gaps of 0."""
        shift = gap_ns.bit_length() - _KEPT_BITS
        key = gap_ns if shift <= 0 else (shift << _KEPT_BITS) + (gap_ns >> shift)
        self._buckets[key] += 1
        self.count += 1
        if further_zeros:
            self._zeros += further_zeros
            self.count += further_zeros
        self.total_ns += gap_ns
        if gap_ns > self.max_ns:
            self.max_ns = gap_ns

    def quantile_ns(self, q: float) -> int:
        """The gap below which a share `q` of all gaps lies; middle of its bucket."""
        if not self.count:
            return 0
        rank = q * (self.count - 1)
        seen = self._zeros
        if rank < seen:
            return 0
        for key in sorted(self._buckets):
            seen += self._buckets[key]
            if rank < seen:
                shift = key >> _KEPT_BITS
                low = (key & ((1 << _KEPT_BITS) - 1)) << shift
                return min(low + ((1 << shift) >> 1), self.max_ns)
        return self.max_ns

    def summary(self) -> ChunkGaps:
        """Count, mean, median, 99th percentile and maximum."""
        return ChunkGaps(
            count=self.count,
            mean_ns=self.total_ns // self.count if self.count else 0,
            p50_ns=self.quantile_ns(0.5),
            p99_ns=self.quantile_ns(0.99),
            max_ns=self.max_ns,
        )


class Meter:
    """The token clocks of one run.

    Attributes:
        chunks: content events so far.
        first_chunk_ns: receive time of the first event but `Ping`.
        first_token_ns: receive time of the first content event.
        first_answer_ns: receive time of the first content event that is not reasoning.
        last_token_ns: receive time of the last content event.
        usage: last token counts.
        finish_reasons: raw finish reasons so far.
        ended_attempts: the stamps of attempts that are over and whose content was passed on.
    """

    __slots__ = (
        "chunks",
        "ended_attempts",
        "finish_reasons",
        "first_answer_ns",
        "first_chunk_ns",
        "first_token_ns",
        "gaps",
        "last_token_ns",
        "response_id",
        "response_model",
        "usage",
    )

    def __init__(self) -> None:
        self.ended_attempts: list[Stamps] = []
        self._start(last_token_ns=0)

    def _start(self, last_token_ns: int) -> None:
        self.chunks = 0
        self.first_chunk_ns: int | None = None
        self.first_token_ns: int | None = None
        self.first_answer_ns: int | None = None
        self.last_token_ns = last_token_ns
        self.gaps = GapHistogram()
        self.response_id: str | None = None
        self.response_model: str | None = None
        self.usage: Usage | None = None
        self.finish_reasons: list[str] = []

    def observe(self, items: Sequence[Any], recv_ns: int) -> None:
        """Look at one batch on its way to the branches."""
        if (
            len(items) == 1
            and (kind := type(items[0])) in CONTENT_EVENTS
            and self.first_token_ns is not None
        ):
            # One event in one read, not the first: how tokens really arrive.
            self.chunks += 1
            self.gaps.add(recv_ns - self.last_token_ns)
            self.last_token_ns = recv_ns
            if self.first_answer_ns is None and kind in ANSWER_EVENTS:
                self.first_answer_ns = recv_ns
            return
        kinds = set(map(type, items))
        if Reset in kinds:
            self._reset(items, recv_ns)
        elif kinds <= CONTENT_EVENTS:
            self._note_content(kinds, len(items), recv_ns)
        else:
            self._note_others(items, recv_ns)
            content = sum([type(item) in CONTENT_EVENTS for item in items])
            if content:
                self._note_content(kinds, content, recv_ns)

    def _reset(self, items: Sequence[Any], recv_ns: int) -> None:
        """Forget what a further attempt makes void, and look at what follows the `Reset`."""
        kept = next(at for at in range(len(items), 0, -1) if type(items[at - 1]) is Reset)
        # Whoever watches for silence goes on counting: from the request that starts anew.
        self._start(last_token_ns=items[kept - 1].recv_ns)
        if kept < len(items):
            self.observe(items[kept:], recv_ns)

    def _note_content(self, kinds: set[type], content: int, recv_ns: int) -> None:
        self.chunks += content
        if self.first_token_ns is None:
            self.first_token_ns = recv_ns
            if self.first_chunk_ns is None:
                self.first_chunk_ns = recv_ns
            if content > 1:
                self.gaps.add(0, content - 2)
        else:
            self.gaps.add(recv_ns - self.last_token_ns, content - 1)
        if self.first_answer_ns is None and kinds & ANSWER_EVENTS:
            self.first_answer_ns = recv_ns
        self.last_token_ns = recv_ns

    def _note_others(self, items: Sequence[Any], recv_ns: int) -> None:
        if self.first_chunk_ns is None and any(type(item) is not Ping for item in items):
            self.first_chunk_ns = recv_ns
        for item in items:
            kind = type(item)
            if kind is UsageUpdate:
                self.usage = item.usage
            elif kind is MessageStart:
                self.response_id = item.provider_message_id
                self.response_model = item.model
            elif kind is Finish:
                self.finish_reasons.append(item.raw_reason)
