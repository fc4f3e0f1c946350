"""Every route, of reads and of writes, learns here who asks."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Security
from fastapi.security import APIKeyCookie, APIKeyHeader, HTTPBearer

from read_api.edge.auth import Caller
from read_api.edge.credential import COOKIE, credential_of
from read_api.edge.paths import SlashesOfIds
from read_api.edge.problems import PROBLEMS, add_problems
from read_api.edge.queries import known_parameters

_API_KEY = APIKeyHeader(name="X-API-Key", auto_error=False, description="ak_<id>.sk_<secret>")
_TOKEN = HTTPBearer(auto_error=False, bearerFormat="JWT", description="of an issuer that the tenant trusts")
_COOKIE = APIKeyCookie(name=COOKIE, auto_error=False, description="of a user who signed in")

Identify = Callable[[str | None], Awaitable[Caller]]


def add_edge(app: FastAPI, identify: Identify, log: str) -> None:
    """Let the routes of an application know who asks, refuse what they do not read, and answer with problems.

    Shape: call it before routes are added. `identify` is told what `credential_of` finds; it does not block the event
    loop. `log` is the tag of the log that tokens are of.
    """
    app.state.log = log
    app.state.identify = identify
    app.router.dependencies.append(Depends(known_parameters))
    add_problems(app, PROBLEMS)
    app.add_middleware(SlashesOfIds)


async def _caller(
    request: Request,
    # these only say in the document of the API what `credential_of` looks for
    _key: Annotated[str | None, Security(_API_KEY)],
    _token: Annotated[Any, Security(_TOKEN)],
    _cookie: Annotated[str | None, Security(_COOKIE)],
) -> Caller:
    caller: Caller = await request.app.state.identify(credential_of(request))
    return caller


Asking = Annotated[Caller, Depends(_caller)]
