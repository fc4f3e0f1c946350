"""What is recorded is a subscription of the GraphQL schema: what `/v1/live` tells, from the same places on."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from time import perf_counter
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLID,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLString,
)
from starlette.websockets import WebSocket

from read_api.answers import Answers
from read_api.edge.parameters import LONGEST_NAME
from read_api.edge.problems import Problem
from read_api.feeding import LONGEST_PLACE, Listener, Told, news_for, take_slot, wanted_of
from read_api.graphql.meter import Meter
from read_api.graphql.types import ANY, INSTANT, camel
from read_api.live_socket import listener_of

_MOST_TYPES = 100
_SWITCHING = 101
_LONGEST = {"stream": LONGEST_NAME, "telemetry": 128, "after": LONGEST_PLACE}


class Subscriber:
    """One subscription. Shape: it holds a place among the live streams from its beginning to `close`."""

    def __init__(self, websocket: WebSocket, answers: Answers, credential: str | None) -> None:
        # of the event that is told
        self.meter = Meter()
        self._websocket = websocket
        self._answers = answers
        self._credential = credential
        self._give_back: Callable[[], None] | None = None

    async def listen(
        self,
        types: list[str] | None = None,
        stream: str | None = None,
        telemetry: str | None = None,
        after: str | None = None,
    ) -> AsyncGenerator[Told, None]:
        """Return what is told from then on. Raises: Problem; StoreUnavailable."""
        began = perf_counter()
        texts = {"stream": stream, "telemetry": telemetry, "after": after}
        if len(types or ()) > _MOST_TYPES or any(len(text or "") > _LONGEST[name] for name, text in texts.items()):
            raise Problem(422, f"at most {_MOST_TYPES} types, and no name or place is that long")
        wanted = wanted_of(types or (), stream, telemetry)
        listener = await listener_of(self._websocket, self._answers, self._credential, wanted, after)
        self._give_back = take_slot(listener.read)
        self._websocket.app.state.usage.count(
            listener.read.caller, "GET /v1/graphql", _SWITCHING, perf_counter() - began
        )
        return _told(listener)

    def close(self) -> None:
        if self._give_back is not None:
            self._give_back()
            self._give_back = None


async def _told(listener: Listener) -> AsyncGenerator[Told, None]:
    async with aclosing(news_for(listener, _never)) as news:
        async for some in news:
            for told in some:
                yield told


async def _never() -> bool:
    # who leaves is cancelled
    return False


def _column(name: str, kind: GraphQLOutputType) -> GraphQLField:
    return GraphQLField(kind, resolve=lambda record, _info: record.get(name))


_COLUMNS: Mapping[str, GraphQLOutputType] = {
    "event_id": GraphQLNonNull(GraphQLID),
    "type": GraphQLNonNull(GraphQLString),
    "stream": GraphQLNonNull(GraphQLString),
    "position": GraphQLNonNull(GraphQLString),
    "happened_at": GraphQLNonNull(INSTANT),
    "recorded_at": GraphQLNonNull(INSTANT),
    "actor": ANY,
    "data": ANY,
}

_WHOLE = GraphQLField(
    GraphQLNonNull(ANY), resolve=lambda record, _info: record, description="All of it, as on /v1/live."
)

_RECORD = GraphQLObjectType(
    "LiveRecord",
    {**{camel(name): _column(name, kind) for name, kind in _COLUMNS.items()}, "document": _WHOLE},
    description="An event or a fact.",
)

_TOLD = GraphQLObjectType(
    "Told",
    {
        "place": GraphQLField(
            GraphQLString,
            resolve=lambda told, _info: told.place or None,
            description="Where to go on, as `after`; null beside what is not recorded.",
        ),
        "record": GraphQLField(
            _RECORD,
            resolve=lambda told, _info: told.record,
            description="Null where nothing new is recorded, and the place has moved on.",
        ),
        "ephemeral": GraphQLField(ANY, resolve=lambda told, _info: told.ephemeral, description="What is not recorded."),
    },
)


async def _subscribe(_root: Any, info: GraphQLResolveInfo[Subscriber], **asked: Any) -> AsyncGenerator[Told, None]:
    return await info.context.listen(**asked)


SUBSCRIPTION = GraphQLObjectType(
    "Subscription",
    {
        "told": GraphQLField(
            GraphQLNonNull(_TOLD),
            {
                "types": GraphQLArgument(
                    GraphQLList(GraphQLNonNull(GraphQLString)), description="of events; none means all"
                ),
                "stream": GraphQLArgument(GraphQLString),
                "telemetry": GraphQLArgument(GraphQLID, description="a device: of telemetry, only what is about it"),
                "after": GraphQLArgument(GraphQLString, description="a place to go on from; also one of /v1/live"),
            },
            resolve=lambda told, _info, **_asked: told,
            subscribe=_subscribe,
            description="What is recorded, as it is recorded.",
        )
    },
)
