"""The coordinator's side of the workers."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from benchmarks.clients.contract import ClientSpec
from benchmarks.environments import ROOT, clean_environment
from benchmarks.sender import SenderProcess

Options = Mapping[str, Any]
"""Arguments of a measure."""


class FailedError(Exception):
    """A client could not do what was asked; the message says why."""


class Processes:
    """Starts processes of clients and asks them.

    Args:
        python_of: the interpreter that has a client's packages.
        sender: the server.
        core: the core that clients run on; None for any.

    Attributes:
        started: clients of which a process has run: their byte code is cached.
    """

    def __init__(
        self, python_of: Callable[[ClientSpec], str], sender: SenderProcess, core: int | None
    ) -> None:
        self._python_of = python_of
        self._core = core
        self.sender = sender
        self.started: set[str] = set()
        self._alive: dict[str, Worker] = {}

    async def ask(
        self,
        spec: ClientSpec,
        measure: str,
        options: Options,
        *,
        tls: bool = False,
        wait_s: float = 60.0,
    ) -> Any:
        """Let a client's own process measure; it is started by the first question.

        Raises:
            FailedError: the client failed or took longer than `wait_s`; its process is gone.
        """
        worker = self._alive.get(spec.name)
        if worker is None:
            worker = self._alive[spec.name] = await self.start(spec, self._core)
        try:
            return await worker.ask(measure, options, tls=tls, wait_s=wait_s)
        except FailedError:
            del self._alive[spec.name]
            await worker.stop()
            raise

    async def ask_fresh(
        self, spec: ClientSpec, measure: str, options: Options, core: int | None = None
    ) -> Any:
        """Let a process measure that is used for this only."""
        worker = await self.start(spec, self._core if core is None else core)
        try:
            return await worker.ask(measure, options)
        finally:
            await worker.stop()

    async def start(self, spec: ClientSpec, core: int | None) -> Worker:
        """A process of a client; the caller stops it."""
        self.started.add(spec.name)
        settings = {"spec": asdict(spec), "control_url": self.sender.url, "core": core}
        process = await asyncio.create_subprocess_exec(
            self._python_of(spec),
            *("-m", "benchmarks.peers.worker", json.dumps(settings)),
            cwd=ROOT,
            env=self._variables(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=2**26,
        )
        return Worker(process, self.sender)

    async def first_request(self, spec: ClientSpec) -> tuple[float, float]:
        """Seconds from starting a process to its first delta, and CPU seconds."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        process = await asyncio.create_subprocess_exec(
            *(() if self._core is None else ("taskset", "-c", str(self._core))),
            self._python_of(spec),
            *("-m", "benchmarks.peers.cold", json.dumps(asdict(spec)), self.sender.url),
            cwd=ROOT,
            env=self._variables(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        output, _ = await process.communicate()
        if process.returncode:
            raise FailedError(f"{spec.name} ended with {process.returncode}")
        at_ns, cpu_ns = json.loads(output)
        return at_ns / 1e9 - started_s, cpu_ns / 1e9  # the loop's clock is perf_counter's

    def _variables(self) -> dict[str, str]:
        variables = {**clean_environment(), "PYTHONPATH": str(ROOT)}
        variables["SSL_CERT_FILE"] = self.sender.certificate
        variables.pop("SSL_CERT_DIR", None)
        return variables

    async def stop(self) -> None:
        """End all processes."""
        for worker in self._alive.values():
            await worker.stop()
        self._alive.clear()


class Worker:
    """One process."""

    def __init__(self, process: asyncio.subprocess.Process, sender: SenderProcess) -> None:
        self._process = process
        self._sender = sender

    async def ask(
        self, measure: str, options: Options, *, tls: bool = False, wait_s: float = 60.0
    ) -> Any:
        """One figure; raises `FailedError`."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        url = self._sender.tls_url if tls else self._sender.url
        command = {"measure": measure, "url": url, "options": dict(options)}
        stdin.write(json.dumps(command).encode() + b"\n")
        try:
            line = await asyncio.wait_for(stdout.readline(), wait_s)
        except TimeoutError:
            raise FailedError(f"longer than {wait_s:g} s") from None
        answer = json.loads(line) if line else {"error": "the process ended"}
        if "error" in answer:
            raise FailedError(answer["error"])
        return answer["value"]

    async def stop(self) -> None:
        """End it."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()


def cores() -> tuple[int | None, int | None]:
    """One core for clients, one for the server; None where there is only one."""
    found = sorted(os.sched_getaffinity(0))
    return (found[0], found[1]) if len(found) > 1 else (None, None)
