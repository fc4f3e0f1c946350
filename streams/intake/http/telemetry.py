"""Facts come in over HTTP here and are answered when they are durable, with a reason for each refused one."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Annotated, Any, Literal, NamedTuple, Union

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError, create_model

from domain.catalog import FACTS
from domain.message import Fact
from read_api.edge.asking import Asking
from read_api.edge.problems import Problem, faults
from read_api.edge.responses import Json
from read_api.edge.scopes import require
from read_api.edge.tokens import token_of
from schemas.envelope import Actor, TenantId
from schemas.values import Id, Instant
from streams.intake.http.bodies import body_of
from streams.ports import FactSubmission, OutcomeUnknown, Overloaded, TelemetryLog, TelemetryReply

MAX_FACTS = 10_000
"""Facts of one request."""

MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Bodies that may wait for the log; one more is answered 503, because memory is not a queue."""

MAX_WAITING = 4_000
"""Requests that may wait for the log, however small: each holds a connection and what belongs to it."""

CLOUDEVENTS_BATCH = "application/cloudevents-batch+json"
NDJSON = "application/x-ndjson"


def _message(fact: type[Fact]) -> Any:
    fields: dict[str, Any] = {
        "type": (Literal[fact.TYPE], ...),
        "device_id": (Id, ...),
        "happened_at": (Instant, ...),
        "id": (Annotated[str, StringConstraints(min_length=1, max_length=128)] | None, None),
        "data": (fact, ...),
    }
    return create_model(f"{fact.__name__}Message", __config__=ConfigDict(extra="forbid"), **fields)


_ANY_FACT: Any = Annotated[Union[tuple(_message(fact) for fact in FACTS)], Field(discriminator="type")]  # noqa: UP007
_FACT: TypeAdapter[Any] = TypeAdapter(_ANY_FACT)
_FACTS: TypeAdapter[list[Any]] = TypeAdapter(list[_ANY_FACT])


class _CloudEvent(BaseModel):
    """What of an event is read; attributes that we do not know are an extension's, and no mistake."""

    specversion: Literal["1.0"]
    id: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    source: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    type: str
    subject: str
    time: Any
    data: Any


_CLOUDEVENT = TypeAdapter(_CloudEvent)


class RefusedLine(NamedTuple):
    """A fact that was not taken. Units: `line` counts the facts of the request from 1."""

    line: int
    reason: str


class Parsed(NamedTuple):
    facts: list[FactSubmission]
    refused: list[RefusedLine]


class TelemetryGate:
    """Lets a bounded number of requests and bytes wait for the log's threads of telemetry.

    Shape: `executor` parses and writes batches off the loop; with one thread, in turn. `timeout_s` is how long a
    request waits at most, its turn included; None where the log is on this machine's disk.
    Belongs to one event loop.
    """

    def __init__(
        self,
        log: TelemetryLog,
        executor: Executor,
        *,
        max_waiting: int = MAX_WAITING,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
        timeout_s: float | None = None,
    ) -> None:
        self._log = log
        self._executor = executor
        self._max_waiting = max_waiting
        self._max_waiting_bytes = max_waiting_bytes
        self._timeout_s = timeout_s
        self._waiting = 0
        self._waiting_bytes = 0

    async def take(
        self, tenant_id: TenantId, body: bytes, parse: Callable[[bytes], Parsed], actor: Actor
    ) -> tuple[TelemetryReply, Sequence[RefusedLine]]:
        """Return what became of a body's facts, once those that were taken are durable.

        Raises: Overloaded; LogUnavailable, nothing was kept; OutcomeUnknown, the log did not answer in time; Problem,
        nothing of the body can be read.
        """
        if self._waiting >= self._max_waiting:
            raise Overloaded
        if self._waiting_bytes and self._waiting_bytes + len(body) > self._max_waiting_bytes:
            raise Overloaded

        def work() -> tuple[TelemetryReply, Sequence[RefusedLine]]:
            facts, refused = parse(body)
            return self._log.append_facts(tenant_id, facts, actor), refused

        self._waiting += 1
        self._waiting_bytes += len(body)
        try:
            # what has not had its turn by then never has it
            working = asyncio.get_running_loop().run_in_executor(self._executor, work)
            return await asyncio.wait_for(working, self._timeout_s)
        except TimeoutError:
            raise OutcomeUnknown("the log did not answer in time; send the facts again") from None
        finally:
            self._waiting -= 1
            self._waiting_bytes -= len(body)

    def busy(self) -> bool:
        """Return whether anyone waits to have facts taken."""
        return self._waiting > 0

    async def append(self, tenant_id: TenantId, facts: Sequence[FactSubmission], actor: Actor) -> TelemetryReply:
        """Return the reply to facts of this process's own, once they are durable. Raises: LogUnavailable."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._log.append_facts, tenant_id, facts, actor)


def telemetry_router(gate: TelemetryGate) -> APIRouter:
    router = APIRouter(tags=["telemetry"])

    @router.post(
        "/v1/telemetry",
        summary="Up to 10,000 facts; 200 once they are durable, with a reason for each refused one",
        openapi_extra={"requestBody": {"required": True, "content": _DOCS}},
    )
    async def telemetry(request: Request, caller: Asking) -> Response:
        require(caller, "telemetry:write")
        content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        parse = _PARSERS.get(content_type, parse_json)
        async with body_of(request) as body:
            reply, refused = await gate.take(caller.tenant_id, body, parse, caller.actor)
        answer = {
            "accepted": reply.accepted,
            "repeated": reply.repeated,
            "refused": [refusal._asdict() for refusal in refused],
            "position": token_of(request, reply.position) if reply.position else None,
        }
        return Json(answer)

    return router


def parse_json(body: bytes) -> Parsed:
    """Read a JSON array of facts, or NDJSON where the body does not begin with `[`.

    Raises: Problem, it is neither, or holds more than MAX_FACTS facts.
    """
    if body[:64].lstrip()[:1] != b"[":
        return parse_ndjson(body)
    try:
        messages = _FACTS.validate_json(body)
    except ValidationError:
        # slower, one by one: to name the refused and take the others
        return _one_by_one(_items(body), lambda item: _submission(_FACT.validate_python(item)))
    _check_count(len(messages))
    return Parsed([_submission(message) for message in messages], [])


def parse_ndjson(body: bytes) -> Parsed:
    """Read a fact a line; empty lines count, but are no facts. Raises: Problem, more than MAX_FACTS lines."""
    lines = body.splitlines()
    _check_count(len(lines))
    return _one_by_one(lines, lambda line: _submission(_FACT.validate_json(line)), skip=lambda line: not line.strip())


def parse_cloudevents(body: bytes) -> Parsed:
    """Read a CloudEvents JSON batch: `subject` is the stream (`device-42`), `time` when it happened.

    Raises: Problem, it is not a JSON array, or holds more than MAX_FACTS events.
    Source: CloudEvents 1.0, JSON batch format.
    """
    return _one_by_one(_items(body), _from_cloudevent)


def _one_by_one(
    items: Sequence[Any], read: Callable[[Any], FactSubmission], skip: Callable[[Any], bool] = lambda _item: False
) -> Parsed:
    parsed = Parsed([], [])
    for line, item in enumerate(items, 1):
        if skip(item):
            continue
        try:
            parsed.facts.append(read(item))
        except ValidationError as error:
            parsed.refused.append(RefusedLine(line, "; ".join(map(str, faults(error)))))
    return parsed


def _submission(message: Any) -> FactSubmission:
    return FactSubmission(message.device_id, message.happened_at, message.data, message.id)


def _from_cloudevent(item: Any) -> FactSubmission:
    event = _CLOUDEVENT.validate_python(item)
    device_id = event.subject.removeprefix("device-")
    fact = {"type": event.type, "device_id": device_id, "happened_at": event.time, "data": event.data}
    # an event's identity is its source and its id together
    identity = orjson.dumps([event.source, event.id]).decode()
    return _submission(_FACT.validate_python(fact))._replace(fact_id=identity)


def _items(body: bytes) -> list[Any]:
    try:
        items = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"the body is not JSON: {error}") from error
    if not isinstance(items, list):
        raise Problem(400, "the body must be a JSON array of facts, or one fact a line (NDJSON)")
    _check_count(len(items))
    return items


def _check_count(facts: int) -> None:
    if facts > MAX_FACTS:
        raise Problem(413, f"{facts} facts are too many for one request; send at most {MAX_FACTS}")


_PARSERS: Mapping[str, Callable[[bytes], Parsed]] = {
    "application/json": parse_json,
    NDJSON: parse_ndjson,
    CLOUDEVENTS_BATCH: parse_cloudevents,
}

_EXAMPLE = {
    "type": "device.metrics.reported",
    "device_id": "web-1",
    "happened_at": "2026-01-31T08:30:00Z",
    "data": {"metrics": {"cpu_percent": 12.5}, "unit": "percent"},
}
_DOCS = {
    "application/json": {
        "schema": _FACTS.json_schema(ref_template="#/components/schemas/{model}"),
        "example": [_EXAMPLE],
    },
    NDJSON: {"schema": {"type": "string"}, "example": orjson.dumps(_EXAMPLE).decode()},
    CLOUDEVENTS_BATCH: {
        "schema": {"type": "array"},
        "example": [
            {
                "specversion": "1.0",
                "id": "1",
                "source": "/agents/web-1",
                "type": _EXAMPLE["type"],
                "subject": "device-web-1",
                "time": _EXAMPLE["happened_at"],
                "data": _EXAMPLE["data"],
            }
        ],
    },
}
