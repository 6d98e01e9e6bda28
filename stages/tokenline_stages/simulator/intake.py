"""What a request asks for: its payload, its plan, its recording; or why it is refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import msgspec
from aiohttp import web

from tokenline.errors import ConfigError

from .apis import find_route
from .apis.api import Job, WireApi
from .apis.openai_chat import OPENAI_CHAT
from .frames import PLACEHOLDER
from .plan import Plan, PlanMix
from .recording import Recording, Recordings

PLAN_HEADER = "x-tokenline-plan"
PLAN_FIELD = "tokenline_plan"
RECORDING_HEADER = "x-tokenline-recording"
RECORDINGS_PATH = "/recordings/"


class Refusal(Exception):
    """A request that gets an error answer before any plan applies."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Order:
    """A request, understood.

    Attributes:
        job: what the answer depends on.
        stream: whether it is to be streamed.
        recording: what to play instead of making an answer up.
    """

    job: Job
    stream: bool
    recording: Recording | None = None


class Intake:
    """Reads requests by the simulator's settings. `plan` may be replaced at any time."""

    def __init__(
        self, plan: Plan | PlanMix, api_key: str | None, recordings: Recordings | None
    ) -> None:
        self.plan = plan
        self.recordings = recordings
        self._api_key = api_key

    def read(
        self, request: web.Request, api: WireApi | None, model: str | None, body: bytes, number: int
    ) -> Order:
        """Understand request `number`; `api` and `model` are what its path names.

        Raises:
            Refusal: unknown path, wrong key, bad JSON, bad plan or unknown recording.
        """
        name = _recording_name(request)
        if api is None and name is None:
            raise Refusal(404, f"no API at {request.path}")
        api = api or OPENAI_CHAT
        if self._api_key and api.key(request.headers, request.query) != self._api_key:
            raise Refusal(401, "the key is missing or wrong")
        payload = {} if name is not None and not body else _read_payload(body)
        plan = self._choose_plan(request, payload, number)
        job = Job(
            plan=plan,
            model=model or _text(payload.get("model")) or "tokenline-simulator",
            message_id=plan.message_id or PLACEHOLDER,
            include_usage=_includes_usage(payload),
            max_tokens=api.max_tokens(payload) if plan.obey_max_tokens else None,
            path=request.path_qs,
        )
        recording = None if name is None else self._load(name)
        return Order(job, api.wants_stream(request.path, payload), recording)

    def _choose_plan(self, request: web.Request, payload: Mapping[str, Any], number: int) -> Plan:
        plan = self.plan.choose(number) if isinstance(self.plan, PlanMix) else self.plan
        try:
            text = request.headers.get(PLAN_HEADER)
            changes = msgspec.json.decode(text) if text else payload.get(PLAN_FIELD)
            if changes is None:
                return plan
            if not isinstance(changes, dict):
                raise ConfigError("bad plan: expected a JSON object")
            return plan.with_changes(changes)
        except (ConfigError, msgspec.DecodeError) as error:
            raise Refusal(400, str(error)) from error

    def _load(self, name: str) -> Recording:
        if self.recordings is None:
            raise Refusal(404, "the simulator was started without recordings")
        try:
            return self.recordings.load(name)
        except ConfigError as error:
            raise Refusal(404, str(error)) from error


def find_api(request: web.Request) -> tuple[WireApi | None, str | None]:
    """The API that a request's path belongs to, and the model in it."""
    return find_route(request.path) or (None, None)


def _recording_name(request: web.Request) -> str | None:
    """The recording that a request asks for, by header or as `/recordings/NAME[/anything]`.

    In both places the name may be percent-encoded; a percent sign in it must be.
    """
    if RECORDING_HEADER in request.headers:
        return unquote(request.headers[RECORDING_HEADER])
    if request.path.startswith(RECORDINGS_PATH):
        raw = request.rel_url.raw_path.removeprefix(RECORDINGS_PATH)
        return unquote(raw.partition("/")[0])
    return None


def _read_payload(body: bytes) -> dict[str, Any]:
    try:
        payload = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, f"the request's body is no JSON: {error}") from error
    if not isinstance(payload, dict):
        raise Refusal(400, "the request's body is no JSON object")
    return payload


def _includes_usage(payload: Mapping[str, Any]) -> bool:
    options = payload.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
