"""The client for `async` code does what the blocking one does."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest

from factline.client import AsyncClient, Conflict, ServerGone
from tests.factline.test_blocking import REPLY

Act = Callable[[AsyncClient], Awaitable[Any]]


def said(act: Act, *answers: httpx.Response | Exception, patience_s: float = 60.0) -> tuple[Any, list[httpx.Request]]:
    """Return what a client gave back, and the requests it sent for that."""
    waiting, requests = iter(answers), []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        found = next(waiting)
        if isinstance(found, Exception):
            raise found
        return found

    async def run() -> Any:
        transport = httpx.MockTransport(answer)
        async with AsyncClient("http://127.0.0.1", "ak_1.sk_1", patience_s=patience_s, transport=transport) as client:
            return await act(client)

    return anyio.run(run), requests


def test_a_command_keeps_its_key_over_all_tries() -> None:
    reply, requests = said(
        lambda client: client.command("fleet", "RegisterDevice", {"device_id": "web-1"}),
        httpx.Response(503),
        httpx.ReadError("cut"),
        httpx.Response(200, json=REPLY),
    )
    assert reply.token == "events/0/12"
    assert len({request.headers["Idempotency-Key"] for request in requests}) == 1


def test_a_refusal_and_a_server_that_is_away_are_told() -> None:
    with pytest.raises(Conflict):
        said(lambda client: client.command("fleet", "RegisterDevice", {}), httpx.Response(409))
    with pytest.raises(ServerGone):
        said(lambda client: client.get("/"), httpx.ConnectError("refused"), patience_s=0)


def test_all_pages_of_a_list_are_walked() -> None:
    async def act(client: AsyncClient) -> list[Any]:
        return [row["id"] async for row in client.rows("/v1/devices", limit=1)]

    pages = [{"rows": [{"id": 1}], "next": "c"}, {"rows": [{"id": 2}], "next": None}]
    found, requests = said(act, *(httpx.Response(200, json=page) for page in pages))
    assert found == [1, 2]
    assert requests[1].url.params["cursor"] == "c"


class Cut(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'retry: 10\nid: events/0/1\ndata: {"n": 1}\n\nid: events/0/2\ndata: {'
        raise httpx.ReadError("cut")


def test_the_live_feed_goes_on_where_it_was_cut() -> None:
    async def act(client: AsyncClient) -> list[Any]:
        found = client.live()
        records = [await anext(found), await anext(found)]
        await found.aclose()
        return records

    whole = b'id: events/0/2\ndata: {"n": 2}\n\n'
    found, requests = said(act, httpx.Response(200, stream=Cut()), httpx.Response(200, content=whole))
    assert found == [("events/0/1", {"n": 1}), ("events/0/2", {"n": 2})]
    assert requests[1].headers["Last-Event-ID"] == "events/0/1"
