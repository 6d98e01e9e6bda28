"""What a process holds: tasks, file descriptors, memory."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tokenline.options import MIB

MOST_GROWTH = 1.05
MOST_MORE_BLOCKS = 1.01

_FDS = Path("/proc/self/fd")


@dataclass(frozen=True)
class Holding:
    """What was held at one time.

    Attributes:
        tasks: asyncio tasks beside the one that asks.
        descriptors: what the open file descriptors point at, sorted.
        resident_mib: resident memory, after what was freed went back to the system.
        blocks: how many blocks Python has allocated.
    """

    tasks: int
    descriptors: tuple[str, ...]
    resident_mib: float
    blocks: int

    @property
    def sockets(self) -> int:
        """How many of the descriptors are sockets."""
        return sum(name.startswith("socket:") for name in self.descriptors)

    @classmethod
    def now(cls) -> Holding:
        """What is held now; call it in a task."""
        gc.collect()
        return cls(
            tasks=len(asyncio.all_tasks()) - 1,
            descriptors=_descriptors(),
            resident_mib=resident_mib(),
            blocks=sys.getallocatedblocks(),
        )

    def left_since(self, before: Holding) -> list[str]:
        """What is held now and was not before, memory apart."""
        problems = []
        if self.tasks > before.tasks:
            problems.append(f"{self.tasks - before.tasks} tasks are left")
        if len(self.descriptors) > len(before.descriptors):
            more = len(self.descriptors) - len(before.descriptors)
            problems.append(f"{more} file descriptors are left: {self.descriptors[-8:]}")
        return problems

    def grown_since(self, before: Holding) -> str | None:
        """How memory grew, in words; None if it did not."""
        if self.resident_mib > MOST_GROWTH * before.resident_mib:
            return f"resident memory grew: {before.resident_mib:.1f} to {self.resident_mib:.1f} MiB"
        if self.blocks > MOST_MORE_BLOCKS * before.blocks:
            return f"allocated blocks grew from {before.blocks:,} to {self.blocks:,}"
        return None


def resident_mib(*, trim: bool = True) -> float:
    """Resident memory; `trim`: after what was freed went back to the system, where it can."""
    if trim:
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def _descriptors() -> tuple[str, ...]:
    found = []
    for entry in _FDS.iterdir():
        with contextlib.suppress(OSError):  # the listing's own
            found.append(os.readlink(entry))
    return tuple(sorted(found))
