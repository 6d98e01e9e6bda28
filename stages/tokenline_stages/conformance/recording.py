"""Recordings on disk: three files each.

- `NAME.json`: `api` (`openai.chat`, `openai.compat:groq` ...), `body_file`, and, where known,
  `provider`, `model`, `status`, `body_sha256` and `request` with its `json` and its `path` (or
  `url`), in which some APIs name the model;
- the body as it came over the network, after transfer and content codings;
- `NAME.expected.json`: what the body holds (see `expectation`).

Fields that are not named here are passed over.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

import msgspec

from tokenline_stages.simulator import RecordingError

EXPECTED_SUFFIX = ".expected.json"
STAND_IN_MODEL = "unknown-model"
"""The model of a request that names none: some APIs cannot be requested without."""

# A colon ends the model before a method (`:streamGenerateContent`); Bedrock's models have some.
_MODEL = re.compile(
    r"/(?:(?:models?|deployments)/|(?=tunedModels/))"
    r"((?:tunedModels/)?[^/?]+?)(?=/|\?|$|:\w+(?:\?|$))"
)
_GLOB_SIGNS = frozenset("*?[")

T = TypeVar("T")


class _Request(msgspec.Struct):
    json: Any = None
    path: Any = None
    url: Any = None


class _Metadata(msgspec.Struct):
    api: str
    body_file: str
    provider: str | None = None
    model: str | None = None
    status: int = 200
    body_sha256: str | None = None
    request: _Request | None = None


_Object = dict[str, Any]


class _Choice(msgspec.Struct):
    tool_calls: list[_Object] | None = None


class _Stated(msgspec.Struct):
    """What an expectation must be like to be compared; `expectation` knows what it means."""

    tool_calls: list[_Object] | None = None
    usage: _Object | None = None
    choices: int | list[_Choice | str] | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """What the files of a recording hold.

    Attributes:
        api: the wire API, as the recording names it.
        body: the response body.
        expected: what the body holds.
        payload: the request that brought it, with the model that its path may have named, or
            one that stands for it.
        provider: the provider, as the recording names it.
        status: HTTP status.
    """

    api: str
    body: bytes
    expected: _Object
    payload: _Object
    provider: str | None = None
    status: int = 200


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording, unread.

    Attributes:
        folder: where its files are.
        name: name of its files, without suffix.
    """

    folder: Path
    name: str

    def __str__(self) -> str:
        return self.name

    def read(self) -> Content:
        """Read its files.

        Raises:
            RecordingError: a file is missing or not in the form it should have.
        """
        about = self._decode(f"{self.name}.json", _Metadata)
        expected = self._decode(self.name + EXPECTED_SUFFIX, _Object)
        self._decode(self.name + EXPECTED_SUFFIX, _Stated)
        body = self._bytes(Path(about.body_file).name)
        stated = about.body_sha256
        if stated is not None and hashlib.sha256(body).hexdigest() != stated.lower():
            raise RecordingError(f"{about.body_file} is not the body that was recorded: sha256")
        return Content(about.api, body, expected, _payload(about), about.provider, about.status)

    def _bytes(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            raise RecordingError(f"cannot read {name}: {error.strerror}") from error

    def _decode(self, name: str, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(self._bytes(name), type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RecordingError(f"{name}: {error}") from error


def recordings(folder: Path | str, pattern: str | None = None) -> list[Recording]:
    """The recordings in a folder, by name.

    Files that turn out to be unreadable are failures of their recording, not of this call.

    Args:
        folder: where they are; folders in it are not looked into.
        pattern: a glob, or a part of the name, that a name has to match.

    Raises:
        RecordingError: no such folder, or no recordings in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RecordingError(f"{folder} is no folder; give one with recordings")
    names = sorted(set(_names(folder)))
    if not names:
        raise RecordingError(
            f"{folder} has no recordings: no NAME.json beside NAME{EXPECTED_SUFFIX}"
        )
    return [Recording(folder, name) for name in names if _matches(name, pattern)]


def _names(folder: Path) -> Iterator[str]:
    for path in folder.glob("*.json"):
        if path.name.endswith(EXPECTED_SUFFIX):
            yield path.name.removesuffix(EXPECTED_SUFFIX)
        elif _tells_of_a_body(path):
            yield path.stem


def _tells_of_a_body(path: Path) -> bool:
    try:
        return b'"body_file"' in path.read_bytes()
    except OSError:
        return False


def _matches(name: str, pattern: str | None) -> bool:
    if pattern is None:
        return True
    if _GLOB_SIGNS & set(pattern):
        return fnmatchcase(name, pattern)
    return pattern in name


def _payload(about: _Metadata) -> _Object:
    sent = about.request.json if about.request is not None else None
    payload = dict(sent) if isinstance(sent, dict) else {}
    if not payload.keys() & {"model", "modelId"}:
        payload["model"] = unquote(about.model or _model_in_path(about.request) or STAND_IN_MODEL)
    return payload


def _model_in_path(request: _Request | None) -> str | None:
    places = (request.path, request.url) if request is not None else ()
    found = (_MODEL.search(place) for place in places if isinstance(place, str))
    return next((match[1] for match in found if match), None)
