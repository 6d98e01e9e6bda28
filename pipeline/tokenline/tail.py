"""What stands behind the branches."""

from collections.abc import Callable

from .batch import AnyBatch


class Tail:
    """Stands behind a branch (or the fan-out itself) and tells when it is through."""

    __slots__ = ("_name", "_on_through")

    def __init__(self, name: str, on_through: Callable[[str], None]) -> None:
        self._name = name
        self._on_through = on_through

    def push_nowait(self, batch: AnyBatch) -> bool:
        """Take and forget."""
        return True

    async def push(self, batch: AnyBatch) -> None:
        """Take and forget."""

    def close(self, error: BaseException | None) -> None:
        """The branch is through."""
        self._on_through(self._name)
