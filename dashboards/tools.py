"""What the checks share: an own environment, processes that end with the check, patience."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parent.parent
WORK = ROOT / "build" / "dashboards"
CHROMIUM = (
    "chromium",
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


class CheckFailedError(Exception):
    """What was checked is not as it should be."""


def environment(name: str, *requirements: str) -> Path:
    """The interpreter of a virtual environment with these packages; made when first asked for."""
    folder = WORK / name
    python = folder / "bin" / "python"
    ready = folder / "ready.txt"
    wanted = "\n".join(requirements)
    if ready.exists() and ready.read_text() == wanted:
        return python
    say(f"installing {', '.join(requirements)} into {folder.relative_to(ROOT)}")
    WORK.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *requirements], check=True)
    ready.write_text(wanted)
    return python


def free_port() -> int:
    """A port of loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    arguments: Sequence[str], log: Path, variables: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended with the block; what it says goes to `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            arguments,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, **(variables or {})},
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def get_json(url: str) -> Any:
    """What a server answers."""
    with urllib.request.urlopen(url, timeout=20) as answer:
        return msgspec.json.decode(answer.read())


def wait_for(what: str, look: Callable[[], bool], seconds: float) -> None:
    """Return when it is so; raises `CheckFailedError` when the time is up first."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if look():
                return
        except OSError:
            pass
        time.sleep(0.5)
    raise CheckFailedError(f"{what}: not within {seconds:g} s")


def photograph(
    url: str,
    picture: Path,
    width: int,
    height: int,
    patience_ms: int = 8000,
    *,
    network: bool = True,
) -> None:
    """A picture of a page in headless Chromium; without a network no name resolves."""
    picture.parent.mkdir(parents=True, exist_ok=True)
    profile = WORK / "chromium"
    options = (
        f"--user-data-dir={profile}",
        f"--window-size={width},{height}",
        f"--virtual-time-budget={patience_ms}",
        f"--screenshot={picture}",
        *(() if network else ("--host-resolver-rules=MAP * ~NOTFOUND",)),
    )
    subprocess.run([*CHROMIUM, *options, url], check=True, capture_output=True, timeout=180)
    if not picture.exists():
        raise CheckFailedError(f"Chromium made no picture of {url}")


def say(text: str) -> None:
    """One line to whoever looks on."""
    sys.stderr.write(text + "\n")
