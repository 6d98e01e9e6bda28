"""A simulator in a process of its own, so that a measured client has its core to itself."""

import os
import selectors
import subprocess
import sys
import time
from collections.abc import Sequence
from tempfile import NamedTemporaryFile, TemporaryFile
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import quote
from urllib.request import urlopen

import msgspec

from tokenline.errors import ConfigError

from .command import READY
from .plan import Plan, PlanMix


class SimulatorProcess:
    """Starts `python -m tokenline_stages.simulator` and ends it; a context manager.

    The process also ends when this one does: it watches its standard input.

    Attributes:
        url: base of all addresses, known once it runs.
    """

    def __init__(
        self,
        plan: Plan | PlanMix | None = None,
        *,
        options: Sequence[str] = (),
        start_timeout_s: float = 20.0,
    ) -> None:
        """Set up the process; nothing is started before `start`.

        Args:
            plan: what to answer.
            options: more options of `tokenline serve`.
            start_timeout_s: how long to wait until it listens.
        """
        self._plan = plan or Plan()
        self._options = tuple(options)
        self._start_timeout_s = start_timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    @property
    def openai_base_url(self) -> str:
        """For the OpenAI client's `base_url`."""
        return f"{self.url}/v1"

    @property
    def anthropic_base_url(self) -> str:
        """For the Anthropic client's `base_url`."""
        return self.url

    @property
    def pid(self) -> int:
        """Process id; raises `ConfigError` when it is not running."""
        if self._process is None:
            raise ConfigError("the simulator is not running; call start() first")
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it listens; raises `ConfigError` with its complaint."""
        # Files, not pipes or arguments: plans may be long, and nobody reads the complaints.
        with TemporaryFile() as complaints, NamedTemporaryFile(suffix=".json") as plan:
            plan.write(msgspec.json.encode(self._plan))
            plan.flush()
            arguments = [
                *(sys.executable, "-m", "tokenline_stages.simulator"),
                *("--port", "0", "--plan", f"@{plan.name}", "--until-stdin-closes"),
                *self._options,
            ]
            self._process = subprocess.Popen(
                arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints
            )
            try:
                self.url = self._wait_for_address(self._process, complaints)
            except BaseException:
                self.stop()
                raise

    def _wait_for_address(self, process: subprocess.Popen[bytes], complaints: IO[bytes]) -> str:
        stdout = process.stdout
        if stdout is None:
            raise ConfigError("the simulator's output is not readable")
        deadline = time.monotonic() + self._start_timeout_s
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise ConfigError(f"the simulator did not start in {self._start_timeout_s} s")
                part = os.read(stdout.fileno(), 4096)
                if not part:
                    process.wait()
                    complaints.seek(0)
                    raise ConfigError(complaints.read().decode(errors="replace").strip())
                line += part
        return line.decode().strip().removeprefix(READY)

    def read_ledger(self, request_id: str) -> dict[str, Any]:
        """The ledger's entry of a request, as `Entry.to_json` gives it; plain HTTP only.

        Raises:
            OSError: it is not running, or has no such entry.
        """
        with urlopen(f"{self.url}/ledger/{quote(request_id, safe='')}") as response:
            entry: dict[str, Any] = msgspec.json.decode(response.read())
        return entry

    def stop(self) -> None:
        """End the process and wait for its end. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
