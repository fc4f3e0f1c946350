"""Every route, of reads and of writes, learns here who asks."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, FastAPI, Request, Security
from fastapi.security import APIKeyHeader

from read_api.edge.auth import Caller
from read_api.edge.contract import add_contract
from read_api.edge.paths import SlashesOfIds
from read_api.edge.problems import PROBLEMS, add_problems
from read_api.edge.queries import known_parameters

_API_KEY = APIKeyHeader(name="X-API-Key", auto_error=False, description="ak_<id>.sk_<secret>")

Identify = Callable[[str | None], Awaitable[Caller]]


def add_edge(app: FastAPI, identify: Identify, log: str) -> None:
    """Let the routes of an application know who asks, refuse what they do not read, and answer with problems.

    Shape: call it before routes are added. `identify` is told what came as `X-API-Key`; it does not block the event
    loop. `log` is the tag of the log that tokens are of.
    """
    app.state.log = log
    app.state.identify = identify
    app.router.dependencies.append(Depends(known_parameters))
    add_problems(app, PROBLEMS)
    add_contract(app)
    app.add_middleware(SlashesOfIds)


async def _caller(request: Request, key: Annotated[str | None, Security(_API_KEY)]) -> Caller:
    caller: Caller = await request.app.state.identify(key)
    return caller


Asking = Annotated[Caller, Depends(_caller)]
