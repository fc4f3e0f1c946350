"""Readings and log lines in the GraphQL schema: what the routes over REST answer, with the same bounds and cursors."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple, TypeVar, get_args

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLString,
)
from pydantic import BaseModel, Field, ValidationError

from projections.fleet.device_logs import PROJECTION as LOGS
from projections.fleet.device_metrics import PROJECTION as METRICS
from projections.fleet.devices import PROJECTION as DEVICES
from projections.readers import Aggregate
from read_api.documents import require_visible
from read_api.edge.moments import Moment
from read_api.edge.parameters import StepText
from read_api.edge.problems import faults, faulty
from read_api.edge.responses import Answer
from read_api.graphql.context import FIRST, MOST_FIRST, connected
from read_api.graphql.types import INSTANT, Info, camel, connection
from read_api.reading import Read, Reading
from read_api.timeline import LogLines, log_answer, points_of
from schemas.values import Id, Name

M = TypeVar("M", bound=BaseModel)

_OF_METRICS = Reading(METRICS.layout.scope, METRICS.name, organization=True)
_OF_LOGS = Reading(LOGS.layout.scope, LOGS.name)
_OF_A_DEVICE = Reading(DEVICES.layout.scope, LOGS.name, organization=True)

_AGGREGATE = GraphQLEnumType("Aggregate", {name: name for name in get_args(Aggregate)})
_MOMENT = "an instant, a day, or a time before now: -7d"


class _Lines(BaseModel):
    device_id: Id | None = None
    severity: Id | None = None
    program: Name | None = None
    contains: Annotated[str, Field(max_length=200)] | None = None
    start: Moment | None = None
    end: Moment | None = None


class _Points(BaseModel):
    device_id: Id
    metric: Name
    start: Moment | None = None
    end: Moment | None = None
    step: StepText = "0"
    aggregate: Aggregate = "avg"


class Telemetry(NamedTuple):
    """The fields by which readings and lines are asked for. Shape: `of_device` are those of one device."""

    query: Mapping[str, GraphQLField]
    of_device: Mapping[str, GraphQLField]


def telemetry(device: GraphQLField) -> Telemetry:
    """Shape: `device` is the field of a line that is the device which it names."""
    lines, readings = _lines_type(device), _readings_type()
    id_ = {"deviceId": GraphQLArgument(GraphQLNonNull(GraphQLID), out_name="device_id")}
    text = {"deviceId": GraphQLArgument(GraphQLID, out_name="device_id")}
    return Telemetry(
        {
            "logs": GraphQLField(lines, {**text, **_line_arguments()}, _lines, description="Log lines, newest first."),
            "readings": GraphQLField(readings, {**id_, **_point_arguments()}, _readings),
        },
        {
            "logs": GraphQLField(lines, _line_arguments(), _lines_of_device),
            "readings": GraphQLField(readings, _point_arguments(), _readings_of_device),
        },
    )


def _lines_type(device: GraphQLField) -> GraphQLObjectType:
    def fields() -> dict[str, GraphQLField]:
        columns = {camel(column): _column(column) for column in LOGS.layout.example}
        return {**columns, "device": device}

    return connection(GraphQLObjectType("LogLine", fields, description="A line of a log."))


def _column(column: str) -> GraphQLField:
    kind = {"id": GraphQLNonNull(GraphQLID), "happened_at": GraphQLNonNull(INSTANT)}.get(column, GraphQLString)
    return GraphQLField(kind, resolve=lambda line, _info: line[column])


def _readings_type() -> GraphQLObjectType:
    point = GraphQLObjectType(
        "Reading",
        {
            "at": GraphQLField(GraphQLNonNull(INSTANT), resolve=lambda point, _info: point.at),
            "value": GraphQLField(GraphQLFloat, resolve=lambda point, _info: point.value),
            "readings": GraphQLField(GraphQLNonNull(GraphQLInt), resolve=lambda point, _info: point.readings),
        },
        description="A reading, or what the readings of a step come to.",
    )
    window = GraphQLObjectType("Window", {name: GraphQLField(INSTANT) for name in ("start", "end")})
    return GraphQLObjectType(
        "Readings",
        {
            "points": GraphQLField(GraphQLNonNull(GraphQLList(GraphQLNonNull(point)))),
            "window": GraphQLField(GraphQLNonNull(window), description="The time that they are about."),
        },
    )


def _line_arguments() -> dict[str, GraphQLArgument]:
    return {
        "first": GraphQLArgument(GraphQLInt, FIRST, description=f"lines of a page, 1 to {MOST_FIRST}"),
        "after": GraphQLArgument(GraphQLString, description="the cursor of an edge, or endCursor; also one of REST"),
        "severity": GraphQLArgument(GraphQLString),
        "program": GraphQLArgument(GraphQLString),
        "contains": GraphQLArgument(GraphQLString),
        **_time(),
    }


def _point_arguments() -> dict[str, GraphQLArgument]:
    return {
        "metric": GraphQLArgument(GraphQLNonNull(GraphQLString)),
        "step": GraphQLArgument(GraphQLString, "0", description="0 for each reading, else as 300, 5m, 1h or 1d"),
        "aggregate": GraphQLArgument(_AGGREGATE, "avg"),
        **_time(),
    }


def _time() -> dict[str, GraphQLArgument]:
    return {name: GraphQLArgument(GraphQLString, description=_MOMENT) for name in ("start", "end")}


async def _lines(_root: Any, info: Info, **asked: Any) -> Answer:
    path = "/v1/logs"
    return await _line_page(info, _OF_LOGS, path, asked)


async def _lines_of_device(device: Answer, info: Info, **asked: Any) -> Answer:
    path = f"/v1/devices/{device['id']}/logs"
    return await _line_page(info, _OF_A_DEVICE, path, {**asked, "device_id": device["id"]})


async def _line_page(info: Info, reading: Reading, path: str, asked: dict[str, Any]) -> Answer:
    first, after = asked.pop("first"), asked.pop("after", None)
    wanted = _checked(_Lines, asked)

    def ask(read: Read) -> Answer:
        if reading is _OF_A_DEVICE:
            require_visible(read, DEVICES, asked["device_id"])
        lines = LogLines.asked(read, **dict(wanted))
        rows, next_ = lines.page(first, after)
        nodes, cursors = [log_answer(row) for row in rows], [lines.cursor_of(row) for row in rows]
        return connected(nodes, cursors, after=after, more=next_ is not None)

    values = info.context.values_of_row(info)
    return await info.context.telemetry(reading, LOGS.name, path, asked, ask, first=first, values=values)


async def _readings(_root: Any, info: Info, **asked: Any) -> Answer:
    wanted = _checked(_Points, asked)

    path = f"/v1/devices/{wanted.device_id}/metrics"
    # who asks for the window alone has the points read as well
    async with info.context.points(max(info.context.values_of_row(info), 1)) as allowed:

        def ask(read: Read) -> Answer:
            require_visible(read, DEVICES, wanted.device_id)
            named = wanted.model_dump(exclude={"device_id", "metric"})
            points, about = points_of(read, wanted.device_id, wanted.metric, **named, most=allowed.most)
            return {"points": points, "window": about}

        found = await info.context.telemetry(_OF_METRICS, METRICS.name, path, asked, ask)
        allowed.found = len(found["points"])
    return found


async def _readings_of_device(device: Answer, info: Info, **asked: Any) -> Answer:
    return await _readings(None, info, device_id=device["id"], **asked)


def _checked(class_: Callable[..., M], asked: Mapping[str, Any]) -> M:
    """Raises: Problem."""
    try:
        return class_(**asked)
    except ValidationError as error:
        raise faulty(faults(error)) from None
