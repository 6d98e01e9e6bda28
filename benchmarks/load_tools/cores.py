"""Servers on one core, load generators on another: what a tool uses must not slow the server.

Without it the tool that costs most meets the slowest server, and the comparison says nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from tokenline_stages.simulator import Plan, SimulatorProcess

SERVERS_CORE, TOOLS_CORE = 0, 1


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Processes started inside stay on this core; nothing happens where that cannot be said."""
    if not hasattr(os, "sched_setaffinity") or (os.cpu_count() or 1) < 2:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def simulator_apart(plan: Plan) -> Iterator[SimulatorProcess]:
    """The simulator on the servers' core."""
    simulator = SimulatorProcess(plan)
    with on_core(SERVERS_CORE):
        simulator.start()
    try:
        yield simulator
    finally:
        simulator.stop()
