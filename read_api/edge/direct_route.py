"""Routes that are called thousands of times a second are called directly, without FastAPI's search for arguments."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from read_api.edge.asking import Admitted, caller_of
from read_api.edge.queries import known_parameters


class DirectRoute(APIRoute):
    """A route for an endpoint that takes the request, the caller as Admitted says, and texts of the path; nothing else.

    The search costs 0.3 ms a request, which is more than a command costs the writer (docs/benchmarks.md). The document
    of the API is the same as of any other route.
    Raises: TypeError, the endpoint does not say how its caller is admitted, so that nobody would count it.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint, admitted = self.endpoint, self._admitted()

        async def handle(request: Request) -> Response:
            await known_parameters(request)
            caller = await admitted(request, await caller_of(request))
            response: Response = await endpoint(request=request, caller=caller, **request.path_params)
            return response

        return handle

    def _admitted(self) -> Admitted:
        for one in self.dependant.dependencies:
            if one.name == "caller" and isinstance(one.call, Admitted):
                return one.call
        raise TypeError(f"{self.path}: its caller must be Asking, or depend on Allowed or another Admitted")
