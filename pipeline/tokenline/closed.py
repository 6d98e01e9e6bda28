"""What stands for the callbacks of a run that is closed: nobody hears, and nothing is begun."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from .errors import UsageError


def ignore(*told: object) -> None:
    """Stands for whoever was told."""


def refuse(work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
    """Stands for `spawn`.

    Raises:
        UsageError: always; the work is closed.
    """
    work.close()
    raise UsageError("the run is closed")
