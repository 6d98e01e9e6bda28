"""A client's process: jobs in, observations out, killed when it does not answer."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Self

from benchmarks.environments import ROOT, clean_environment

from .peers.observing import Job, Observation

START_LIMIT_S = 60.0
"""Longest wait for a first answer: importing some of the peers takes many seconds."""

MARGIN_S = 20.0
"""How much longer than planned a job may take before the process is killed."""


class ClientError(RuntimeError):
    """The process ended or did not answer in time."""


class ClientProcess:
    """One client, ready for jobs; an async context manager.

    Args:
        python: interpreter of its environment.
        module: below `benchmarks.behaviour.peers`.
        log: where everything it prints goes.
    """

    def __init__(self, python: str, module: str, log: Path) -> None:
        self._command = [python, "-m", f"benchmarks.behaviour.peers.{module}"]
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._kill()

    async def do(self, job: Job) -> Observation:
        """Do a job.

        Raises:
            ClientError: no answer in time; the process was killed, the next job gets another.
        """
        first = self._process is None
        process = self._process or await self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(asdict(job)).encode() + b"\n")
        planned_s = job.watch_s + 2 * job.linger_s + job.pause_s + MARGIN_S
        try:
            async with asyncio.timeout(planned_s + (START_LIMIT_S if first else 0)):
                line = await process.stdout.readline()
        except TimeoutError:
            await self._kill()
            raise ClientError("did not come back and was killed") from None
        if not line:
            await self._kill()
            raise ClientError("its process ended")
        return Observation(**json.loads(line))

    async def _start(self) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                cwd=ROOT,
                env=clean_environment(),
                stdin=pipe,
                stdout=pipe,
                stderr=log,
                limit=16 * 1024 * 1024,
            )
        return self._process

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
        if process is not None:
            await process.wait()
