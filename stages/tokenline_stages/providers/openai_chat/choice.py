"""One choice of a chat stream: its deltas as parts, in the order of time."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from tokenline.events import (
    Citation,
    FinishReason,
    Logprobs,
    PartKind,
    ProviderBlock,
    ProviderDelta,
    ReasoningData,
    ReasoningDelta,
    ReasoningKind,
    ReasoningSignature,
    RefusalDelta,
    TextDelta,
)
from tokenline.stage import StepContext
from tokenline_stages.emission import Emission

from .chunk import Choice, ContentPart, Delta, ReasoningDetail
from .finish_reasons import CLEAN, read_reason
from .lenient import read, read_signature, text_of
from .quirks import REASONING_FIELDS, Quirks
from .think_tags import ThinkTags
from .tool_calls import ToolCalls
from .tool_names import DeclaredNames

FastWay = tuple[int, int, type[TextDelta] | type[ReasoningDelta] | None, ToolCalls | None]
"""Number of the choice, its open part, that part's event, or its tool calls if none is open."""

NO_FAST_WAY: FastWay = (-1, -1, None, None)

_NOTHING = frozenset({b"", b"null", b"[]", b"{}", b'""'})
_AUDIO = "audio"
_read_part = msgspec.json.Decoder(ContentPart).decode


class ChoiceNormalizer:
    """From the deltas of one choice to events.

    At most one part that is no tool call is open; another kind of content closes it. Tool calls
    stay open beside it until the choice ends.

    Attributes:
        index: the provider's number of the choice.
        kind: what the open part holds; None if none is open or the fast way may not be taken.
        part: number of the open part.
        reasoned: whether a reasoning part was opened.
        filled: whether the choice had any part.
        reason: why it finished, as far as was said.
        raw_reason: the provider's word for that.
    """

    __slots__ = (
        "_by_delta",
        "_calls",
        "_context",
        "_detail",
        "_emission",
        "_pending",
        "_quirks",
        "_reasoning",
        "_sealed",
        "_stop_sequence",
        "_text_part",
        "_think",
        "filled",
        "index",
        "kind",
        "part",
        "raw_reason",
        "reason",
        "reasoned",
    )

    def __init__(
        self, emission: Emission, context: StepContext, quirks: Quirks, index: int
    ) -> None:
        self._emission = emission
        self._context = context
        self._quirks = quirks
        self._calls: ToolCalls | None = None
        self._think = ThinkTags() if quirks.inline_think else None
        self._pending: str | None = None
        self._by_delta = False
        self._sealed = False
        self._stop_sequence: str | None = None
        self._text_part = -1
        self._reasoning: ReasoningKind | None = None
        self._detail: tuple[str | None, int | None] = (None, None)
        self.index = index
        self.kind: PartKind | None = None
        self.part = -1
        self.reasoned = False
        self.filled = False
        self.reason: FinishReason | None = None
        self.raw_reason: str | None = None

    @property
    def finished(self) -> bool:
        """Whether the provider gave a finish reason."""
        return self._pending is not None or self.raw_reason is not None

    @property
    def fast_way(self) -> FastWay:
        """Where text, reasoning or fragments of tool calls may go without more ado."""
        if self.kind is None:
            return (self.index, -1, None, self._calls)
        if self.kind is PartKind.TEXT and self._think is None:
            return (self.index, self.part, TextDelta, None)
        if (
            self.kind is PartKind.REASONING
            and self._reasoning is ReasoningKind.NATIVE
            and self._quirks.reasoning_fields == REASONING_FIELDS
        ):
            return (self.index, self.part, ReasoningDelta, None)
        return NO_FAST_WAY

    def take(self, choice: Choice) -> None:
        """Take what one chunk says of this choice.

        A finish reason that comes with content waits for the next chunk without: some servers
        send one on every chunk. A whole message after deltas repeats them (MiniMax) and is
        passed over.
        """
        delta = choice.delta
        if delta is not None:
            wrote = self._take_delta(delta)
            self._by_delta = self._by_delta or wrote
        else:
            wrote = not self._by_delta and self._take_whole(choice)
        if choice.logprobs and any(bytes(v) not in _NOTHING for v in choice.logprobs.values()):
            data = msgspec.json.encode(choice.logprobs)
            self._emission.emit(Logprobs, data, self.index)
        if choice.finish_reason:
            self._pending = choice.finish_reason
            if isinstance(choice.stop_reason, str):
                self._stop_sequence = choice.stop_reason or None
        if not wrote:
            self.finish()

    def finish(self) -> None:
        """End the choice if a finish reason waits; a second, different one corrects the first."""
        raw = self._pending
        if raw is None:
            return
        self._pending = None
        reason = read_reason(raw)
        self.end(clean=reason in CLEAN)
        if raw != self.raw_reason:
            self.reason, self.raw_reason = reason, raw
            self._emission.finish(reason, raw, self.index, self._stop_sequence)

    def end(self, *, clean: bool = True, broken: bool = False) -> None:
        """Close what is open.

        Args:
            clean: the model stopped of itself.
            broken: the response broke off.
        """
        self._close()
        if self._calls is not None:
            self._calls.end(clean=clean, broken=broken)

    def cite(self, citations: Sequence[Raw]) -> None:
        """Emit citations of the text: of the open part, the last one, or a new one."""
        for citation in citations:
            if self.kind is PartKind.TEXT or self._text_part < 0:
                self._open_text()
            self._emission.emit(Citation, self._text_part, bytes(citation), self.index)

    def add_block(self, type_: str, data: bytes) -> None:
        """Emit a provider's block as a part of its own."""
        self._close()
        part = self._open(PartKind.BLOCK)
        self._emission.emit(ProviderBlock, part, type_, data, None, self.index)
        self._close()

    def omit_reasoning(self) -> None:
        """Say that the model reasoned and that nothing of it is shown."""
        self._open(PartKind.REASONING, ReasoningKind.OMITTED)
        self._close()

    def _take_whole(self, choice: Choice) -> bool:
        """Take a choice without a delta: a whole message, or the text of the older API."""
        if choice.message is not None:
            return self._take_delta(choice.message)
        if choice.text:
            self._write(choice.text)
        return bool(choice.text)

    def _take_delta(self, delta: Delta) -> bool:
        wrote = self._take_reasoning(delta)
        if delta.content:
            wrote = True
            self._take_content(delta.content, delta.extra_content)
        if delta.refusal:
            wrote = True
            part = self._open(PartKind.REFUSAL)
            self._emission.emit(RefusalDelta, part, delta.refusal, self.index)
        if delta.tool_calls or delta.function_call is not None:
            wrote = True
            self._call_tools(delta)
        if delta.annotations or delta.audio or delta.images or delta.executed_tools:
            wrote = True
            self._take_rare(delta)
        signature = read_signature(delta.extra_content)
        if signature:
            wrote = True
            part = self.part if self.kind is not None else self._open_text()
            self._emission.emit(ReasoningSignature, part, signature, self.index)
        return wrote

    def _take_content(self, content: str | list[Raw], extra: dict[str, Any] | None) -> None:
        if isinstance(content, list):
            for raw in content:
                self._take_part(raw)
            return
        google = extra.get("google") if extra else None
        if isinstance(google, dict) and google.get("thought") is True:
            self._reason(content)
        else:
            self._write(content)

    def _take_rare(self, delta: Delta) -> None:
        if delta.annotations:
            self.cite(delta.annotations)
        if delta.audio:
            part = self._open(PartKind.BLOCK)
            data = msgspec.json.encode(delta.audio)
            self._emission.emit(ProviderDelta, part, _AUDIO, data, self.index)
        for type_, blocks in (("image", delta.images), ("executed_tool", delta.executed_tools)):
            for block in blocks or ():
                self.add_block(type_, bytes(block))

    def _call_tools(self, delta: Delta) -> None:
        if self._calls is None:
            context = self._context
            names = DeclaredNames(context.payload)
            self._calls = ToolCalls(self._emission, context.limits, names, self.index)
        self._close()
        self.filled = True
        if delta.tool_calls:
            self._calls.take(delta.tool_calls)
        if delta.function_call is not None:
            self._calls.take_function(delta.function_call)

    def _take_part(self, raw: Raw) -> None:
        data = bytes(raw)
        try:
            part = _read_part(data)
        except (msgspec.MsgspecError, ValueError):
            part = _read_odd_part(data)
        if part.thinking is not None:
            self._reason(text_of(part.thinking) or "")
            self._seal(part.signature)
        elif part.type == "reasoning" and isinstance(part.summary, list):
            for piece in part.summary:
                fields = piece if isinstance(piece, dict) else {"text": piece}
                self._reason(text_of(fields.get("text")) or "", ReasoningKind.SUMMARY)
                self._seal(text_of(fields.get("signature")))
        elif part.type == "reference":
            self.cite([raw])
        elif part.refusal:
            number = self._open(PartKind.REFUSAL)
            self._emission.emit(RefusalDelta, number, part.refusal, self.index)
        elif part.text is not None:
            self._write(part.text)
        else:
            self.add_block(part.type or "content", data)

    def _write(self, text: str) -> None:
        if self._think is None:
            self._emission.text(self._open_text(), text, self.index)
            return
        for thinking, piece in self._think.split(text):
            self._put(thinking, piece)

    def _put(self, thinking: bool, piece: str) -> None:
        if thinking:
            self._reason(piece)
        else:
            self._emission.text(self._open_text(), piece, self.index)

    def _take_reasoning(self, delta: Delta) -> bool:
        plain: str | None = None
        for field in self._quirks.reasoning_fields:
            plain = getattr(delta, field)
            if plain:
                break
        details = delta.reasoning_details
        if details:
            # Where both have text it is the same text.
            own = "".join(detail.text or detail.summary or "" for detail in details)
            if plain and plain != own:
                self._reason(plain)
            for detail in details:
                self._take_detail(detail, with_text=not plain or plain == own)
            return True
        if plain:
            self._reason(plain)
        return bool(plain)

    def _take_detail(self, detail: ReasoningDetail, *, with_text: bool) -> None:
        text = detail.text or detail.summary
        if text and with_text:
            kind = ReasoningKind.SUMMARY if detail.summary else ReasoningKind.NATIVE
            self._reason(text, kind, detail)
        if detail.data:
            new = self._sealed or detail.id not in (None, self._detail[0])
            if new or self.kind is not PartKind.REASONING or self._is_other(detail):
                self._open_reasoning(ReasoningKind.ENCRYPTED, detail)
            self._join(detail)
            self._emission.emit(ReasoningData, self.part, detail.data, self.index)
        self._seal(detail.signature, detail)

    def _reason(
        self,
        text: str,
        kind: ReasoningKind = ReasoningKind.NATIVE,
        detail: ReasoningDetail | None = None,
    ) -> None:
        if text:
            same = self.kind is PartKind.REASONING and self._reasoning is kind
            if not same or (detail is not None and self._is_other(detail)):
                self._open_reasoning(kind, detail)
            self._emission.reasoning(self.part, text, self.index)

    def _is_other(self, detail: ReasoningDetail) -> bool:
        id_, number = self._detail
        if detail.id is not None and id_ is not None and detail.id != id_:
            return True
        return detail.index is not None and number is not None and detail.index != number

    def _join(self, detail: ReasoningDetail) -> None:
        """A part that began without an id or a number takes those of what it gets."""
        id_, number = self._detail
        self._detail = (
            detail.id if id_ is None else id_,
            detail.index if number is None else number,
        )

    def _seal(self, signature: str | None, detail: ReasoningDetail | None = None) -> None:
        if signature:
            if self.kind is not PartKind.REASONING or (
                detail is not None and self._is_other(detail)
            ):
                self._open_reasoning(ReasoningKind.NATIVE, detail)
            if detail is not None:
                self._join(detail)
            self._sealed = True
            self._emission.emit(ReasoningSignature, self.part, signature, self.index)

    def _open_reasoning(self, kind: ReasoningKind, detail: ReasoningDetail | None) -> None:
        self._close()
        id_ = detail.id if detail is not None else None
        self._open(PartKind.REASONING, kind, id_)
        self._detail = (id_, detail.index if detail is not None else None)

    def _open_text(self) -> int:
        self._text_part = self._open(PartKind.TEXT)
        return self._text_part

    def _open(
        self, kind: PartKind, reasoning: ReasoningKind | None = None, id_: str | None = None
    ) -> int:
        """The open part of this kind, or a new one."""
        if self.kind is not kind:
            self._close()
            self.part = self._emission.open_part(kind, self.index, reasoning, id_)
            self.kind = kind
            self._sealed = False
            self.filled = True
            self._reasoning = reasoning
            self.reasoned = self.reasoned or kind is PartKind.REASONING
        return self.part

    def _close(self) -> None:
        if self._think is not None:
            thinking, piece = self._think.rest()
            if piece:
                self._put(thinking, piece)
        if self.kind is not None:
            self._emission.close_part(self.part, self.index)
            self.kind = None


def _read_odd_part(data: bytes) -> ContentPart:
    try:
        return ContentPart(text=text_of(read(data)))
    except msgspec.DecodeError:
        return ContentPart()
