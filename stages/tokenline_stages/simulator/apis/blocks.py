"""Content as blocks that open, grow and close, for the APIs that send it so."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from tokenline_stages.simulator.answer import Answer, Part, Token


class Change(Enum):
    """What happens to a block."""

    OPEN = auto()
    GROW = auto()
    CLOSE = auto()


@dataclass(frozen=True, slots=True)
class Step:
    """One change of one block.

    Attributes:
        change: which.
        index: the block's number, in the order of opening.
        token: the content that grows it; for the others, what made it open or close.
        content: all of its content so far.
    """

    change: Change
    index: int
    token: Token
    content: str = ""


def walk_blocks(answer: Answer) -> Iterator[Step]:
    """Open a block when its first token comes, close it when its last one has been sent."""
    tokens = list(answer.tokens())
    last = {(token.part, token.call): n for n, token in enumerate(tokens)}
    indexes: dict[tuple[Part, int], int] = {}
    contents: dict[int, list[str]] = {}
    for n, token in enumerate(tokens):
        block = token.part, token.call
        if block not in indexes:
            indexes[block] = len(indexes)
            yield Step(Change.OPEN, indexes[block], token)
        index = indexes[block]
        contents.setdefault(index, []).append(token.text)
        yield Step(Change.GROW, index, token)
        if last[block] == n:
            yield Step(Change.CLOSE, index, token, "".join(contents[index]))
