"""The operator's tenant can rebuild and verify views and handle dead letters on a running server here."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse

from projections.operations import DeadLetter
from read_api.edge.asking import Operating
from read_api.edge.responses import Json, answered
from schemas.shown import shown_text
from streams.project.step import Step
from streams.project.verify import Verdict
from streams.project.view_jobs import UnknownProjection, ViewJobs

_PROGRESS_S = 0.2

MaxRate = Annotated[float | None, Query(gt=0, description="records of the log a second; as fast as it can without it")]

Full = Annotated[bool, Query(description="compare all anew, and nothing that is remembered of the last time")]

_NDJSON = "application/x-ndjson"
_LINE = {"type": "string", "description": "a JSON object a line"}
_STEPS = answered(
    '{"done": 500, "total": 1200}\n{"result": "devices_v2"}\n',
    "How far it is, line by line; the last line has `result` or `error`",
    media_type=_NDJSON,
    schema=_LINE,
)
_LETTERS = answered('{"view": "devices_v1", "reason": "…"}\n', "A line for each", media_type=_NDJSON, schema=_LINE)


_OPERATOR = Depends(Operating("do this; it is in DATA_DIR/operator.key"))


def operator_router(operations: ViewJobs) -> APIRouter:
    router = APIRouter(prefix="/v1/operator", tags=["operator"], dependencies=[_OPERATOR])

    async def known(name: str) -> str:
        if name not in operations.names():
            raise UnknownProjection(name)
        return name

    view = Annotated[str, Depends(known)]

    job = partial(router.post, response_class=StreamingResponse, responses=_STEPS)

    @job("/projections/{name}/rebuild", summary="Build a view anew and switch to it; progress as NDJSON")
    async def rebuild(name: view, max_rate: MaxRate = None) -> Response:
        return _job(lambda on_step: operations.rebuild(name, on_step, max_rate=max_rate).table)

    @job("/projections/{name}/builds/{build}/switch", summary="Answer from another build; progress as NDJSON")
    async def switch(name: view, build: int) -> Response:
        return _job(lambda on_step: operations.switch(name, build, on_step).table)

    @router.delete(
        "/projections/{name}/builds/{build}",
        summary="Remove a build that is not live",
        responses=answered({"dropped": "devices_v1"}),
    )
    async def drop(name: view, build: int) -> Response:
        return Json({"dropped": (await asyncio.to_thread(operations.drop, name, build)).table})

    @job("/projections/{name}/verify", summary="Compare a view with the log; progress as NDJSON")
    async def verify(name: view, full: Full = False) -> Response:  # noqa: FBT002 - a parameter of the route
        return _job(lambda on_step: verdict_json(operations.verify(name, on_step, full=full)))

    @router.get(
        "/dead-letters",
        summary="What all views have parked, of all tenants, as NDJSON",
        response_class=StreamingResponse,
        responses=_LETTERS,
    )
    async def dead_letters() -> Response:
        lines = (orjson.dumps(letter_json(letter)) + b"\n" for letter in operations.all_dead_letters())
        return StreamingResponse(lines, media_type=_NDJSON)

    @router.post(
        "/projections/{name}/dead-letters/retry",
        summary="Try a view's parked records again",
        responses=answered({"taken": 2, "still_parked": 0}),
    )
    async def retry(name: view) -> Response:
        return Json((await asyncio.to_thread(operations.retry_dead_letters, name))._asdict())

    @router.post(
        "/projections/{name}/dead-letters/discard",
        summary="Go on without a view's parked records",
        responses=answered({"discarded": 2}),
    )
    async def discard(name: view) -> Response:
        return Json({"discarded": await asyncio.to_thread(operations.discard_dead_letters, name)})

    return router


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict in the shape the CLI prints."""
    return {
        **verdict._asdict(),
        "counted_since": verdict.counted_since and verdict.counted_since.isoformat(),
        "examples": [
            {
                "tenant_id": example.tenant_id,
                "key": [str(part) for part in example.key],
                "expected": shown_text(str(example.expected)),
                "found": shown_text(str(example.found)),
            }
            for example in verdict.examples
        ],
    }


def letter_json(letter: DeadLetter) -> dict[str, Any]:
    return {**letter._asdict(), "topic": letter.topic.value, "parked_at": letter.parked_at.isoformat()}


def _job(work: Callable[[Callable[[Step], None]], Any]) -> Response:
    """Run a long job in a thread and say how far it is, line by line; it goes on if its caller leaves."""
    latest: list[Step] = []

    def on_step(step: Step) -> None:
        latest[:] = [step]

    async def lines() -> AsyncIterator[bytes]:
        job = asyncio.ensure_future(asyncio.to_thread(work, on_step))
        while not job.done():
            await asyncio.wait([job], timeout=_PROGRESS_S)
            if latest:
                yield orjson.dumps(latest[0]._asdict()) + b"\n"
        try:
            yield orjson.dumps({"result": job.result()}) + b"\n"
        except Exception as error:  # noqa: BLE001 - the answer has begun: its last line must say how the job ended
            yield orjson.dumps({"error": str(error)}) + b"\n"

    return StreamingResponse(lines(), media_type=_NDJSON)
