"""The page of `tokenline report`, made from a load and drawn by a browser without a network."""

import subprocess
import sys
from pathlib import Path

from .tools import ROOT, WORK, photograph, say


def check(seconds: float, pictures: Path) -> None:
    """Keep the traces of a load, make the page, photograph it; raises if a step fails."""
    WORK.mkdir(parents=True, exist_ok=True)
    store, page = WORK / "report.db", WORK / "report.html"
    store.unlink(missing_ok=True)
    load = ["-m", "dashboards.load", "--seconds", str(seconds), "--traces", str(store)]
    _run(*load)
    _run("-m", "tokenline_stages.cli", "report", str(store), "--output", str(page))
    photograph(page.as_uri(), pictures / "report.png", 1200, 3900, network=False)
    say(f"pictures/report.png shows {page}")


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True)
