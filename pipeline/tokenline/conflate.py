"""What `Overflow.CONFLATE` does with a full queue: neighbouring deltas of one part become one.

Nothing is lost but where one delta ended and the next began. The queue is joined as a whole, and
not at every batch: between two joins it takes as many batches as an empty one, so that the cost
stays linear in the text.
"""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from .batch import AnyBatch, Batch
from .events import ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta

_FIELDS: dict[type, str] = {
    TextDelta: "text",
    ReasoningDelta: "text",
    RefusalDelta: "text",
    ToolCallDelta: "arguments",
}


def join_deltas(batches: Sequence[AnyBatch]) -> AnyBatch:
    """One batch of several, in order.

    A joined delta has the `seq` and the receive time of its last piece. The pieces count with
    their text's bytes, everything else with the wire bytes it came from.
    """
    items: list[Any] = []
    pieces: list[str] = []
    size_bytes = 0
    for batch in batches:
        text_bytes = 0
        kept = 0
        for item in batch.items:
            field = _FIELDS.get(type(item))
            piece = getattr(item, field) if field is not None else ""
            if pieces and type(item) is type(items[-1]) and item.part == items[-1].part:
                items[-1] = item
                text_bytes += len(piece.encode("utf-8", "surrogatepass"))
            else:
                _close(items, pieces)
                items.append(item)
                kept += 1
            if field is not None:
                pieces.append(piece)
        size_bytes += batch.size_bytes if kept else text_bytes
    _close(items, pieces)
    return Batch(items, batches[-1].recv_ns, size_bytes)


def _close(items: list[Any], pieces: list[str]) -> None:
    """Give the last delta all of its text."""
    if len(pieces) > 1:
        items[-1] = replace(items[-1], **{_FIELDS[type(items[-1])]: "".join(pieces)})
    pieces.clear()
