"""llama.cpp's own HTTP server in a process of its own: `python -m tests.end_to_end.llamacpp`."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

START_LIMIT_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class LlamaServer:
    """A running server; `url` is its address, `log()` what it has said."""

    def __init__(self, model: Path, log: Path, *, jinja: bool, threads: int = 2) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = log
        arguments = [str(model), str(self.port), "jinja" if jinja else "plain", str(threads)]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.end_to_end.llamacpp", *arguments],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._wait()

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _wait(self) -> None:
        until = time.monotonic() + START_LIMIT_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=1) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.05)
        text = self.log()
        self.close()
        raise RuntimeError(f"llama.cpp's server did not start:\n{text[-2000:]}")


def serve(model: str, port: int, *, jinja: bool, threads: int) -> None:
    """Serve until standard input closes."""
    import xllamacpp

    from tests.end_to_end.tiny_models import CHAT_TEMPLATE

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = 4096
    params.n_parallel = 4
    params.warmup = False
    params.cpuparams.n_threads = threads
    if jinja:
        params.use_jinja = True
        params.chat_template = CHAT_TEMPLATE
    server = xllamacpp.Server(params)
    print("listening", server.listening_address, flush=True)  # noqa: T201 - the server's log
    sys.stdin.read()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), jinja=sys.argv[3] == "jinja", threads=int(sys.argv[4]))
