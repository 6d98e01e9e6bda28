"""The common emission, and what only this API needs of it."""

from msgspec import Raw

from tokenline.events import UnknownEvent
from tokenline.stage import StepContext
from tokenline_stages.emission import Emission

_NOTHING = frozenset({b"", b"null", b"{}", b"[]"})


class MessagesEmission(Emission):
    """Events of one Messages response."""

    __slots__ = ("_pass_unknown", "_strict")

    def __init__(self, context: StepContext) -> None:
        super().__init__(context)
        self._pass_unknown = context.pass_unknown
        self._strict = context.strict

    def count_unknown(self, type_: str, data: bytes) -> None:
        """Count something unknown that is delivered raw anyway; raises if strict."""
        if self._strict:
            self.skip(type_, data)
        self.unknown += 1

    def pass_on(self, type_: str, data: Raw | bytes) -> None:
        """Emit metadata that has no event of its own, where the run asks for what is unknown.

        It does not count as unknown.
        """
        if self._pass_unknown and bytes(data) not in _NOTHING:
            self.emit(UnknownEvent, type_, bytes(data))
