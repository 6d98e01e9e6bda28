"""Figures of all rows, kept in one file."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Self

from .machine import load_average

METHOD = 2
"""How figures are taken and kept; those of another method are not mixed with ours, but dropped."""


class Results:
    """What was measured.

    Attributes:
        data: `{"method", "machine", "versions", "rows": {row: one}}`, where one row is
            `{"figures", "failures", "at", "load", "commit"}`.
    """

    def __init__(self, path: Path, data: dict[str, Any]) -> None:
        self._path = path
        self.data = data

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Those of earlier runs by the same method, if there are any."""
        path = folder / "results.json"
        data = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if data.get("method") != METHOD:
            data = {"method": METHOD, "rows": {}}
        return cls(path, data)

    def begin(
        self, machine: dict[str, str], versions: dict[str, dict[str, str]], quick: bool
    ) -> None:
        """A run begins; a quick one and a full one do not mix."""
        if self.data.get("quick", quick) != quick:
            self.data["rows"] = {}
        self.data["quick"] = quick
        self.data["machine"] = machine
        self.data["versions"] = {**self.data.get("versions", {}), **versions}

    def put(self, row: str, figures: dict[str, Any], failures: dict[str, str]) -> None:
        """Keep a row."""
        self.data["rows"][row] = {
            "figures": figures,
            "failures": failures,
            "at": time.strftime("%Y-%m-%d %H:%M"),
            "load": load_average(),
            "commit": self.data["machine"]["commit"],
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self.data, indent=1), encoding="utf-8")

    def figures(self, row: str) -> dict[str, Any]:
        """A row's figures; empty where it was not measured."""
        found: dict[str, Any] = self.data["rows"].get(row, {}).get("figures", {})
        return found
