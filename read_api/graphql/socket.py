"""GraphQL's subscriptions over WebSocket, by the protocol graphql-transport-ws.

Source: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing, suppress
from typing import Annotated, Any, Literal

from anyio import to_thread
from graphql import ExecutionResult, GraphQLError, subscribe
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from projections.stores import StoreUnavailable
from read_api.answers import Answers
from read_api.edge.problems import RETRY_AFTER_S, Problem
from read_api.edge.responses import to_json
from read_api.graphql.ask import BadQuery, is_subscription, read_query, told
from read_api.graphql.meter import COUNTED, Meter
from read_api.graphql.schema import schema
from read_api.graphql.subscription import Subscriber
from read_api.live_socket import AGAIN, CODE_OF_STATUS, GOING_ON, Closed, close, credential_in

PROTOCOL = "graphql-transport-ws"

MOST_AT_ONCE = 20
"""Subscriptions of one connection; each of them is one of the tenant's live streams."""

_NORMAL, _NO_PROTOCOL = 1000, 4406
_LONGEST_REASON = 120


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Credential(BaseModel):
    """A credential in the payload counts like the header; the cookie of a session needs none."""

    model_config = ConfigDict(extra="forbid")
    api_key: str | None = None
    token: str | None = None


class _Init(_Message):
    type: Literal["connection_init"]
    payload: _Credential | None = None


class _Query(_Message):
    query: Annotated[str, Field(min_length=1)]
    variables: dict[str, Any] | None = None
    operationName: str | None = None  # noqa: N815 - as the protocol has it


class _Subscribe(_Message):
    type: Literal["subscribe"]
    id: Annotated[str, Field(min_length=1, max_length=200)]
    payload: _Query


class _Complete(_Message):
    type: Literal["complete"]
    id: str


class _Sign(_Message):
    type: Literal["ping", "pong"]


_Said = _Init | _Subscribe | _Complete | _Sign
_SAID: TypeAdapter[_Said] = TypeAdapter(Annotated[_Said, Field(discriminator="type")])


def _closed(code: int, reason: str) -> Closed:
    # the protocol has room for 123 bytes
    return Closed(code, reason.encode()[:_LONGEST_REASON].decode(errors="ignore"))


def _payload(result: ExecutionResult) -> Mapping[str, Any]:
    errors = {"errors": list(map(told, result.errors))} if result.errors else {}
    return {"data": result.data, **errors}


def _fault(error: GraphQLError) -> Mapping[str, Any]:
    # one without a path is of variables that do not fit
    return error.formatted if error.path is None else told(error)


class _Ended(Exception):  # noqa: N818
    """The connection is over; the client may come again."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.closed = _closed(code, reason)


async def serve(websocket: WebSocket) -> None:
    """Serve one connection until it is closed."""
    answers: Answers = websocket.app.state.answers
    # whoever leaves costs nothing and is not told of
    with suppress(WebSocketDisconnect):
        if PROTOCOL not in websocket.scope.get("subprotocols", ()):
            await websocket.accept()
            await close(websocket, Closed(_NO_PROTOCOL, f"speak {PROTOCOL}"))
            return
        await websocket.accept(PROTOCOL)
        connection = _Connection(websocket, answers)
        await close(websocket, await connection.run())


class _Connection:
    """Shape: as long as it has no subscription it holds a place among those who have not said who they are."""

    def __init__(self, websocket: WebSocket, answers: Answers) -> None:
        self._websocket = websocket
        self._answers = answers
        self._credential: str | None = None
        self._is_known = self._is_waiting = False
        self._running: dict[str, asyncio.Task[None]] = {}
        self._sending, self._changed = asyncio.Lock(), asyncio.Event()
        self._over: asyncio.Future[Closed] = asyncio.get_running_loop().create_future()

    async def run(self) -> Closed:
        """Return what the connection is closed with. Raises: WebSocketDisconnect."""
        reading = asyncio.create_task(self._read())
        try:
            await asyncio.wait({reading, self._over}, return_when=asyncio.FIRST_COMPLETED)
            return self._over.result() if self._over.done() else reading.result()
        finally:
            tasks = [reading, *self._running.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._wait_no_more()

    async def _read(self) -> Closed:
        try:
            while True:
                await self._heard(await self._next())
        except _Ended as ended:
            return ended.closed
        except Problem as problem:
            return _closed(CODE_OF_STATUS + problem.status, problem.detail)

    def _wait_in_line(self) -> None:
        """Hold a place as long as there is no subscription. Raises: Problem, there is none."""
        if self._running:
            self._wait_no_more()
        elif not self._is_waiting:
            if self._answers.stopping.is_set() or not self._answers.unnamed_slots.acquire(blocking=False):
                raise Problem(503, "too many connections ask for nothing; try again", retry_after_s=RETRY_AFTER_S)
            self._is_waiting = True

    def _wait_no_more(self) -> None:
        if self._is_waiting:
            self._answers.unnamed_slots.release()
            self._is_waiting = False

    async def _next(self) -> _Said:
        """Raises: _Ended; WebSocketDisconnect."""
        heard = asyncio.create_task(self._websocket.receive())
        try:
            while not heard.done():
                await self._until_heard_or_changed(heard)
        finally:
            heard.cancel()
        message = heard.result()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", _NORMAL))
        try:
            return _SAID.validate_json(message.get("text") or message.get("bytes") or b"")
        except ValidationError:
            raise _Ended(CODE_OF_STATUS + 400, f"the message is none of {PROTOCOL}") from None

    async def _until_heard_or_changed(self, heard: "asyncio.Task[Any]") -> None:
        """Wait for a message, or until a subscription ends by itself. Raises: _Ended; Problem."""
        self._wait_in_line()
        self._changed.clear()
        changed = asyncio.create_task(self._changed.wait())
        within_s = None if self._running else self._answers.hello_s
        try:
            done, _ = await asyncio.wait({heard, changed}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
        if not done:
            raise _Ended(_NORMAL if self._is_known else CODE_OF_STATUS + 408, "nothing was asked for in time")

    async def _heard(self, said: _Said) -> None:
        """Raises: _Ended; Problem."""
        match said:
            case _Init():
                await self._begin(said.payload or _Credential())
            case _Subscribe():
                self._subscribe(said)
            case _Complete():
                if task := self._running.pop(said.id, None):
                    task.cancel()
                    # its place is free again when it has ended
                    await asyncio.gather(task, return_exceptions=True)
            case _Sign(type="ping"):
                await self._send({"type": "pong"})
            case _Sign():
                pass

    async def _begin(self, shown: _Credential) -> None:
        if self._is_known:
            raise _Ended(CODE_OF_STATUS + 429, "too many initialisation requests")
        self._credential = credential_in(self._websocket, shown.api_key, shown.token)
        try:
            await self._websocket.app.state.identify(self._credential)
        except StoreUnavailable as error:
            raise Problem(503, "a store does not answer; try again") from error
        self._is_known = True
        await self._send({"type": "connection_ack"})

    def _subscribe(self, said: _Subscribe) -> None:
        if not self._is_known:
            raise _Ended(CODE_OF_STATUS + 401, "say who you are first")
        if said.id in self._running:
            raise _Ended(CODE_OF_STATUS + 409, f"subscriber for {said.id} already exists")
        if len(self._running) >= MOST_AT_ONCE:
            raise _Ended(CODE_OF_STATUS + 429, f"a connection may have {MOST_AT_ONCE} subscriptions")
        self._running[said.id] = asyncio.create_task(self._tell(said.id, said.payload))

    async def _tell(self, id_: str, query: _Query) -> None:
        subscriber = Subscriber(self._websocket, self._answers, self._credential)
        try:
            faults = await self._told(id_, query, subscriber)
            if not faults:
                # as long as there is no other reason, there are always more
                reason = "the server stops, or you may not listen any more; come again after the last place"
                self._end(Closed(GOING_ON, reason))
                return
            await self._send({"id": id_, "type": "error", "payload": faults})
            self._running.pop(id_, None)
            self._changed.set()
        except TimeoutError:
            slow_s = self._answers.slow_s
            self._end(Closed(AGAIN, f"too slow: nothing was read for {slow_s:g} s; go on after the last place"))
        finally:
            subscriber.close()

    async def _told(self, id_: str, query: _Query, subscriber: Subscriber) -> list[Mapping[str, Any]]:
        """Tell a subscriber all that there is, or return why there is nothing. Raises: TimeoutError."""
        try:
            document = await to_thread.run_sync(read_query, query.query)
        except BadQuery as bad:
            return [fault.formatted for fault in bad.faults]
        if not is_subscription(document, query.operationName):
            return [{"message": "this is no subscription; send it with POST /v1/graphql"}]
        made = subscribe(
            schema(),
            document,
            context_value=subscriber,
            variable_values=query.variables,
            operation_name=query.operationName,
            middleware=COUNTED,
        )
        found = made if isinstance(made, ExecutionResult) or hasattr(made, "__aiter__") else await made
        if isinstance(found, ExecutionResult):
            return list(map(_fault, found.errors or ()))
        async with aclosing(found) as results:  # type: ignore[type-var]
            async for result in results:
                if subscriber.meter.stopped:
                    return [{"message": subscriber.meter.stopped.detail}]
                subscriber.meter = Meter()
                await self._send({"id": id_, "type": "next", "payload": _payload(result)})
        return []

    def _end(self, closed: Closed) -> None:
        if not self._over.done():
            self._over.set_result(closed)

    async def _send(self, message: Mapping[str, Any]) -> None:
        """Raises: TimeoutError, the client does not read."""
        async with asyncio.timeout(self._answers.slow_s), self._sending:
            await self._websocket.send_text(to_json(message).decode())
