"""What a queue did: the numbers behind a stage's queue wait, high-water marks and drops."""

import msgspec


class ChannelStats(msgspec.Struct, frozen=True):
    """What a channel did so far.

    Attributes:
        items: items waiting now.
        bytes: wire bytes waiting now.
        high_water_items: most items that ever waited.
        high_water_bytes: most wire bytes that ever waited.
        sent_items: items accepted.
        sent_batches: batches accepted.
        dropped_items: items lost to the overflow policy or to a receiver that left.
        queue_wait_ns: Σ over received batches of (received - sent).
        blocked_ns: Σ time that `send` waited for room.
    """

    items: int
    bytes: int
    high_water_items: int
    high_water_bytes: int
    sent_items: int
    sent_batches: int
    dropped_items: int
    queue_wait_ns: int
    blocked_ns: int
