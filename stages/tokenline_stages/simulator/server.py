"""The HTTP side: routes, numbers and ids of requests, and the ledger's addresses."""

import asyncio
import os
import time
from typing import Annotated

import msgspec
from aiohttp import web

from .apis.openai_chat import OPENAI_CHAT
from .exchange import Exchange
from .frames import PLACEHOLDER
from .intake import RECORDINGS_PATH, Intake, Refusal, find_api
from .ledger import Entry, Ledger
from .responses import REQUEST_ID_HEADER, error_response, json_response

MAX_REQUEST_BYTES = 64 * 1024 * 1024
MAX_STALL_S = 60


class _Stall(msgspec.Struct):
    seconds: Annotated[float, msgspec.Meta(ge=0, le=MAX_STALL_S)]


class Server:
    """Answers requests and writes down what it did."""

    def __init__(self, intake: Intake, ledger: Ledger, capacity: int | None = None) -> None:
        self._intake = intake
        self._room = None if capacity is None else asyncio.Semaphore(capacity)
        self._ledger = ledger
        self._number = 0
        self._run = os.urandom(4).hex()

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=MAX_REQUEST_BYTES)
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/recordings", self._list_recordings)
        app.router.add_get("/ledger", self._list_ledger)
        app.router.add_delete("/ledger", self._clear_ledger)
        app.router.add_get("/ledger/{request_id}", self._show_ledger)
        app.router.add_post("/stall", self._stall)
        app.router.add_get(RECORDINGS_PATH + "{path:.+}", self._answer)
        app.router.add_post("/{path:.*}", self._answer)
        return app

    async def _health(self, request: web.Request) -> web.Response:
        return json_response({"status": "ok"})

    async def _models(self, request: web.Request) -> web.Response:
        model = {"id": "tokenline-simulator", "object": "model", "created": 0}
        return json_response({"object": "list", "data": [model | {"owned_by": "tokenline"}]})

    async def _list_recordings(self, request: web.Request) -> web.Response:
        recordings = self._intake.recordings
        return json_response(recordings.names if recordings else [])

    async def _list_ledger(self, request: web.Request) -> web.Response:
        return json_response([entry.summary() for entry in self._ledger])

    async def _clear_ledger(self, request: web.Request) -> web.Response:
        self._ledger.clear()
        return web.Response(status=204)

    async def _show_ledger(self, request: web.Request) -> web.Response:
        entry = self._ledger.get(request.match_info["request_id"])
        if entry is None:
            return json_response({"error": "no such request, or it was dropped"}, 404)
        return json_response(entry.to_json())

    async def _stall(self, request: web.Request) -> web.Response:
        """Block the whole server for a while, as a garbage collection or a lost disk does."""
        try:
            stall = msgspec.json.decode(await request.read(), type=_Stall)
        except msgspec.DecodeError as error:
            return json_response({"error": f"give seconds, up to {MAX_STALL_S}: {error}"}, 400)
        asyncio.get_running_loop().call_later(0.01, time.sleep, stall.seconds)
        return web.Response(status=202)

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
        entry = Entry(request_id, number, request.path, received_ns, received_unix_ns, received_ns)
        self._ledger.add(entry)
        return entry

    async def _respond(self, request: web.Request, entry: Entry) -> web.StreamResponse:
        body = await request.read()
        api, model = find_api(request)
        try:
            order = self._intake.read(request, api, model, body, entry.number)
        except Refusal as refusal:
            return error_response(api or OPENAI_CHAT, entry, refusal.status, refusal.message)
        api = api or OPENAI_CHAT
        entry.api = api.name
        entry.model = order.job.model
        entry.faults = tuple(
            str(type(fault).__struct_config__.tag) for fault in order.job.plan.faults
        )
        message_id = f"{self._run}{entry.number:0{len(PLACEHOLDER) - len(self._run)}x}"
        exchange = Exchange(request, api, order, entry, self._ledger, message_id)
        if self._room is None:
            return await exchange.answer()
        async with self._room:
            entry.started_ns = time.perf_counter_ns()
            return await exchange.answer()
