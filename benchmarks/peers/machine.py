"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.environments import ROOT


def describe_machine() -> dict[str, str]:
    """Machine, system and interpreter, and the commit of this checkout."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": read_cpuinfo().get("model name") or platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": sys.version.split()[0],
        "commit": _commit(),
    }


def load_average() -> float:
    """Processes that wanted to run, mean of the last minute."""
    return os.getloadavg()[0]


def read_cpuinfo() -> dict[str, str]:
    """What the system tells of the first processor; empty where it tells nothing."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return {}
    lines = told.partition("\n\n")[0].splitlines()
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
