"""The live stream over WebSocket: the first message says who listens and to what, each answer holds a record."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from http import HTTPStatus
from time import perf_counter
from typing import Annotated, Any, NamedTuple

from anyio import to_thread
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from projections.stores import StoreUnavailable
from read_api.answers import Answers
from read_api.edge.auth import Unauthenticated
from read_api.edge.credential import BEARER, credential_of, credential_said
from read_api.edge.parameters import LONGEST_NAME
from read_api.edge.problems import RETRY_AFTER_S, Problem, document, faults, faulty
from read_api.edge.rates import seen
from read_api.edge.responses import to_json
from read_api.feeding import (
    LONGEST_PLACE,
    RESOURCE,
    Listener,
    Wanted,
    check_own,
    news_for,
    places_of,
    take_slot,
    wanted_of,
)
from read_api.reading import Reading
from schemas.values import Id

PATH = "/v1/live"

CODE_OF_STATUS = 4_000
"""Added to the status of a problem it is the code that the connection is closed with."""

GOING_ON, UNASKED, AGAIN = 1012, 1008, 1013
_CLOSE_S = 1.0
_READING = Reading(RESOURCE, own=True)


class _First(BaseModel):
    """The first message. Shape: a credential in it counts like the header; the cookie of a session needs none."""

    model_config = ConfigDict(extra="forbid")
    api_key: str | None = None
    token: str | None = None
    types: Annotated[tuple[Annotated[str, Field(max_length=200)], ...], Field(max_length=100)] = ()
    stream: Annotated[str | None, Field(max_length=LONGEST_NAME)] = None
    telemetry: Id | None = None
    after: Annotated[str | None, Field(max_length=LONGEST_PLACE)] = None


class Closed(NamedTuple):
    """What a connection is closed with."""

    code: int
    reason: str


async def live_socket(websocket: WebSocket) -> None:
    """Tell one listener what is recorded until they leave, lose the right, or are too slow."""
    answers: Answers = websocket.app.state.answers
    # whoever leaves costs nothing and is not told of
    with suppress(WebSocketDisconnect):
        await websocket.accept()
        began = perf_counter()
        try:
            async with _listening(websocket, answers) as listener:
                websocket.app.state.usage.count(
                    listener.read.caller, f"GET {PATH}", HTTPStatus.SWITCHING_PROTOCOLS.value, perf_counter() - began
                )
                closed = await _tell(websocket, listener, answers.slow_s)
        except Problem as problem:
            closed = await _refuse(websocket, problem)
        if closed is not None:
            await close(websocket, closed)


@asynccontextmanager
async def _listening(websocket: WebSocket, answers: Answers) -> AsyncIterator[Listener]:
    """Give who listens, once they have said so. Raises: Problem; WebSocketDisconnect."""
    if answers.stopping.is_set() or not answers.unnamed_slots.acquire(blocking=False):
        raise Problem(503, "too many connections have not said who they are; try again", retry_after_s=RETRY_AFTER_S)
    give_back: Callable[[], None] | None = None
    try:
        try:
            first = await _first(websocket, answers.hello_s)
            listener = await _known(websocket, answers, first)
            give_back = take_slot(listener.read)
        finally:
            answers.unnamed_slots.release()
        yield listener
    except StoreUnavailable as error:
        raise Problem(503, "a store does not answer; try again", retry_after_s=RETRY_AFTER_S) from error
    finally:
        if give_back is not None:
            give_back()


async def _first(websocket: WebSocket, within_s: float) -> _First:
    if websocket.url.query:
        raise Problem(400, f"{PATH} over WebSocket reads no query; say it in the first message")
    try:
        async with asyncio.timeout(within_s):
            message = await websocket.receive()
    except TimeoutError:
        raise Problem(408, f"nothing was said for {within_s:g} s; the first message says who listens") from None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    try:
        return _First.model_validate_json(message.get("text") or message.get("bytes") or b"")
    except ValidationError as error:
        raise faulty(faults(error)) from error


async def _known(websocket: WebSocket, answers: Answers, first: _First) -> Listener:
    """Return the listener, with all that a request for the same as server-sent events is asked. Raises: Problem."""
    credential = credential_in(websocket, first.api_key, first.token)
    wanted = wanted_of(first.types, first.stream, first.telemetry)
    return await listener_of(websocket, answers, credential, wanted, first.after)


async def listener_of(
    websocket: WebSocket, answers: Answers, credential: str | None, wanted: Wanted, after: str | None
) -> Listener:
    """Return who listens, with all that a request over HTTP is asked. Raises: Problem; StoreUnavailable."""
    caller = await websocket.app.state.identify(credential)
    seen(websocket, caller)
    read = await _READING(websocket, caller, answers)
    await to_thread.run_sync(check_own, read, wanted)
    places = await to_thread.run_sync(places_of, read, wanted, after)
    return Listener(read, credential, wanted, places)


def credential_in(websocket: WebSocket, api_key: str | None, token: str | None) -> str | None:
    """Return what a connection shows, in its first message or its headers. Raises: Unauthenticated; Forbidden."""
    said = [*filter(None, (api_key, token and f"{BEARER}{token}"))]
    if len(said) + credential_said(websocket) > 1:
        raise Unauthenticated("two credentials came; send one of api_key, token and the headers of a request")
    return said[0] if said else credential_of(websocket)


async def _tell(websocket: WebSocket, listener: Listener, slow_s: float) -> Closed | None:
    """Send news until there are no more; return what the connection is closed with, None where it is closed."""
    heard = asyncio.create_task(websocket.receive())

    async def is_gone() -> bool:
        return heard.done()

    try:
        async with aclosing(news_for(listener, is_gone)) as news:
            async for some in news:
                for told in some:
                    async with asyncio.timeout(slow_s):
                        await websocket.send_text(told.as_message)
    except TimeoutError:
        return Closed(AGAIN, f"too slow: nothing was read for {slow_s:g} s; go on after the last place")
    finally:
        heard.cancel()
    if heard.done() and not heard.cancelled():
        is_over = heard.result()["type"] == "websocket.disconnect"
        return None if is_over else Closed(UNASKED, "nothing is expected after the first message")
    return Closed(GOING_ON, "the server stops, or you may not listen any more; come again after the last place")


async def _refuse(websocket: WebSocket, problem: Problem) -> Closed:
    retry = problem.headers.get("Retry-After")
    said: dict[str, Any] = {"problem": document(problem)} | ({"retry_after_s": int(retry)} if retry else {})
    await websocket.send_text(to_json(said).decode())
    return Closed(CODE_OF_STATUS + problem.status, HTTPStatus(problem.status).phrase)


async def close(websocket: WebSocket, closed: Closed) -> None:
    # one that reads nothing does not read this either
    with suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_S):
            await websocket.close(*closed)
