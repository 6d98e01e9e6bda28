"""The HTTP side: routes, authentication, head of the response, and the stream itself."""

import asyncio
import os
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import HttpVersion11, web

from tokenline.errors import ConfigError

from .alteration import Ending
from .answer import compose
from .apis import find_route
from .apis.api import Job, WireApi
from .faults import (
    DelayHeaders,
    Fault,
    Gzip,
    HttpError,
    HugeHeaders,
    Redirect,
    WrongContentType,
    WrongLength,
)
from .frames import PLACEHOLDER
from .ledger import Entry, Ledger
from .plan import Plan, PlanMix
from .sender import Sender, end_badly, sleep_until
from .transmission import Transmission, plan_transmission

PLAN_HEADER = "x-tokenline-plan"
PLAN_FIELD = "tokenline_plan"
REQUEST_ID_HEADER = "x-request-id"
MAX_REQUEST_BYTES = 64 * 1024 * 1024
_NS = 1_000_000_000


class _Refusal(Exception):
    """A request that gets an error answer before any plan applies."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Server:
    """Answers requests by a plan and writes down what it did."""

    def __init__(self, plan: Plan | PlanMix, ledger: Ledger, api_key: str | None) -> None:
        self.plan = plan
        self._ledger = ledger
        self._api_key = api_key
        self._number = 0
        self._run = os.urandom(4).hex()

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=MAX_REQUEST_BYTES)
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/ledger", self._list_ledger)
        app.router.add_delete("/ledger", self._clear_ledger)
        app.router.add_get("/ledger/{request_id}", self._show_ledger)
        app.router.add_post("/{path:.*}", self._answer)
        return app

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _models(self, request: web.Request) -> web.Response:
        model = {
            "id": "tokenline-simulator",
            "object": "model",
            "created": 0,
            "owned_by": "tokenline",
        }
        return web.json_response({"object": "list", "data": [model]})

    async def _list_ledger(self, request: web.Request) -> web.Response:
        return _json([entry.summary() for entry in self._ledger])

    async def _clear_ledger(self, request: web.Request) -> web.Response:
        self._ledger.clear()
        return web.Response(status=204)

    async def _show_ledger(self, request: web.Request) -> web.Response:
        entry = self._ledger.get(request.match_info["request_id"])
        if entry is None:
            return _json({"error": "no such request, or it was dropped to make room"}, 404)
        return _json(entry.to_json())

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        entry = self._open_entry(request)
        try:
            response = await self._respond(request, entry)
            entry.close("complete")
            return response
        except (asyncio.CancelledError, ConnectionError):
            entry.close("client_gone")
            raise
        finally:
            entry.close("error")

    def _open_entry(self, request: web.Request) -> Entry:
        received_ns, received_unix_ns = time.perf_counter_ns(), time.time_ns()
        number = self._number
        self._number += 1
        wanted = request.headers.get(REQUEST_ID_HEADER, "")
        usable = 0 < len(wanted) <= 128 and wanted.isascii() and wanted.isprintable()
        request_id = wanted if usable else f"req_{self._run}{number:012x}"
        entry = Entry(request_id, number, request.path, received_ns, received_unix_ns)
        self._ledger.add(entry)
        return entry

    async def _respond(self, request: web.Request, entry: Entry) -> web.StreamResponse:
        body = await request.read()
        route = find_route(request.path)
        if route is None:
            entry.status = 404
            return _json({"error": f"no API at {request.path}"}, 404)
        api, model = route
        entry.api = api.name
        try:
            payload = _read_payload(body)
            self._check_key(request, api)
            plan = self._choose_plan(request, payload, entry.number)
        except _Refusal as refusal:
            return _error(api, entry, refusal.status, refusal.message)
        entry.model = model or _text(payload.get("model")) or "tokenline-simulator"
        entry.faults = tuple(str(type(fault).__struct_config__.tag) for fault in plan.faults)
        job = Job(
            plan=plan,
            model=entry.model,
            message_id=plan.message_id or PLACEHOLDER,
            include_usage=_includes_usage(payload),
            max_tokens=api.max_tokens(payload) if plan.obey_max_tokens else None,
            path=request.path_qs,
        )
        return await self._perform(request, entry, api, job, payload)

    def _check_key(self, request: web.Request, api: WireApi) -> None:
        if self._api_key and api.key(request.headers, request.query) != self._api_key:
            raise _Refusal(401, "the key is missing or wrong")

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
            raise _Refusal(400, str(error)) from error

    async def _perform(
        self,
        request: web.Request,
        entry: Entry,
        api: WireApi,
        job: Job,
        payload: Mapping[str, Any],
    ) -> web.StreamResponse:
        for fault in job.plan.faults:
            if isinstance(fault, DelayHeaders):
                await asyncio.sleep(fault.delay_s)
            elif isinstance(fault, HttpError | Redirect):
                return _failed(api, entry, fault)
        if not api.wants_stream(request.path, payload):
            return await self._whole(entry, api, job)
        chunked = request.version >= HttpVersion11 and not _wrong_lengths(job.plan.faults)
        transmission = plan_transmission(api, job, entry.number, chunked)
        content_type = api.framing(job).content_type
        return await self._stream(request, entry, job.plan, transmission, content_type)

    async def _whole(self, entry: Entry, api: WireApi, job: Job) -> web.StreamResponse:
        transmission = plan_transmission(api, job, entry.number, True)
        await sleep_until(entry, transmission.due_ns[-1] if transmission.due_ns else 0)
        answer = api.whole(compose(job.plan, job.max_tokens), job)
        body = msgspec.json.encode(answer).replace(
            PLACEHOLDER.encode(), self._message_id(entry).encode()
        )
        entry.status = 200
        headers = _ids(entry)
        return web.Response(body=body, headers=headers, content_type="application/json")

    def _message_id(self, entry: Entry) -> str:
        return f"{self._run}{entry.number:0{len(PLACEHOLDER) - len(self._run)}x}"

    async def _stream(
        self,
        request: web.Request,
        entry: Entry,
        plan: Plan,
        transmission: Transmission,
        content_type: str,
    ) -> web.StreamResponse:
        self._ledger.attach(entry, transmission)
        await sleep_until(entry, round(plan.headers_s * _NS))
        response = _head(request, entry, plan, transmission, content_type)
        writer = await response.prepare(request)
        transport = request.transport
        if writer is None or transport is None:
            raise ConnectionResetError("the client left before the headers were sent")
        entry.headers_ns = time.perf_counter_ns()
        await Sender(transport, entry, transmission, self._message_id(entry)).send(writer)
        if transmission.ending is Ending.COMPLETE:
            entry.close("complete")
            await response.write_eof()
            if response.headers.get("Connection") == "close":
                transport.close()
        else:
            await end_badly(transport, entry, transmission)
        return response


def _read_payload(body: bytes) -> dict[str, Any]:
    try:
        payload = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _Refusal(400, f"the request's body is no JSON: {error}") from error
    if not isinstance(payload, dict):
        raise _Refusal(400, "the request's body is no JSON object")
    return payload


def _includes_usage(payload: Mapping[str, Any]) -> bool:
    options = payload.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _ids(entry: Entry) -> dict[str, str]:
    return {REQUEST_ID_HEADER: entry.request_id, "request-id": entry.request_id}


def _json(value: object, status: int = 200) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, content_type="application/json")


def _error(
    api: WireApi, entry: Entry, status: int, message: str, error_type: str | None = None
) -> web.Response:
    entry.status = status
    response = _json(api.error_body(status, message, error_type), status)
    response.headers.update(_ids(entry))
    return response


def _failed(api: WireApi, entry: Entry, fault: HttpError | Redirect) -> web.Response:
    entry.status = fault.status
    if isinstance(fault, Redirect):
        return web.Response(status=fault.status, headers=_ids(entry) | {"Location": fault.location})
    reason = HTTPStatus(fault.status).phrase if fault.status in list(HTTPStatus) else "Error"
    match fault.body:
        case "provider":
            response = _error(api, entry, fault.status, fault.message, fault.error_type)
        case "html":
            page = f"<html><body><h1>{fault.status} {reason}</h1></body></html>"
            response = web.Response(status=fault.status, text=page, content_type="text/html")
        case "text":
            response = web.Response(status=fault.status, text=fault.message)
        case _:
            response = web.Response(status=fault.status)
    response.headers.update(_ids(entry))
    if fault.retry_after is not None:
        response.headers["Retry-After"] = fault.retry_after
    return response


def _wrong_lengths(faults: tuple[Fault, ...]) -> list[WrongLength]:
    return [fault for fault in faults if isinstance(fault, WrongLength)]


def _head(
    request: web.Request,
    entry: Entry,
    plan: Plan,
    transmission: Transmission,
    content_type: str,
) -> web.StreamResponse:
    """The response's status and headers, spoiled as the plan says."""
    entry.status = 200
    response = web.StreamResponse(status=200, headers=_ids(entry) | {"Cache-Control": "no-cache"})
    response.headers["Content-Type"] = content_type
    for name, value in plan.headers:
        response.headers.add(name, value)
    for fault in plan.faults:
        match fault:
            case WrongContentType():
                response.headers["Content-Type"] = fault.content_type
            case HugeHeaders():
                for n in range(max(1, fault.size_bytes // fault.header_bytes)):
                    response.headers[f"X-Padding-{n}"] = "x" * fault.header_bytes
            case Gzip(declared=True):
                response.headers["Content-Encoding"] = "gzip"
            case WrongLength():
                length = sum(transmission.layout.body_bytes) + fault.delta_bytes
                response.content_length = max(0, length)
                response.headers["Connection"] = "close"
            case _:
                pass
    if response.content_length is None and request.version >= HttpVersion11:
        response.enable_chunked_encoding()
    return response
