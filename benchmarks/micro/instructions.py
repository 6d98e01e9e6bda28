"""Counts instructions: comparisons that noise cannot blur.

A case is run few and many times in processes of their own; the difference is the work alone,
without interpreter start and imports. Hashes are fixed, so that two runs give the same number
within a few thousandths.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environments import ROOT

from .cases import CASES

_FEW, _MANY = 2, 12
_WARM = 3
_PERF_COUNT = re.compile(r"^(\d+),[^,]*,instructions", re.MULTILINE)
_VALGRIND_COUNT = re.compile(r"I\s+refs:\s+([\d,]+)")


class NoCounterError(Exception):
    """Neither tool can count here."""


@dataclass(frozen=True, slots=True)
class Counter:
    """A tool that counts instructions of a command."""

    name: str

    @classmethod
    def find(cls) -> Counter:
        """`perf stat` where the processor lets it count, else valgrind.

        Raises:
            NoCounterError: there is neither; the message says what to install.
        """
        if shutil.which("perf") and _perf_count([sys.executable, "-c", ""]) is not None:
            return cls("perf stat")
        if shutil.which("valgrind"):
            return cls("valgrind (cachegrind)")
        raise NoCounterError(
            "no instruction counter: `perf stat -e instructions` does not count on this machine"
            " and valgrind is not installed; install valgrind"
        )

    def per_unit(self, name: str) -> float:
        """Instructions of one unit of a case."""
        few, many = (self._count(name, times) for times in (_FEW, _MANY))
        _, units = CASES[name].prepare()
        return (many - few) / (_MANY - _FEW) / units

    def _count(self, name: str, times: int) -> int:
        command = [sys.executable, "-m", "benchmarks.micro", "--repeat", name, str(times)]
        if self.name == "perf stat":
            found = _perf_count(command)
            if found is None:
                raise NoCounterError("perf stat stopped counting")
            return found
        return _valgrind_count(command)


def run_case(name: str, times: int) -> None:
    """Do a case's work so often, after a few times for warm-up."""
    work, _ = CASES[name].prepare()
    for _ in range(_WARM + times):
        work()


def _perf_count(command: list[str]) -> int | None:
    done = _run(["perf", "stat", "-x", ",", "-e", "instructions:u", *command])
    found = _PERF_COUNT.search(done)
    return None if found is None else int(found[1])


def _valgrind_count(command: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        output = f"--cachegrind-out-file={Path(folder) / 'out'}"
        done = _run(["valgrind", "--tool=cachegrind", "--cache-sim=no", output, *command])
    found = _VALGRIND_COUNT.search(done)
    if found is None:
        raise NoCounterError(f"valgrind ended without a count: {done[-500:]}")
    return int(found[1].replace(",", ""))


def _run(command: list[str]) -> str:
    variables = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    return done.stderr
