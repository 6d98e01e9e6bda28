"""The server in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.environments import ROOT
from tokenline_stages.simulator.tls import write_self_signed


class SenderProcess:
    """Starts `python -m benchmarks.sender` and ends it; a context manager.

    Args:
        core: the core it is to run on; None for any.
        tls: also listen with TLS.

    Attributes:
        url: root address.
        tls_url: the one over TLS.
        certificate: what clients have to trust for it, PEM.
    """

    def __init__(self, *, core: int | None = None, tls: bool = False) -> None:
        self._core = core
        self._tls = tls
        self._folder = tempfile.TemporaryDirectory()
        self._process: subprocess.Popen[str] | None = None
        self.url = ""
        self.tls_url = ""
        self.certificate = ""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benchmarks.sender"]
        if self._core is not None:
            command += ["--core", str(self._core)]
        if self._tls:
            certificate, key = write_self_signed(Path(self._folder.name))
            self.certificate = str(certificate)
            command += ["--tls-certificate", str(certificate), "--tls-key", str(key)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        addresses = json.loads(self._process.stdout.readline())
        self.url, self.tls_url = addresses["url"], addresses["tls_url"]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.communicate()
        self._folder.cleanup()
