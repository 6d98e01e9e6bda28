"""What a measured client can do."""

from typing import Any, Protocol


class Client(Protocol):
    """Reads chat streams.

    Attributes:
        name: row heading.
    """

    name: str

    async def read(self, payload: dict[str, Any], plan: str) -> int:
        """Read one stream to its end; gives the number of content deltas seen.

        `plan` is JSON for the simulator's `x-tokenline-plan` header.
        """
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...
