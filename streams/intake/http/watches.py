"""A watch can be tried over what is stored, before it is defined."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import ValidationError

from domain.fleet.rules import NoData
from domain.fleet.watch import DefineWatch, Watch, check_watch
from domain.message import adapter
from domain.rejection import CommandRejected
from read_api.edge.asking import Allowed
from read_api.edge.auth import Caller
from read_api.edge.parameters import INSTANT, in_order
from read_api.edge.problems import Problem, faults, faulty
from read_api.edge.responses import AsOf, documented, table
from streams.correlate.preview import Preview, Stored, TooMuch, preview
from streams.intake.http.bodies import body_of
from streams.intake.http.described import body_of_schema, schema_of
from streams.ports import NewScorer

_USUAL = timedelta(days=7)
_LONGEST = timedelta(days=92)
_THREADS = 2
_NAMED: Mapping[str, str] = {"watch_id": "preview", "name": "preview", "severity": "warning"}

_EXAMPLE = {
    "rule": {"kind": "threshold", "metric": "cpu", "above": 90, "for_s": 600},
    "device_id": "web-1",
    "start": "2026-01-24T00:00:00Z",
    "end": "2026-01-31T00:00:00Z",
}
_ROW = {
    "device_id": "web-1",
    "severity": "warning",
    "rule": "preview",
    "value": 97.5,
    "threshold": 90.0,
    "window": 600,
    "raised_at": "2026-01-30T08:30:00Z",
    "resolved_at": None,
}


def _schema() -> Mapping[str, Any]:
    """Return the schema of a watch of which only the rule must be said, and of the time to look at."""
    watch = schema_of(DefineWatch)
    instant = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}
    fields = {**watch["properties"], "start": instant, "end": instant}
    return {**watch, "title": "WatchPreview", "properties": fields, "required": ["rule"]}


def watches_router(
    stored: Stored, new_scorer: NewScorer, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> APIRouter:
    router = APIRouter(tags=["watches"])
    # not the loop's own threads: a preview of months would hold what sign-ins, claims and bodies need
    threads = ThreadPoolExecutor(_THREADS, "previews")

    @router.post(
        "/v1/watches/preview",
        summary="What a watch would have raised from `start` to `end` (else in the last seven days); records nothing",
        responses=documented(_ROW, looked_at={"devices": 1, "samples": 2_016}),
        openapi_extra={"requestBody": body_of_schema(_schema(), _EXAMPLE)},
    )
    async def look(request: Request, caller: Annotated[Caller, Depends(Allowed("watches:read"))]) -> Response:
        async with body_of(request) as body:
            asked = _asked(body)
        end = _instant(asked, "end") or now()
        start = _instant(asked, "start") or end - _USUAL
        in_order(start, end)
        if end - start > _LONGEST:
            raise Problem(400, f"more than {_LONGEST.days} days; ask for a shorter time")
        watch = _watch(asked)
        try:
            look_back = partial(preview, stored, caller.tenant_id, watch, start=start, end=end, new_scorer=new_scorer)
            found = await asyncio.get_running_loop().run_in_executor(threads, look_back)
        except TooMuch as error:
            raise Problem(400, str(error)) from error
        return _answer(found, start, end, now())

    return router


def _answer(found: Preview, start: datetime, end: datetime, at: datetime) -> Response:
    rows = [alert._asdict() for alert in found.alerts]
    looked_at = {"devices": found.devices, "samples": found.samples, "start": start, "end": end}
    return table(rows, AsOf.of(at, ()), looked_at=looked_at)


def _asked(body: bytes) -> dict[str, Any]:
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError:
        asked = None
    if not isinstance(asked, dict):
        raise Problem(400, "the body must be a JSON object with a rule, like that of DefineWatch")
    return asked


def _instant(asked: dict[str, Any], name: str) -> datetime | None:
    text = asked.pop(name, None)
    if text is None:
        return None
    try:
        return INSTANT.validate_python(text)
    except ValidationError as error:
        raise Problem(422, f"{name}: {faults(error)[0].what}") from error


def _watch(asked: Mapping[str, Any]) -> Watch:
    try:
        command: DefineWatch = adapter(DefineWatch).validate_python({**_NAMED, **asked})
        watch = check_watch(command)
    except ValidationError as error:
        raise faulty(faults(error)) from error
    except CommandRejected as error:
        raise Problem(422, error.reason) from error
    if isinstance(watch.rule, NoData) and watch.rule.metric is None:
        raise Problem(422, "a preview of silence needs the `metric` that is missed: others are not kept as series")
    return watch
