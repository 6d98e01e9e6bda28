"""Recorded streams and how they are sent again, byte for byte.

Two forms are read: cassettes (`NAME.cassette.jsonl`, with times) and pairs of `NAME.json`
(metadata: `status`, `content_type`, `body_file`) and a file with the raw body (without times).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import msgspec

from .alteration import Ending
from .cassette import SUFFIX, RecordingError, check_header, read_cassette
from .frames import Frame, Timed, When
from .plan import Plan
from .schedule import draw_due_times

_PIECE_BYTES = 65_536
_NOT_REPLAYED = {"content-length", "transfer-encoding", "connection", "content-encoding", "date"}


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded response.

    Attributes:
        name: how requests ask for it.
        status: its HTTP status.
        content_type: its content type.
        reads: body bytes as they were read; one for all where no times are known.
        times_ns: time of each read after the request; empty where unknown.
        headers: other headers to send again.
        ending: whether the body ended well.
    """

    name: str
    status: int
    content_type: str
    reads: tuple[bytes, ...]
    times_ns: tuple[int, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    ending: Ending = Ending.COMPLETE

    def time(self, plan: Plan, number: int) -> list[Timed]:
        """The body in pieces with send times.

        A cassette keeps its own times, scaled by the plan's speed. Other bodies are cut as the
        plan says (in pieces of 64 KiB if it does not) and the pieces are paced like tokens.
        """
        if self.times_ns:
            frames = [Frame(data, When.TOKEN) for data in self.reads]
            due_ns = [round(t / plan.speed) if plan.speed else 0 for t in self.times_ns]
        else:
            frames = [Frame(data, When.TOKEN) for data in self._cut(plan, number)]
            due_ns = draw_due_times(frames, plan, number)
        return [Timed(due, frame) for due, frame in zip(due_ns, frames, strict=True)]

    def _cut(self, plan: Plan, number: int) -> Iterator[bytes]:
        sizes = _PIECE_BYTES if plan.split_bytes is None else plan.split_bytes
        least, most = (sizes, sizes) if isinstance(sizes, int) else sizes
        rng = Random(f"cut:{plan.seed}:{number}")
        body = b"".join(self.reads)
        start = 0
        while start < len(body):
            stop = start + rng.randint(least, most)
            yield body[start:stop]
            start = stop


class _Metadata(msgspec.Struct):
    body_file: str
    status: int = 200
    content_type: str | None = None


class Recordings:
    """The recordings below a folder, by name. Files are read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        """Find them. Raises `RecordingError` when there is no such folder or nothing in it."""
        if not folder.is_dir():
            raise RecordingError(f"{folder} is no folder; give one with recordings")
        self._paths = {
            path.name.removesuffix(SUFFIX): path for path in sorted(folder.rglob("*" + SUFFIX))
        }
        for path in sorted(folder.rglob("*.json")):
            if not path.name.endswith(".expected.json") and _has_body(path):
                self._paths.setdefault(path.stem, path)
        if not self._paths:
            raise RecordingError(f"{folder} has no recordings")

    @property
    def names(self) -> list[str]:
        """All names."""
        return list(self._paths)

    def load(self, name: str) -> Recording:
        """Read a recording. Raises `RecordingError` for an unknown name or a broken file."""
        path = self._paths.get(name)
        if path is None:
            raise RecordingError(f"no recording named {name!r}")
        return _from_cassette(path) if path.name.endswith(SUFFIX) else _from_pair(path)


def _has_body(path: Path) -> bool:
    return b'"body_file"' in path.read_bytes()


def _from_pair(path: Path) -> Recording:
    try:
        metadata = msgspec.json.decode(path.read_bytes(), type=_Metadata)
        body = (path.parent / Path(metadata.body_file).name).read_bytes()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path.name}: {error}") from error
    except OSError as error:
        raise RecordingError(f"{path.name}: cannot read its body: {error.strerror}") from error
    content_type = metadata.content_type or "text/event-stream"
    check_header(path.name, "content-type", content_type)
    return Recording(path.stem, metadata.status, content_type, (body,))


def _from_cassette(path: Path) -> Recording:
    cassette = read_cassette(path)
    headers = cassette.head.headers
    types = [value for name, value in headers if name.lower() == "content-type"]
    cut = cassette.end is not None and cassette.end.end == "cut"
    return Recording(
        name=path.name.removesuffix(SUFFIX),
        status=cassette.head.status,
        content_type=types[0] if types else "text/event-stream",
        reads=tuple(read.data for read in cassette.reads),
        times_ns=tuple(read.t_ns for read in cassette.reads),
        headers=tuple(h for h in headers if h[0].lower() not in _NOT_REPLAYED | {"content-type"}),
        ending=Ending.CUT if cut else Ending.COMPLETE,
    )
