"""This puts all answers into one FastAPI application; they only read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from fastapi.responses import PlainTextResponse
from fastapi_offline import FastAPIOffline

from read_api import audit, executions, live, live_socket, me, ops, page, things, timeline, usage, userinfo
from read_api.analytics import analytics_router
from read_api.answers import Answers
from read_api.documents import document_routers
from read_api.edge.asking import add_edge
from read_api.edge.responses import answered
from read_api.edge.route_index import include
from read_api.graphql import route as graphql
from read_api.prometheus import CountRequests, HttpMetrics, scrape

__all__ = ["Answers", "add_answers", "create_app"]


def add_answers(app: FastAPI, answers: Answers) -> None:
    """Register the edge, routes and /metrics; the answers are closed when the application stops.

    Shape: one call for an application. Call `answers.stop()` as soon as the server begins to stop, because a server
    waits for its open connections and a live stream ends only then.
    """
    metrics = HttpMetrics(answers.operations)
    app.state.answers = answers
    app.state.http_metrics = metrics
    app.add_middleware(CountRequests, metrics=metrics)
    add_edge(app, answers.authenticator.identify, answers.log, answers.limiter)
    # the fixed paths of the documents' routers come before their {id}
    for router in (
        *document_routers(),
        timeline.router,
        executions.router,
        things.router,
        analytics_router(),
        audit.router,
        ops.router,
        live.router,
        usage.router,
        graphql.router,
    ):
        include(app, router)
    app.router.add_websocket_route(live_socket.PATH, live_socket.live_socket)
    app.router.add_websocket_route(graphql.PATH, graphql.graphql_socket)
    include(app, me.router)
    include(app, userinfo.router)
    include(app, page.router)
    app.add_api_route(
        "/metrics",
        scrape,
        tags=["ops"],
        summary="Prometheus text; needs no key",
        response_class=PlainTextResponse,
        responses=answered("factline_up 1.0", "Text", media_type="text/plain", schema={"type": "string"}),
    )
    include(app, _closing(answers))


def _closing(answers: Answers) -> APIRouter:
    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(answers.close)

    return APIRouter(lifespan=lifespan)


def create_app(answers: Answers) -> FastAPI:
    """Return an application with the answers; /docs needs no other host."""
    app: FastAPI = FastAPIOffline(title="factline", redoc_url=None)
    add_answers(app, answers)
    return app
