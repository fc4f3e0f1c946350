"""This route answers GraphQL: the same documents as the lists over REST, with what they name, in one request."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import Field, TypeAdapter, ValidationError
from starlette.websockets import WebSocket
from typing_extensions import TypedDict

from read_api.answers import Asked
from read_api.edge.asking import Asking
from read_api.edge.problems import Problem, faults, faulty
from read_api.edge.responses import Json, answered
from read_api.graphql.context import Context
from read_api.reading import ConsistentWith

router = APIRouter(tags=["graphql"])

PATH = "/v1/graphql"
MOST_BODY_BYTES = 64 * 1024
_BODY_S = 10.0
_JSON = "application/json"


class _Asked(TypedDict, total=False):
    query: Annotated[str, Field(min_length=1)]
    variables: dict[str, Any] | None
    operationName: str | None
    extensions: dict[str, Any] | None


_ASKED = TypeAdapter(_Asked)
_QUERY = "query($status: [String!]) { alerts(status: $status, first: 1) { nodes { id severity device { hostname } } } }"
_EXAMPLE = {"query": _QUERY, "variables": {"status": ["OPEN"]}}
_ANSWER = {
    "data": {
        "alerts": {"nodes": [{"id": "cpu-web-1", "severity": "critical", "device": {"hostname": "web-1.example.com"}}]}
    },
    "extensions": {"as_of": {"alerts": {"at": "2026-01-31T08:30:00.125000Z", "positions": ["events/0/12"]}}},
}


@router.post(
    PATH,
    summary="Documents, and what they name, in one request",
    description="A part that could not be read is null, and `errors` says why. GET gives the schema.",
    responses=answered(_ANSWER, "The data; with `errors` where parts of it could not be read"),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                _JSON: {
                    "schema": {
                        "type": "object",
                        "required": ["query"],
                        "properties": {
                            "query": {"type": "string", "minLength": 1},
                            "variables": {"type": ["object", "null"]},
                            "operationName": {"type": ["string", "null"]},
                        },
                    },
                    "example": _EXAMPLE,
                }
            },
        }
    },
)
async def graphql(request: Request, caller: Asking, answers: Asked, consistent_with: ConsistentWith = None) -> Response:
    # a sixth of a second of every start: only where somebody asks
    from read_api.graphql.ask import BadQuery, answer, refusal  # noqa: PLC0415

    asked = await _asked(request)
    context = Context(caller, answers, consistent_with)
    try:
        return Json(await answer(context, asked["query"], asked.get("variables"), asked.get("operationName")))
    except BadQuery as bad:
        raise refusal(bad) from None


@router.get(
    PATH,
    summary="The GraphQL schema, in its own language",
    response_class=PlainTextResponse,
    responses=answered("type Query {…}", "The schema", media_type="text/plain", schema={"type": "string"}),
)
async def described(caller: Asking) -> Response:  # noqa: ARG001 - who asks is counted
    from graphql import print_schema  # noqa: PLC0415, as above

    from read_api.graphql.schema import schema  # noqa: PLC0415

    return PlainTextResponse(print_schema(schema()))


async def graphql_socket(websocket: WebSocket) -> None:
    """Tell subscribers what is recorded, until they leave."""
    from read_api.graphql.socket import serve  # noqa: PLC0415, as above

    await serve(websocket)


async def _asked(request: Request) -> _Asked:
    """Return what a request asks. Raises: Problem."""
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != _JSON:
        raise Problem(415, f"send the query as {_JSON}")
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise Problem(415, "send the query as it is, not packed")
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_S):
            async for some in request.stream():
                body += some
                if len(body) > MOST_BODY_BYTES:
                    raise Problem(413, f"the query and its variables may have {MOST_BODY_BYTES // 1024} KiB")
    except TimeoutError:
        raise Problem(400, "the body did not come whole in time") from None
    try:
        asked = _ASKED.validate_json(bytes(body))
    except ValidationError as error:
        raise faulty(faults(error)) from None
    if "query" not in asked:
        raise Problem(422, "query: say what is asked for; persisted queries are not known here")
    return asked
