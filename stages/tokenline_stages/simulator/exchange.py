"""One request being answered: the plan turned into a response on its connection."""

import asyncio
import time

import msgspec
from aiohttp import web

from .alteration import Ending, Spoiler
from .answer import compose
from .apis.api import WireApi
from .faults import DelayHeaders, HttpError, Redirect
from .frames import PLACEHOLDER
from .intake import Order
from .ledger import Entry, Ledger
from .recording import Recording
from .responses import frames_in_chunks, planned_failure, request_ids, stream_head
from .sender import Sender, end_badly, sleep_until
from .transmission import Transmission, alter_transmission, plan_transmission

_NS = 1_000_000_000


class Exchange:
    """A request, what it asks for, and its entry in the ledger."""

    def __init__(
        self,
        request: web.Request,
        api: WireApi,
        order: Order,
        entry: Entry,
        ledger: Ledger,
        message_id: str,
    ) -> None:
        self._request = request
        self._api = api
        self._order = order
        self._plan = order.job.plan
        self._entry = entry
        self._ledger = ledger
        self._message_id = message_id

    async def answer(self) -> web.StreamResponse:
        """Answer as ordered. Raises `ConnectionError` or is cancelled when the client leaves."""
        for fault in self._plan.faults:
            if isinstance(fault, DelayHeaders):
                await asyncio.sleep(fault.delay_s)
            elif isinstance(fault, HttpError | Redirect):
                return planned_failure(self._api, self._entry, fault)
        if self._order.recording is not None:
            return await self._replay(self._order.recording)
        return await (self._generate() if self._order.stream else self._whole())

    async def _whole(self) -> web.StreamResponse:
        """All content in one JSON object, as late as the stream's end would be."""
        job = self._order.job
        due_ns = self._plan_transmission(True).due_ns
        await sleep_until(self._entry, due_ns[-1] if due_ns else 0)
        whole = self._api.whole(compose(job.plan, job.max_tokens), job)
        body = msgspec.json.encode(whole).replace(PLACEHOLDER.encode(), self._message_id.encode())
        self._entry.status = 200
        headers = request_ids(self._entry)
        return web.Response(body=body, headers=headers, content_type="application/json")

    async def _generate(self) -> web.StreamResponse:
        job = self._order.job
        chunked = frames_in_chunks(self._request, self._plan)
        transmission = self._plan_transmission(chunked)
        size = sum(transmission.layout.progress.body_bytes)
        content_type = self._api.framing(job).content_type
        head = stream_head(self._entry, self._plan, 200, content_type, size)
        return await self._stream(head, transmission, self._message_id)

    def _plan_transmission(self, chunked: bool) -> Transmission:
        job, number = self._order.job, self._entry.number
        return plan_transmission(self._api, job, number, chunked, self._message_id)

    async def _replay(self, recording: Recording) -> web.StreamResponse:
        self._entry.recording = recording.name
        plan = self._plan
        framing = self._api.framing(self._order.job)
        transmission = alter_transmission(
            recording.time(plan, self._entry.number),
            plan if recording.times_ns else msgspec.structs.replace(plan, split_bytes=None),
            self._entry.number,
            frames_in_chunks(self._request, plan),
            Spoiler(framing.malform, framing.oversize, self._api.error_event),
            recording.ending,
        )
        size = sum(transmission.layout.progress.body_bytes)
        head = stream_head(self._entry, plan, recording.status, recording.content_type, size)
        for name, value in recording.headers:
            if name.lower() not in head.headers:
                head.headers.add(name, value)
        return await self._stream(head, transmission, PLACEHOLDER)

    async def _stream(
        self, response: web.StreamResponse, transmission: Transmission, message_id: str
    ) -> web.StreamResponse:
        entry = self._entry
        self._ledger.attach(entry, transmission)
        await sleep_until(entry, round(self._plan.headers_s * _NS))
        if frames_in_chunks(self._request, self._plan):
            response.enable_chunked_encoding()
        entry.headers_ns = time.perf_counter_ns()
        writer = await response.prepare(self._request)
        transport = self._request.transport
        if writer is None or transport is None:
            raise ConnectionResetError("the client left before the headers were sent")
        await Sender(transport, entry, transmission, message_id).send(writer)
        if transmission.ending is not Ending.COMPLETE:
            await end_badly(transport, entry, transmission)
            return response
        entry.close("complete")
        await response.write_eof()
        if response.headers.get("Connection") == "close":
            transport.close()
        return response
