"""Thinking that comes inside the text, between `<think>` and `</think>`."""

_OPEN, _CLOSE = "<think>", "</think>"


class ThinkTags:
    """Cuts streamed text at its think tags; used only where the quirks ask for it."""

    __slots__ = ("_held", "_inside")

    def __init__(self) -> None:
        self._held = ""
        self._inside = False

    def split(self, text: str) -> list[tuple[bool, str]]:
        """The pieces of `text` as `(is thinking, piece)`, without the tags.

        The beginning of a tag at the end of `text` is kept until the next call.
        """
        text = self._held + text
        pieces: list[tuple[bool, str]] = []
        while True:
            tag = _CLOSE if self._inside else _OPEN
            before, found, after = text.partition(tag)
            if not found:
                break
            pieces.append((self._inside, before))
            self._inside = not self._inside
            text = after
        kept = _overlap(text, tag)
        self._held = text[len(text) - kept :]
        pieces.append((self._inside, text[: len(text) - kept]))
        return [piece for piece in pieces if piece[1]]

    def rest(self) -> tuple[bool, str]:
        """What was kept and turned out to be no tag."""
        held, self._held = self._held, ""
        return self._inside, held


def _overlap(text: str, tag: str) -> int:
    """Length of the longest end of `text` that `tag` begins with."""
    for length in range(min(len(text), len(tag) - 1), 0, -1):
        if tag.startswith(text[-length:]):
            return length
    return 0
