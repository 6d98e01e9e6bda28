"""Who gets what: endpoints, conversations and cancellations by the number of the work.

Everything follows from seed and number, so that any number of processes deal out the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Dealing:
    """How numbered work is dealt out.

    Endpoints take turns in blocks, each block in an order of its own, and every conversation goes
    to each endpoint once: all of them meet the same work at the same times.

    Attributes:
        endpoints: how many.
        seed: decides the orders.
        cancel_share: share of requests that are left on purpose.
        cancel_after_s: how long after their start.
    """

    endpoints: int
    seed: int
    cancel_share: float = 0.0
    cancel_after_s: float = 0.0

    def endpoint(self, number: int) -> int:
        """The endpoint of a piece of work."""
        if self.endpoints == 1:
            return 0
        block, place = divmod(number, self.endpoints)
        order = list(range(self.endpoints))
        Random(f"endpoints:{self.seed}:{block}").shuffle(order)
        return order[place]

    def conversation(self, number: int) -> int:
        """The conversation of a piece of work."""
        return number // self.endpoints

    def cancel_after(self, number: int, turn: int) -> float | None:
        """After how many seconds a request is left; None if it is not."""
        if not self.cancel_share:
            return None
        drawn = Random(f"cancel:{self.seed}:{number}:{turn}").random()
        return self.cancel_after_s if drawn < self.cancel_share else None
