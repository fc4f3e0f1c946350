"""Routes that are called thousands of times a second are called directly, without FastAPI's search for arguments."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from read_api.edge.credential import credential_of
from read_api.edge.queries import known_parameters
from read_api.edge.rates import seen


class DirectRoute(APIRoute):
    """A route for an endpoint that takes the request, the caller as `Known`, and texts of the path; nothing else.

    The search costs 0.3 ms a request, which is more than a command costs the writer (docs/benchmarks.md). The document
    of the API is the same as of any other route.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            await known_parameters(request)
            caller = await request.app.state.identify(credential_of(request))
            seen(request, caller)
            response: Response = await endpoint(request=request, caller=caller, **request.path_params)
            return response

        return handle
