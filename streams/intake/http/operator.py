"""What an operator does to a running server: rebuild, verify, dead letters; for keys of the operator's tenant only."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from projections.operations import DeadLetter
from streams.intake.http.requests import Authenticate, Refused, identify
from streams.intake.http.tenants import SYSTEM_TENANT
from streams.project.rebuild import Step
from streams.project.verify import Verdict
from streams.project.view_jobs import UnknownProjection, ViewJobs, WrongBuild

_PROGRESS_S = 0.2

MaxRate = Annotated[float | None, Query(gt=0, description="records of the log a second; as fast as it can without it")]


Allow = Callable[[Request, str | None], Awaitable[None]]


def operator_router(operations: ViewJobs, authenticate: Authenticate) -> APIRouter:
    router = APIRouter(prefix="/v1/operator", tags=["operator"])

    async def allow(request: Request, name: str | None = None) -> None:
        caller = await identify(request, authenticate)
        if caller.tenant_id != SYSTEM_TENANT:
            raise Refused(HTTPStatus.FORBIDDEN, "only the operator's key may do this; it is in DATA_DIR/operator.key")
        if name is not None and name not in operations.names():
            raise Refused(HTTPStatus.NOT_FOUND, str(UnknownProjection(name)))

    _add_builds(router, operations, allow)
    _add_dead_letters(router, operations, allow)
    return router


def _add_builds(router: APIRouter, operations: ViewJobs, allow: Allow) -> None:
    @router.post("/projections/{name}/rebuild", summary="Build a view anew and switch to it; progress as NDJSON")
    async def rebuild(name: str, request: Request, max_rate: MaxRate = None) -> Response:
        await allow(request, name)
        return _job(lambda on_step: operations.rebuild(name, on_step, max_rate=max_rate).table)

    @router.post("/projections/{name}/builds/{build}/switch", summary="Answer from another build; progress as NDJSON")
    async def switch(name: str, build: int, request: Request) -> Response:
        await allow(request, name)
        return _job(lambda on_step: operations.switch(name, build, on_step).table)

    @router.delete("/projections/{name}/builds/{build}", summary="Remove a build that is not live")
    async def drop(name: str, build: int, request: Request) -> Response:
        await allow(request, name)
        try:
            dropped = await asyncio.to_thread(operations.drop, name, build)
        except WrongBuild as error:
            raise Refused(HTTPStatus.CONFLICT, str(error)) from error
        return _json({"dropped": dropped.table})

    @router.post("/projections/{name}/verify", summary="Compare a view with the log; progress as NDJSON")
    async def verify(name: str, request: Request) -> Response:
        await allow(request, name)
        return _job(lambda on_step: verdict_json(operations.verify(name, on_step)))


def _add_dead_letters(router: APIRouter, operations: ViewJobs, allow: Allow) -> None:
    @router.get("/dead-letters", summary="What all views have parked, of all tenants, as NDJSON")
    async def dead_letters(request: Request) -> Response:
        await allow(request, None)
        lines = (orjson.dumps(letter_json(letter)) + b"\n" for letter in operations.all_dead_letters())
        return StreamingResponse(lines, media_type="application/x-ndjson")

    @router.post("/projections/{name}/dead-letters/retry", summary="Try a view's parked records again")
    async def retry(name: str, request: Request) -> Response:
        await allow(request, name)
        return _json((await asyncio.to_thread(operations.retry_dead_letters, name))._asdict())

    @router.post("/projections/{name}/dead-letters/discard", summary="Go on without a view's parked records")
    async def discard(name: str, request: Request) -> Response:
        await allow(request, name)
        return _json({"discarded": await asyncio.to_thread(operations.discard_dead_letters, name)})


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict in the shape the CLI prints."""
    return {
        **verdict._asdict(),
        "examples": [
            {
                "tenant_id": example.tenant_id,
                "key": [str(part) for part in example.key],
                "expected": str(example.expected),
                "found": str(example.found),
            }
            for example in verdict.examples
        ],
    }


def letter_json(letter: DeadLetter) -> dict[str, Any]:
    return {**letter._asdict(), "topic": letter.topic.value, "parked_at": letter.parked_at.isoformat()}


def _json(answer: Any) -> Response:
    return Response(orjson.dumps(answer), media_type="application/json")


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

    return StreamingResponse(lines(), media_type="application/x-ndjson")
