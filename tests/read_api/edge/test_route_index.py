"""The index of routes finds each of them, and no other one than trying them all in turn would."""

import asyncio
import re
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute, Match

from read_api.app import create_app
from read_api.edge.route_index import RouteIndex, include
from tests.read_api.world import World


def scope_of(method: str, path: str) -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path, "headers": [], "root_path": "", "query_string": b""}


def first(routes: list[BaseRoute], method: str, path: str) -> BaseRoute | None:
    return next((route for route in routes if route.matches(scope_of(method, path))[0] is Match.FULL), None)


def test_index_finds_what_trying_all_finds(world: World) -> None:
    index, *others = create_app(world.answers()).router.routes
    assert isinstance(index, RouteIndex)
    looked = 0
    for path, methods in create_app(world.answers()).openapi()["paths"].items():
        for method in methods:
            asked = re.sub(r"\{[^}]*\}", "x", path)
            match, child = index.matches(scope_of(method.upper(), asked))
            if path == "/metrics":
                assert match is Match.NONE
                continue
            assert match is Match.FULL, path
            assert child["factline.entry"] is first(others, method.upper(), asked)
            looked += 1
    assert looked > 100


def answering(path: str, answer: str) -> APIRouter:
    router = APIRouter()
    router.get(path)(lambda: answer)
    return router


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    for path, answer in (
        ("/v1/things/first", "the fixed one"),
        ("/v1/things/{id}", "one"),
        ("/{any}/things/other", "any"),
        ("/v1/things/second", "never"),
        ("/pages/{name}", "a page"),
    ):
        include(app, answering(path, answer))
    return app


def answer(app: FastAPI, path: str, method: str = "GET") -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.request(method, path)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/things/first", "the fixed one"),
        ("/v1/things/second", "one"),
        ("/v1/things/other", "one"),
        ("/v2/things/other", "any"),
        ("/pages/x", "a page"),
    ],
)
def test_route_that_was_added_first_answers(app: FastAPI, path: str, said: str) -> None:
    assert answer(app, path).json() == said


def test_what_is_nowhere_and_another_method_are_told_as_ever(app: FastAPI) -> None:
    assert answer(app, "/v1/things").status_code == 404
    assert answer(app, "/nowhere").status_code == 404
    assert answer(app, "/v1/things/first", "POST").status_code == 405
