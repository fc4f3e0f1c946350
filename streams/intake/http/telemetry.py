"""Facts come in over HTTP here and are answered when they are durable, with a reason for each refused one."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, Union, cast

import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import (
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    create_model,
)
from typing_extensions import TypedDict

from domain.catalog import SENT
from domain.message import Fact
from read_api.edge.asking import Allowed
from read_api.edge.auth import Caller
from read_api.edge.contract import REF
from read_api.edge.problems import Problem, faults
from read_api.edge.quotas import use_quota
from read_api.edge.responses import Json, answered
from read_api.edge.tokens import token_of
from schemas.envelope import Actor, TenantId
from schemas.values import Id, Instant
from streams.intake.http.bodies import body_of, json_of
from streams.intake.http.cloud_events import BATCH, STRUCTURED
from streams.intake.http.facts_body import nothing_taken, reader_of
from streams.intake.http.idempotency import checked_key, key_header
from streams.intake.http.media_types import JSON, NDJSON
from streams.ports import FactSubmission, OutcomeUnknown, Overloaded, TelemetryLog, TelemetryReply

MAX_FACTS = 10_000
"""Facts of one request."""

MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Bodies that may wait for the log; one more is answered 503, because memory is not a queue."""

MAX_WAITING = 4_000
"""Requests that may wait for the log, however small: each holds a connection and what belongs to it."""


_OwnId = Annotated[str, StringConstraints(min_length=1, max_length=128)]


def _message(fact: type[Fact]) -> Any:
    fields: dict[str, Any] = {
        "type": (Literal[fact.TYPE], ...),
        f"{fact.CATEGORY}_id": (Id, ...),
        "happened_at": (Instant, ...),
        "id": (_OwnId | None, None),
        "data": (fact, ...),
    }
    return create_model(f"{fact.__name__}Message", __config__=ConfigDict(extra="forbid"), **fields)


_ANY_FACT: Any = Annotated[Union[tuple(_message(fact) for fact in SENT)], Field(discriminator="type")]  # noqa: UP007
_FACT: TypeAdapter[Any] = TypeAdapter(_ANY_FACT)

_USUAL_INSTANT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{5,8}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$"
"""How instants look that the standard library reads as the model does; others are left to the model."""


_typed_dict: Any = TypedDict


def _usual(fact: type[Fact]) -> Any:
    """Return what a message is as plain values, which costs a third of the model: it gives no reasons."""
    data = {
        field.name: field.type if field.default is MISSING else NotRequired[field.type]
        for field in fields(cast("Any", fact))
    }
    message = {
        "type": Literal[fact.TYPE],
        f"{fact.CATEGORY}_id": Id,
        "happened_at": Annotated[str, StringConstraints(pattern=_USUAL_INSTANT)],
        "id": NotRequired[_OwnId | None],
        "data": _closed(f"{fact.__name__}Data", data),
    }
    return _closed(f"{fact.__name__}Usual", message)


def _closed(name: str, types: Mapping[str, Any]) -> Any:
    made = _typed_dict(name, types)
    made.__pydantic_config__ = ConfigDict(extra="forbid")
    return made


_ANY_USUAL: Any = Annotated[Union[tuple(_usual(fact) for fact in SENT)], Field(discriminator="type")]  # noqa: UP007
_USUAL: TypeAdapter[dict[str, Any]] = TypeAdapter(_ANY_USUAL)
_ALL_USUAL: TypeAdapter[list[dict[str, Any]]] = TypeAdapter(Annotated[list[_ANY_USUAL], FailFast()])
_ID_FIELDS: Mapping[type[Fact], str] = {fact: f"{fact.CATEGORY}_id" for fact in SENT}
_CLASSES: Mapping[str, type[Fact]] = {fact.TYPE: fact for fact in SENT}


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
        self, tenant_id: TenantId, body: bytes, parse: Callable[[bytes], Parsed], actor: Actor, key: str = ""
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
            return self._log.append_facts(tenant_id, facts, actor, key), refused

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
        summary="Up to 10,000 facts; 200 once they are durable, with a reason for each refused one; 422 if all are",
        description="Of two readings of one device, metric and instant the last one recorded counts. The same request"
        " again adds nothing; the header `Idempotency-Key` tells requests apart that say the same. `position` names the"
        " last place in each partition that got some of it, with commas between them: send it as `X-Consistent-With`.",
        responses=answered(_ANSWER, "What was taken is durable"),
        openapi_extra={"parameters": [_KEY], "requestBody": {"required": True, "content": _DOCS}},
    )
    async def telemetry(
        request: Request, caller: Annotated[Caller, Depends(Allowed("telemetry:write", records="facts"))]
    ) -> Response:
        parse = reader_of(request.headers, _PARSERS, MAX_FACTS)
        given = request.headers.get("Idempotency-Key")
        key = "" if given is None else checked_key(given, "the Idempotency-Key")
        async with body_of(request) as body:
            reply, refused = await gate.take(caller.tenant_id, body, parse, caller.actor, key)
        await use_quota(request, caller, "facts", reply.accepted)
        answer = {
            "accepted": reply.accepted,
            "repeated": reply.repeated,
            "refused": [refusal._asdict() for refusal in refused],
            "position": ",".join(token_of(request, position) for position in reply.positions) or None,
        }
        if refused and not reply.accepted + reply.repeated:
            raise nothing_taken([refusal._asdict() for refusal in refused])
        return Json(answer)

    return router


def parse_json(body: bytes) -> Parsed:
    """Read a JSON array of facts. Raises: Problem, it is not JSON, or holds more than MAX_FACTS facts."""
    try:
        facts = [_from_usual(message) for message in _ALL_USUAL.validate_json(body)]
    except (ValueError, OverflowError):
        # slower, one by one: to name the refused and take the others
        return _one_by_one(_items(body), lambda item: _submission(_FACT.validate_python(item)))
    _check_count(len(facts))
    return Parsed(facts, [])


def parse_ndjson(body: bytes) -> Parsed:
    """Read a fact a line; empty lines count, but are no facts. Raises: Problem, more than MAX_FACTS lines."""
    lines = body.splitlines()
    _check_count(len(lines))
    return _one_by_one(lines, _from_line, skip=lambda line: not line.strip())


def _from_line(line: bytes) -> FactSubmission:
    try:
        return _from_usual(_USUAL.validate_json(line))
    except (ValueError, OverflowError):
        return _submission(_FACT.validate_json(line))


def _from_usual(message: dict[str, Any]) -> FactSubmission:
    """Raises: ValueError, OverflowError: its instant is not one."""
    fact = _CLASSES[message["type"]]
    at = _instant(message["happened_at"])
    return FactSubmission(message[_ID_FIELDS[fact]], at, fact(**message["data"]), message.get("id"))


@lru_cache(4_096)  # many devices report at the same instants
def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def parse_cloudevents(body: bytes) -> Parsed:
    """Read a CloudEvents JSON batch: `subject` is the stream (`device-42`), `time` when it happened.

    Raises: Problem, it is not JSON, or holds more than MAX_FACTS events.
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
    of: str = getattr(message, _ID_FIELDS[type(message.data)])
    return FactSubmission(of, message.happened_at, message.data, message.id)


def _from_cloudevent(item: Any) -> FactSubmission:
    event = _CLOUDEVENT.validate_python(item)
    # a subject without a category is a device's id, as it always was
    category = _CLASSES[event.type].CATEGORY if event.type in _CLASSES else Fact.CATEGORY
    of = event.subject.removeprefix(f"{category}-")
    fact = {"type": event.type, f"{category}_id": of, "happened_at": event.time, "data": event.data}
    # an event's identity is its source and its id together
    identity = orjson.dumps([event.source, event.id]).decode()
    return _submission(_FACT.validate_python(fact))._replace(fact_id=identity)


def _items(body: bytes) -> list[Any]:
    """Return the items of an array; that a body is one, `reader_of` has looked at before."""
    items: list[Any] = json_of(body)
    _check_count(len(items))
    return items


def _check_count(facts: int) -> None:
    if facts > MAX_FACTS:
        raise Problem(413, f"{facts} facts are too many for one request; send at most {MAX_FACTS}")


_PARSERS: Mapping[str, Callable[[bytes], Parsed]] = {
    JSON: parse_json,
    NDJSON: parse_ndjson,
    BATCH: parse_cloudevents,
}

_EXAMPLE = {
    "type": "device.metrics.reported",
    "device_id": "web-1",
    "happened_at": "2026-01-31T08:30:00Z",
    "data": {"metrics": {"cpu_percent": 12.5}, "unit": "percent"},
}
_EXAMPLE_EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": "/agents/web-1",
    "type": _EXAMPLE["type"],
    "subject": "device-web-1",
    "time": _EXAMPLE["happened_at"],
    "data": _EXAMPLE["data"],
}
_ANSWER = {
    "accepted": 1,
    "repeated": 0,
    "refused": [{"line": 2, "reason": "data.metrics: …"}],
    "position": "telemetry/0/99",
}
_KEY = key_header("tells requests apart that say the same", "6f1c2d1e-1")
_DOCS = {
    JSON: {
        "schema": TypeAdapter(list[_ANY_FACT]).json_schema(ref_template=REF),
        "example": [_EXAMPLE],
    },
    NDJSON: {"schema": {"type": "string"}, "example": orjson.dumps(_EXAMPLE).decode()},
    BATCH: {"schema": {"type": "array", "items": {"type": "object"}}, "example": [_EXAMPLE_EVENT]},
    STRUCTURED: {"schema": {"type": "object"}, "example": _EXAMPLE_EVENT},
}
