"""The heads of responses, and the responses that are no stream."""

from collections.abc import Sequence
from http import HTTPStatus

import msgspec
from aiohttp import HttpVersion11, web

from .apis.api import WireApi
from .faults import Fault, Gzip, HttpError, HugeHeaders, Redirect, WrongContentType, WrongLength
from .ledger import Entry
from .plan import Plan

REQUEST_ID_HEADER = "x-request-id"


def request_ids(entry: Entry) -> dict[str, str]:
    """The request's id under both names that providers use."""
    return {REQUEST_ID_HEADER: entry.request_id, "request-id": entry.request_id}


def json_response(value: object, status: int = 200) -> web.Response:
    """An answer in JSON."""
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, content_type="application/json")


def error_response(
    api: WireApi, entry: Entry, status: int, message: str, error_type: str | None = None
) -> web.Response:
    """An error in the provider's own form."""
    entry.status = status
    response = json_response(api.error_body(status, message, error_type), status)
    response.headers.update(request_ids(entry))
    return response


def planned_failure(api: WireApi, entry: Entry, fault: HttpError | Redirect) -> web.Response:
    """The answer that a fault puts in place of the stream."""
    entry.status = fault.status
    if isinstance(fault, Redirect):
        headers = request_ids(entry) | {"Location": fault.location}
        return web.Response(status=fault.status, headers=headers)
    response = _failure(api, entry, fault)
    response.headers.update(request_ids(entry))
    if fault.retry_after is not None:
        response.headers["Retry-After"] = fault.retry_after
    return response


def _failure(api: WireApi, entry: Entry, fault: HttpError) -> web.Response:
    match fault.body:
        case "provider":
            return error_response(api, entry, fault.status, fault.message, fault.error_type)
        case "html":
            known = fault.status in list(HTTPStatus)
            reason = HTTPStatus(fault.status).phrase if known else "Error"
            page = f"<html><body><h1>{fault.status} {reason}</h1></body></html>"
            return web.Response(status=fault.status, text=page, content_type="text/html")
        case "text":
            return web.Response(status=fault.status, text=fault.message)
        case _:
            return web.Response(status=fault.status)


def frames_in_chunks(request: web.Request, plan: Plan) -> bool:
    """Whether the body goes out in chunked coding."""
    wrong_length = any(isinstance(fault, WrongLength) for fault in plan.faults)
    return request.version >= HttpVersion11 and not wrong_length


def stream_head(
    entry: Entry, plan: Plan, status: int, content_type: str, body_bytes: int
) -> web.StreamResponse:
    """Status and headers of a stream, spoiled as the plan says; not sent yet.

    `body_bytes` is the true length of the body, for the fault that announces a wrong one.
    """
    entry.status = status
    headers = request_ids(entry) | {"Cache-Control": "no-cache", "Content-Type": content_type}
    response = web.StreamResponse(status=status, headers=headers)
    for name, value in plan.headers:
        response.headers.add(name, value)
    _spoil_head(response, plan.faults, body_bytes)
    return response


def _spoil_head(response: web.StreamResponse, faults: Sequence[Fault], body_bytes: int) -> None:
    for fault in faults:
        match fault:
            case WrongContentType():
                response.headers["Content-Type"] = fault.content_type
            case HugeHeaders():
                for n in range(max(1, fault.size_bytes // fault.header_bytes)):
                    response.headers[f"X-Padding-{n}"] = "x" * fault.header_bytes
            case Gzip(declared=True):
                response.headers["Content-Encoding"] = "gzip"
            case WrongLength():
                response.content_length = max(0, body_bytes + fault.delta_bytes)
                response.headers["Connection"] = "close"
            case _:
                pass
