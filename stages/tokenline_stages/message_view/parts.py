"""What the parts of a response are shown as: text, reasoning, and parts that are not shown."""

from typing import Literal

from tokenline.events import ReasoningKind
from tokenline.json_args import pair_surrogates

from .messages import AssistantMessage, HiddenReasoningMessage, ReasoningMessage
from .writer import Slice, Writer

_HIDDEN_KINDS = (ReasoningKind.REDACTED, ReasoningKind.ENCRYPTED)


class Characters:
    """Joins characters that were cut in two: servers send halves of surrogate pairs."""

    __slots__ = ("_half",)

    def __init__(self) -> None:
        self._half = ""

    def join(self, text: str) -> str:
        """The whole characters that `text` brings."""
        if not self._half and text.isascii():
            return text
        text = self._half + text
        self._half = ""
        if "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return pair_surrogates(text)

    def rest(self) -> str:
        """What stands for a half whose other half never came."""
        half, self._half = self._half, ""
        return half and "\N{REPLACEMENT CHARACTER}"


class PartView:
    """A part that is not shown; base of those that are."""

    __slots__ = ("_characters", "_writer")

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._characters = Characters()

    def add(self, text: str) -> None:
        """Take a fragment of text or arguments."""

    def sign(self, signature: str, replace: bool) -> None:
        """Take a fragment of the provider's seal; shown for reasoning only."""

    def hide(self, data: str) -> None:
        """Take opaque reasoning."""

    def end(self, complete: bool) -> None:
        """The part is over."""


class TextView(PartView):
    """Text and refusals: assistant messages."""

    __slots__ = ("_otid", "_refusal")

    def __init__(self, writer: Writer, part: int, *, refusal: bool = False) -> None:
        super().__init__(writer)
        self._otid = writer.otid(part)
        self._refusal = refusal

    def add(self, text: str) -> None:
        """Show a piece of text."""
        self._show(self._characters.join(text))

    def end(self, complete: bool) -> None:
        """Show what was held back."""
        self._show(self._characters.rest())

    def _show(self, text: str) -> None:
        if text:
            self._writer.write(AssistantMessage, self._otid, content=text, refusal=self._refusal)


class ReasoningView(PartView):
    """Reasoning. The seal and opaque content come whole, with the part's end.

    An opaque copy of readable reasoning takes the place of the seal if there is none.
    """

    __slots__ = ("_data", "_hidden_otid", "_kind", "_otid", "_readable", "_signature")

    def __init__(self, writer: Writer, part: int, kind: ReasoningKind | None) -> None:
        super().__init__(writer)
        self._otid = writer.otid(part)
        self._hidden_otid = writer.otid(part, Slice.HIDDEN)
        self._kind = kind
        self._readable = False
        self._signature: list[str] = []
        self._data: list[str] = []
        if kind is ReasoningKind.OMITTED:
            self._show_hidden("omitted")

    def add(self, text: str) -> None:
        """Show a piece of reasoning."""
        self._show(self._characters.join(text))

    def sign(self, signature: str, replace: bool) -> None:
        """Take a fragment of the seal."""
        if replace:
            self._signature.clear()
        self._signature.append(signature)

    def hide(self, data: str) -> None:
        """Take opaque reasoning."""
        self._data.append(data)

    def end(self, complete: bool) -> None:
        """Show the seal and what is opaque."""
        self._show(self._characters.rest())
        signature = pair_surrogates("".join(self._signature)) or None
        data = pair_surrogates("".join(self._data)) or None
        if self._readable and signature is None:
            signature, data = data, None
        if data is not None or (self._kind in _HIDDEN_KINDS and not self._readable):
            self._show_hidden("redacted", data, None if self._readable else signature)
            signature = signature if self._readable else None
        if signature is None:
            return
        if self._kind is ReasoningKind.OMITTED and not self._readable:
            self._show_hidden("omitted", signature=signature)
        else:
            self._writer.write(ReasoningMessage, self._otid, reasoning="", signature=signature)

    def _show(self, text: str) -> None:
        if text:
            self._readable = True
            self._writer.write(ReasoningMessage, self._otid, reasoning=text)

    def _show_hidden(
        self,
        state: Literal["redacted", "omitted"],
        data: str | None = None,
        signature: str | None = None,
    ) -> None:
        self._writer.write(
            HiddenReasoningMessage,
            self._hidden_otid,
            state=state,
            hidden_reasoning=data,
            signature=signature,
        )
