"""Writes the dashboards and the alert rules: `python -m dashboards.build [--check]`.

`--check` writes nothing and fails if a file is not what this code makes.
"""

import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from . import alerts, stages, streams

FOLDER = Path(__file__).parent


def files() -> dict[Path, str]:
    """Every file and its content."""
    return {
        FOLDER / "grafana" / "streams.json": _grafana(streams.build()),
        FOLDER / "grafana" / "stages.json": _grafana(stages.build()),
        FOLDER / "prometheus" / "alerts.yaml": alerts.build(),
    }


def _grafana(dashboard: object) -> str:
    return JSONEncoder(sort_keys=True, indent=2).encode(dashboard) + "\n"


def main(arguments: list[str]) -> int:
    """Write or check all files."""
    stale = [path for path, text in files().items() if not _is(path, text)]
    if "--check" in arguments:
        for path in stale:
            name = path.relative_to(FOLDER)
            sys.stderr.write(f"{name} is stale: run python -m dashboards.build\n")
        return 1 if stale else 0
    for path, text in files().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return 0


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
