"""Virtual environments of their own for peers and other tools, made by uv."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_FOLDER = ROOT / ".venv" / "peers"
"""Where environments live unless told otherwise; `make clean` takes them away."""

_VERSIONS = """
import importlib.metadata, json
found = {d.name.lower(): d.version for d in importlib.metadata.distributions()}
print(json.dumps(dict(sorted(found.items()))))
"""


class Environment:
    """A virtual environment with some packages, made unless it is there with the same ones.

    Args:
        folder: where environments live.
        name: name of the environment.
        requirements: what to install, as pip spells it; by default the name.
        project: whether to install this checkout too, editable.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        requirements: Sequence[str] | None = None,
        *,
        project: bool = False,
    ) -> None:
        self.name = name
        self.path = folder / name
        self._requirements = [name] if requirements is None else list(requirements)
        if project:
            self._requirements += ["--editable", str(ROOT)]
        self._stamp = self.path / "installed.json"

    @property
    def python(self) -> str:
        """The environment's interpreter."""
        return str(self.path / "bin" / "python")

    def command(self, name: str) -> str:
        """A command that one of the packages installs."""
        return str(self.path / "bin" / name)

    def make(self) -> None:
        """Make it, if that was not done."""
        wanted = json.dumps(self._requirements)
        if self._stamp.exists() and self._stamp.read_text(encoding="utf-8") == wanted:
            return
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
        venv = [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(self.path)]
        subprocess.run(venv, check=True)
        install = [uv, "pip", "install", "--quiet", "--python", self.python]
        subprocess.run([*install, *self._requirements], check=True)
        self._stamp.write_text(wanted, encoding="utf-8")

    def versions(self) -> dict[str, str]:
        """What is installed in it: `{package: version}`."""
        done = subprocess.run(
            [self.python, "-c", _VERSIONS], check=True, capture_output=True, text=True
        )
        found: dict[str, str] = json.loads(done.stdout)
        return found


def clean_environment() -> dict[str, str]:
    """This process's variables, but nothing that changes another tool's imports or telemetry."""
    foreign = ("OTEL", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, "COLUMNS": "120"}
