"""Reports to files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from tokenline.errors import ConfigError
from tokenline_bench.report import Report
from tokenline_bench.results import Results

from .atomic import write_whole


@dataclass(frozen=True, slots=True)
class Files:
    """Where to write; None for nowhere.

    Attributes:
        json: the whole report.
        jsonl: one line a request, written as they end.
        csv: one row a metric.
        html: charts.
    """

    json: Path | None = None
    jsonl: Path | None = None
    csv: Path | None = None
    html: Path | None = None

    @classmethod
    def in_folder(cls, folder: Path) -> Files:
        """All of them in one folder, which is made.

        Raises:
            ConfigError: it cannot be made.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"cannot make {folder}: {error.strerror}") from error
        return cls(
            folder / "report.json",
            folder / "requests.jsonl",
            folder / "metrics.csv",
            folder / "report.html",
        )

    def check(self) -> None:
        """Raise `ConfigError` now for what cannot be written, not after the measurement."""
        for path in (self.json, self.jsonl, self.csv, self.html):
            if path is not None and not path.parent.is_dir():
                raise ConfigError(f"cannot write {path}: there is no folder {path.parent}")
        for path in (self.json, self.csv, self.html):  # the other one is opened at once
            if path is not None:
                _check_writable(path)


def _check_writable(path: Path) -> None:
    """A regular file is replaced in its folder; a pipe or a device is written to as it is."""
    target = path.resolve()
    if target.exists() and not target.is_file():
        return
    try:
        TemporaryFile(dir=target.parent).close()
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error


def save_report(report: Report, files: Files, results: Results | None = None) -> list[Path]:
    """Write the report in every form asked for; JSON Lines were written as requests ended.

    Args:
        report: what to write.
        files: where.
        results: the requests themselves, for the charts that need them.

    Raises:
        ConfigError: a file cannot be written; the others are.
    """
    jobs: list[tuple[Path | None, Callable[[Path], None]]] = [
        (files.json, report.save),
        (files.csv, lambda path: _write_csv(report, path)),
        (files.html, lambda path: _write_html(report, path, results)),
    ]
    written: list[Path] = []
    failures: list[str] = []
    for path, write in jobs:
        if path is None:
            continue
        try:
            write_whole(path, write)
            written.append(path)
        except OSError as error:
            failures.append(f"cannot write {path}: {error.strerror}")
    if failures:
        raise ConfigError("; ".join(failures))
    return written


def _write_csv(report: Report, path: Path) -> None:
    from .csv_file import write_csv

    write_csv(report, path)


def _write_html(report: Report, path: Path, results: Results | None) -> None:
    from .html import write_html

    write_html(report, path, results)
