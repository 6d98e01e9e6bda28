"""What a load generator is asked and what it answers."""

from __future__ import annotations

import resource
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .cores import TOOLS_CORE, on_core


@dataclass(frozen=True, slots=True)
class Job:
    """One run against an OpenAI-compatible chat endpoint.

    Attributes:
        url: base of the server, without `/v1`.
        model: name to send.
        concurrency: requests under way.
        requests: to be measured.
        warmup: requests before.
        prompts: what is asked, in turns; every tool asks the same.
        tokens: length of answers; servers are told not to end them earlier (`ignore_eos`).
        folder: for what the tool writes.
        body: more fields of every request.
    """

    url: str
    model: str
    concurrency: int
    requests: int
    warmup: int
    prompts: tuple[str, ...]
    tokens: int
    folder: Path
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a tool reported, milliseconds: medians over requests.

    Attributes:
        ttft_ms: time to first token.
        itl_ms: time per token after the first, one mean a request.
        e2e_ms: end-to-end latency.
        ok: requests that ended well.
        cpu_s: CPU time of the tool and its children, start included.
        wall_s: time it took.
        means: `ttft`, `itl` and `e2e` again, means over requests, milliseconds.
        also: medians that the tool reports, by its own names, milliseconds.
    """

    ttft_ms: float
    itl_ms: float
    e2e_ms: float
    ok: int
    cpu_s: float
    wall_s: float
    means: dict[str, float] = field(default_factory=dict)
    also: dict[str, float] = field(default_factory=dict)


class LoadTool(Protocol):
    """A load generator.

    Attributes:
        name: column heading.
    """

    name: str

    def install(self) -> None:
        """Make it ready to run; nothing if it is."""
        ...

    def run(self, job: Job) -> Figures:
        """Run it; `RuntimeError` with its last words if it fails."""
        ...


def run_measured(command: list[str], environment: dict[str, str], log: Path) -> tuple[float, float]:
    """Run a command to its end on the tools' core; gives CPU seconds of it and its children,
    and seconds.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    with log.open("wb") as output, on_core(TOOLS_CORE):
        done = subprocess.run(
            command,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            timeout=900,
            check=False,
        )
    wall_s = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        words = log.read_text(errors="replace")[-1500:]
        raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{words}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu_s, wall_s
