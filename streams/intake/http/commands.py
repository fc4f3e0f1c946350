"""Commands come in over HTTP here, one or many at a time, and are answered only when they are durable."""

import asyncio
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from time import monotonic
from typing import Annotated, Any, Protocol
from urllib.parse import unquote

from fastapi import APIRouter, Depends, Request, Response
from pydantic import ValidationError

from domain import catalog
from domain.message import Command, adapter
from domain.rejection import Kind, free_again
from read_api.edge.asking import Admitted, Asking
from read_api.edge.auth import Caller
from read_api.edge.direct_route import DirectRoute
from read_api.edge.parameters import INSTANT, parse_version
from read_api.edge.problems import Problem, faults, faulty
from read_api.edge.queries import nearest
from read_api.edge.quotas import use_quota
from read_api.edge.responses import Json
from read_api.edge.scopes import may, require
from read_api.edge.tokens import token
from streams.identifiers import new_id
from streams.intake.http.bodies import body_of, json_of
from streams.intake.http.command_docs import OUTCOME, REPLIED, REPLIES
from streams.intake.http.command_docs import batch as batch_docs
from streams.intake.http.command_docs import one_command as one_command_docs
from streams.intake.http.grants import require_grants
from streams.intake.http.idempotency import checked_key
from streams.intake.http.media_types import JSON, media_type
from streams.ports import CALLER_WAITS_S, LogUnavailable, OutcomeUnknown, Overloaded, Reply, Submission
from streams.write.answers import fingerprint
from streams.write.outcomes import Inquiry

MAX_COMMANDS = 1_000
"""Commands of one batch request."""

STATUS: Mapping[Kind, HTTPStatus] = {
    Kind.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Kind.CONFLICT: HTTPStatus.CONFLICT,
    Kind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Kind.NOT_ALLOWED: HTTPStatus.FORBIDDEN,
    Kind.NOT_NOW: HTTPStatus.SERVICE_UNAVAILABLE,
    Kind.REUSED: HTTPStatus.UNPROCESSABLE_ENTITY,
    Kind.EXPIRED: HTTPStatus.GATEWAY_TIMEOUT,
}

MAX_DEADLINE_S = 86_400

PUBLIC: Mapping[str, type[Command]] = {
    name: command for name, command in catalog.COMMANDS.items() if not command.IS_OURS
}

_TURN_S = 0.02

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


class Gate(Protocol):
    """Where commands go: the embedded queue, or the topic of a partition's writer."""

    async def execute(self, submission: Submission) -> Reply:
        """Return the reply once it is durable.

        Raises: Overloaded, LogUnavailable: safe to retry under the same command id.
        """


class BatchGate(Gate, Protocol):
    """A gate that takes many commands of one caller at once."""

    async def execute_many(self, submissions: Sequence[Submission]) -> Sequence[Reply | BaseException]:
        """Return a reply for each, in order, once they are durable, or what `execute` raises for it.

        Raises: as `execute`, where it is the same for all.
        """

    async def outcome(self, inquiry: Inquiry) -> Reply:
        """Return what a command was answered; `repeated` is False where that is not known. Raises: as `execute`."""


def commands_router(gate: BatchGate, fingerprint_key: bytes) -> APIRouter:
    """Shape: `fingerprint_key` is the deployment's, the same for all gateways."""
    router = APIRouter(tags=["commands"], route_class=DirectRoute)

    @router.post(
        "/v1/commands/{context}/{name}",
        summary="One command; 200 with its reply once it is durable",
        responses=REPLIED,
        openapi_extra=one_command_docs(PUBLIC),
    )
    async def one_command(
        context: str, name: str, request: Request, caller: Annotated[Caller, Depends(_Commanding(records="events"))]
    ) -> Response:
        media_type(request.headers.get("Content-Type", ""), JSON)
        async with body_of(request) as body:
            item = {
                "command": f"{context}.{name}",
                "body": json_of(body),
                "id": request.headers.get("Idempotency-Key"),
                "expected_version": _if_match(request.headers.get("If-Match")),
                "happened_at": request.headers.get("X-Happened-At"),
                "deadline": request.headers.get("X-Deadline"),
            }
            reply = await gate.execute(_submission(item, caller, request.headers.get("traceparent"), fingerprint_key))
        await use_events(request, caller, reply)
        return answer_of(reply, request.app.state.log)

    @router.post(
        "/v1/commands",
        summary="Up to 1,000 commands; 200 with a reply for each, in order, also where all are refused",
        responses=REPLIES,
        openapi_extra=batch_docs(MAX_COMMANDS),
    )
    async def batch(request: Request, caller: Annotated[Caller, Depends(Admitted(records="events"))]) -> Response:
        media_type(request.headers.get("Content-Type", ""), JSON)
        async with body_of(request) as body:
            items = json_of(body)
            if not isinstance(items, list) or len(items) > MAX_COMMANDS:
                raise Problem(400, f"the body must be a JSON array of at most {MAX_COMMANDS} commands")
            told = await answers(gate, items, caller, fingerprint_key, request.app.state.log)
        recorded = sum(len(answer.get("events", ())) for answer in told if not answer.get("repeated"))
        await use_quota(request, caller, "events", recorded)
        return Json({"replies": told})

    @router.get(
        "/v1/commands/{command_id}",
        summary="What the caller's own command of this id was answered; 404 where that is not known",
        responses=OUTCOME,
    )
    async def outcome(command_id: str, request: Request, caller: Asking) -> Response:  # noqa: ARG001 - as it was sent
        # an id may have a slash in it, or a percent sign
        sent = unquote(request.scope["raw_path"].rpartition(b"/")[2])
        reply = await gate.outcome(Inquiry(command_id_of(sent), caller.tenant_id, caller.actor))
        if not reply.repeated:
            raise Problem(404, reply.refusal.reason if reply.refusal else "")
        return _told(reply, request.app.state.log)

    return router


class _Commanding(Admitted):
    """A dependency: who asks, with the right to the command that the path names. Raises: Problem; as Admitted."""

    def check(self, request: Request, caller: Caller) -> None:
        _allowed(f"{request.path_params['context']}.{request.path_params['name']}", caller)


async def use_events(request: Request, caller: Caller, reply: Reply) -> None:
    """Count what a command recorded; an answer that was given before is not counted again."""
    await use_quota(request, caller, "events", 0 if reply.repeated else len(reply.events))


async def answers(
    gate: BatchGate, items: Sequence[Any], caller: Caller, key: bytes, log: str
) -> Sequence[dict[str, Any]]:
    """Return an answer for each item, under its id, also for those that were not taken while others were.

    Raises: Overloaded, LogUnavailable: none was taken, or the sender knows the ids under which to send them again.
    """
    items = [item if isinstance(item, dict) else {} for item in items]
    read: list[Submission | dict[str, Any]] = []
    since = monotonic()
    for item in items:
        read.append(_read(item, caller, key))
        # a large batch lets others have their turn
        if monotonic() - since > _TURN_S:
            await asyncio.sleep(0)
            since = monotonic()
    sent = [one for one in read if isinstance(one, Submission)]
    replies = await gate.execute_many(sent) if sent else ()
    failed = [reply for reply in replies if isinstance(reply, BaseException)]
    nameless = any(item.get("id") is None for item in items)
    told = any(isinstance(reply, Reply) or (nameless and isinstance(reply, OutcomeUnknown)) for reply in replies)
    for error in failed:
        if not (told and isinstance(error, Overloaded | LogUnavailable)):
            raise error
    each = (_reply_of(submission, reply, log) for submission, reply in zip(sent, replies, strict=True))
    return [next(each) if isinstance(one, Submission) else one for one in read]


def _read(item: Mapping[str, Any], caller: Caller, key: bytes) -> Submission | dict[str, Any]:
    """Return the command of an item, or the answer to one that is none."""
    try:
        return _submission(item, caller, None, key)
    except Problem as problem:
        return _refusal_json("" if item.get("id") is None else str(item["id"]), problem)


def _reply_of(submission: Submission, reply: Reply | BaseException, log: str) -> dict[str, Any]:
    if isinstance(reply, Reply):
        return reply_json(reply, log)
    unknown = isinstance(reply, OutcomeUnknown)
    reason = "no answer came in time" if unknown else "the queue is full or the log does not answer: nothing was kept"
    return {
        "command_id": submission.command_id,
        "outcome": "unknown" if unknown else "refused",
        "kind": Kind.NOT_NOW.value,
        "reason": f"{reason}; send it again under the same id",
    }


def _refusal_json(command_id: str, problem: Problem) -> dict[str, Any]:
    kind = next((kind for kind, status in STATUS.items() if status == problem.status), Kind.INVALID)
    return {"command_id": command_id, "outcome": "refused", "kind": kind.value, "reason": problem.detail}


def reply_json(reply: Reply, log: str) -> dict[str, Any]:
    """Return a reply as the API shows it. Shape: `position` is the read-your-writes token, null if nothing happened."""
    shown: dict[str, Any] = {
        "command_id": reply.command_id,
        "outcome": reply.outcome,
        "repeated": reply.repeated,
        "stream": reply.stream,
        "version": reply.version,
        "events": [event._asdict() for event in reply.events],
        "position": None,
    }
    if reply.position is not None:
        place = reply.position
        shown["position"] = {"partition": place.partition, "position": place.position, "token": token(place, log)}
    if reply.refusal is not None:
        shown |= {"kind": reply.refusal.kind.value, "reason": reply.refusal.reason}
        if reply.refusal.actual_version is not None:
            shown["actual_version"] = reply.refusal.actual_version
    return shown


def answer_of(reply: Reply, log: str) -> Response:
    if (refusal := reply.refusal) is not None:
        shown = reply_json(reply, log)
        status, retry_after_s = STATUS[refusal.kind], None
        if refusal.kind is Kind.NOT_NOW:
            retry_after_s = 1
            if free_at := free_again(refusal.reason):
                status, left = HTTPStatus.TOO_MANY_REQUESTS, free_at - datetime.now(UTC)
                retry_after_s = max(1, math.ceil(left.total_seconds()))
        raise Problem(status, shown.pop("reason"), retry_after_s=retry_after_s, **shown)
    return _told(reply, log)


def _told(reply: Reply, log: str) -> Response:
    headers = {"ETag": f'"{reply.version}"'}
    if reply.position is not None:
        headers["X-Position"] = token(reply.position, log)
    return Json(reply_json(reply, log), headers=headers)


def _submission(item: Mapping[str, Any], caller: Caller, traceparent: str | None, key: bytes) -> Submission:
    name = str(item.get("command"))
    command_class, own = _allowed(name, caller)
    body = item.get("body")
    try:
        command: Command = adapter(command_class).validate_python(body)
    except ValidationError as error:
        raise invalid(error) from error
    require_grants(caller, command)
    expected_version = _expected_version(item.get("expected_version"))
    return Submission(
        command_id=command_id_of(item.get("id")),
        tenant_id=caller.tenant_id,
        name=name,
        command=command,
        actor=caller.actor,
        happened_at=_happened_at(item.get("happened_at")),
        expected_version=expected_version,
        traceparent=traceparent,
        deadline=_deadline(item.get("deadline")),
        command_hash=fingerprint(name, body, expected_version, key=key),
        own=own,
    )


def _allowed(name: str, caller: Caller) -> tuple[type[Command], bool]:
    """Return the command of a name, and whether the caller may give it about their own things only.

    Raises: Problem (404); Forbidden.
    """
    command_class = PUBLIC.get(name)
    if command_class is None:
        hint = nearest(name[:100], PUBLIC)
        raise Problem(404, f"there is no command {name[:100]!r}: {hint}/docs lists what there is")
    context = name.partition(".")[0]
    if command_class.IS_FOR_OWN and not may(caller, f"{context}:write") and may(caller, f"{context}:own"):
        return command_class, True
    require(caller, f"{context}:write")
    return command_class, False


def command_id_of(given: Any) -> str:
    if given is None:
        return new_id()
    return checked_key(given, "a command's id (Idempotency-Key)", kind=Kind.INVALID.value)


def _happened_at(given: Any) -> datetime | None:
    try:
        return None if given is None else INSTANT.validate_python(given)
    except ValidationError as error:
        detail = f"happened_at (X-Happened-At) {faults(error)[0].what}"
        raise Problem(422, detail, kind=Kind.INVALID.value) from error


def _deadline(given: Any) -> datetime:
    """Return the instant after which a command is not done, from an instant or from seconds from now.

    Shape: where nothing is said it is as long as the caller waits, who is told then to send it again.
    """
    if given is None:
        return datetime.now(UTC) + timedelta(seconds=CALLER_WAITS_S)
    seconds = float(given) if isinstance(given, str) and _SECONDS.fullmatch(given) else given
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds <= MAX_DEADLINE_S:
        return datetime.now(UTC) + timedelta(seconds=seconds)
    try:
        return INSTANT.validate_python(given)
    except ValidationError as error:
        detail = f"deadline (X-Deadline) must be seconds, more than 0 and at most {MAX_DEADLINE_S}, or an instant: "
        raise Problem(422, f"{detail}{faults(error)[0].what}", kind=Kind.INVALID.value) from error


def _expected_version(given: Any) -> int | None:
    if given is not None and (not isinstance(given, int) or isinstance(given, bool) or given < 0):
        detail = "expected_version (If-Match) must be a version: 0, 1, 2, …"
        raise Problem(422, detail, kind=Kind.INVALID.value)
    return given


def invalid(error: ValidationError) -> Problem:
    """Return the refusal (422) of a message that does not validate."""
    return faulty(faults(error), kind=Kind.INVALID.value)


def _if_match(header: str | None) -> int | None:
    if header is None:
        return None
    version = parse_version(header.strip().strip('"'))
    if version is None:
        raise Problem(400, f"If-Match must be a version like 3, not {header[:100]!r}")
    return version
