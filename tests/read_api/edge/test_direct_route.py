"""A route that is called directly admits its caller as every other route does."""

from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, Request, Response

from read_api.edge.asking import Allowed, Asking, Known
from read_api.edge.auth import Caller
from read_api.edge.direct_route import DirectRoute


def test_route_that_would_count_nobody_cannot_be_made() -> None:
    router = APIRouter(route_class=DirectRoute)

    async def known(request: Request, caller: Known) -> Response:
        return Response()

    async def nobody(request: Request) -> Response:
        return Response()

    for endpoint in (known, nobody):
        with pytest.raises(TypeError, match="/v1/forgotten: its caller must be"):
            router.post("/v1/forgotten")(endpoint)


def test_route_that_says_how_its_caller_is_admitted_can_be_made() -> None:
    router = APIRouter(route_class=DirectRoute)

    async def asking(request: Request, caller: Asking) -> Response:
        return Response()

    async def allowed(request: Request, caller: Annotated[Caller, Depends(Allowed("devices:read"))]) -> Response:
        return Response()

    for endpoint in (asking, allowed):
        router.post("/v1/counted")(endpoint)
    assert len(router.routes) == 2
