"""Takes members out of a JSON object while it streams; what is left stays a JSON object.

`{"thinking": "so", "q": 1}` without `thinking` gives the text `so` and the JSON `{"q": 1}`.
"""

from collections.abc import Callable, Collection, Mapping

from tokenline_stages.wire.json_reader import JsonReader, Mark, Token

Piece = tuple[str | None, str]
"""A key and a piece of its string, decoded; or None and a piece of the JSON that is left."""


class ArgumentSplitter:
    """Splits the arguments of one tool call.

    Only members of the outermost object are taken out, and only strings: any other value stays
    where it is. What is left comes byte for byte as it was, each member as soon as its key is
    known not to be one of `keys`; the opening brace comes with the first of them. From a mistake
    in the JSON on, everything is left.

    Args:
        keys: names of the members to take out.

    Attributes:
        found: names of those that were there.
    """

    __slots__ = (
        "_candidate",
        "_depth",
        "_gap",
        "_held",
        "_kept",
        "_keys",
        "_lead",
        "_name",
        "_opening",
        "_out",
        "_reader",
        "_rest",
        "_taken",
        "found",
    )

    def __init__(self, keys: Collection[str]) -> None:
        self._keys = frozenset(keys)
        self._reader = JsonReader()
        self._depth = 0
        self._out: list[Piece] = []
        self.found: set[str] = set()
        # Of the JSON that is left: pieces to give, and whether there was a member.
        self._rest: list[str] = []
        self._kept = False
        # Held until a member is left: the brace and the space after it.
        self._opening: list[str] = []
        # Held until it is known whether a member is left: comma and space, then key and colon.
        self._lead: list[str] = []
        self._held: list[str] = []
        self._name: list[str] | None = None
        self._candidate: str | None = None
        # The member being taken out; then the gap up to the next comma.
        self._taken: str | None = None
        self._gap = False

    @property
    def problem(self) -> str | None:
        """What is wrong with the JSON, if anything."""
        return self._reader.problem

    def feed(self, text: str) -> list[Piece]:
        """What a fragment of the arguments brings."""
        self._out = []
        for token in self._reader.feed(text):
            self._split(token)
        self._flush()
        return self._out

    def finish(self) -> list[Piece]:
        """The arguments are over: what was held back of them."""
        self._out = []
        for token in self._reader.finish():
            self._split(token)
        self._release()
        self._flush()
        return self._out

    def _split(self, token: Token) -> None:
        if self._taken is not None:
            self._take(token)
        elif token[0] is Mark.WRONG:
            self._release()
            self._rest.append(token[1])
        elif self._depth == 1:
            _AT_MEMBERS.get(token[0], ArgumentSplitter._leave_value)(self, token)
        else:
            self._leave(token)

    def _take(self, token: Token) -> None:
        mark, _, text = token
        if mark is Mark.STRING_END:
            self._taken = None
            self._gap = True
        elif text:
            self._flush()
            self._out.append((self._taken, text))

    # --- at the members of the outermost object ------------------------------------------------

    def _space(self, token: Token) -> None:
        space = token[1]
        if self._candidate is not None:
            self._held.append(space)
        elif self._lead:
            self._lead.append(space)
        elif self._gap:
            return
        elif self._opening:
            self._opening.append(space)
        else:
            self._rest.append(space)

    def _comma(self, token: Token) -> None:
        self._lead = [token[1]]
        self._gap = False

    def _key_start(self, token: Token) -> None:
        self._held = [token[1]]
        self._name = []

    def _text(self, token: Token) -> None:
        if self._name is None or not self._held:
            self._rest.append(token[1])
            return
        self._held.append(token[1])
        self._name.append(token[2])
        name = "".join(self._name)
        if not any(key.startswith(name) for key in self._keys):
            self._keep()

    def _string_end(self, token: Token) -> None:
        if not self._held:
            self._name = None
            self._rest.append(token[1])
            return
        self._held.append(token[1])
        name, self._name = "".join(self._name or ()), None
        if name in self._keys:
            self._candidate = name
        else:
            self._keep()

    def _colon(self, token: Token) -> None:
        (self._rest if self._candidate is None else self._held).append(token[1])

    def _string_start(self, token: Token) -> None:
        if self._candidate is None:
            self._rest.append(token[1])
            return
        self._taken = self._candidate
        self.found.add(self._candidate)
        self._candidate = None
        self._held = []
        self._lead = []

    def _leave_value(self, token: Token) -> None:
        self._keep()
        self._leave(token)

    # --- what is left ------------------------------------------------------------------------

    def _leave(self, token: Token) -> None:
        mark, raw, _ = token
        if mark in (Mark.OBJECT_START, Mark.LIST_START):
            self._depth += 1
            if self._depth == 1 and mark is Mark.OBJECT_START:
                self._opening.append(raw)
                return
            # A list at the top has no members: never be at the first level inside it.
            self._depth = max(self._depth, 2)
        elif mark in (Mark.OBJECT_END, Mark.LIST_END):
            self._depth -= 1
        self._open()
        self._rest.append(raw)

    def _open(self) -> None:
        self._rest += self._opening
        self._opening = []

    def _keep(self) -> None:
        if self._held:
            self._open()
            if self._kept:
                self._rest += self._lead
            self._rest += self._held
            self._held = []
            self._lead = []
            self._candidate = None
            self._kept = True

    def _release(self) -> None:
        self._open()
        self._rest += self._lead + self._held
        self._lead = []
        self._held = []

    def _flush(self) -> None:
        rest = "".join(self._rest)
        self._rest = []
        if rest:
            self._out.append((None, rest))


_AT_MEMBERS: Mapping[Mark, Callable[[ArgumentSplitter, Token], None]] = {
    Mark.SPACE: ArgumentSplitter._space,
    Mark.COMMA: ArgumentSplitter._comma,
    Mark.KEY_START: ArgumentSplitter._key_start,
    Mark.TEXT: ArgumentSplitter._text,
    Mark.STRING_END: ArgumentSplitter._string_end,
    Mark.COLON: ArgumentSplitter._colon,
    Mark.STRING_START: ArgumentSplitter._string_start,
}
