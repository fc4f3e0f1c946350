"""Every route, of reads and of writes, learns here who asks."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Security
from fastapi.openapi.models import OAuthFlowAuthorizationCode, OAuthFlowClientCredentials, OAuthFlows
from fastapi.security import APIKeyCookie, APIKeyHeader, HTTPBearer, OAuth2

from read_api.edge.auth import Caller
from read_api.edge.contract import add_contract
from read_api.edge.credential import COOKIE, credential_of
from read_api.edge.paths import SlashesOfIds
from read_api.edge.problems import PROBLEMS, add_problems
from read_api.edge.queries import known_parameters
from read_api.edge.quotas import Kind, check_quota
from read_api.edge.rates import CountCallers, RateLimiter, count, seen
from read_api.edge.safe import SafeAnswers
from read_api.edge.scopes import require, require_operator
from read_api.edge.usage import UsageMeter

_API_KEY = APIKeyHeader(name="X-API-Key", auto_error=False, description="ak_<id>.sk_<secret>")
_TOKEN = HTTPBearer(auto_error=False, bearerFormat="JWT", description="of an issuer that the tenant trusts")
_COOKIE = APIKeyCookie(name=COOKIE, auto_error=False, description="of a user who signed in")
_OAUTH = OAuth2(
    flows=OAuthFlows(
        authorizationCode=OAuthFlowAuthorizationCode(
            authorizationUrl="/oauth/authorize",
            tokenUrl="/oauth/token",
            refreshUrl="/oauth/token",
        ),
        clientCredentials=OAuthFlowClientCredentials(tokenUrl="/oauth/token"),
    ),
    auto_error=False,
    description="of this server itself, for a client that is registered; its scopes are those of API keys",
)

OWN_CALLER = "factline.own_caller"
"""Where the scope of a request says that this process sent it itself, and as whom; no request from outside can."""

Identify = Callable[[str | None], Awaitable[Caller]]


def add_edge(app: FastAPI, identify: Identify, log: str, limiter: RateLimiter | None = None) -> None:
    """Let the routes of an application know who asks, refuse what they do not read, and answer with problems.

    Shape: call it before routes are added. `identify` is told what `credential_of` finds; it does not block the event
    loop. `log` is the tag of the log that tokens are of. Without a limiter nothing is limited.
    """
    app.state.log = log
    app.state.limiter = limiter
    app.state.usage = UsageMeter()
    app.state.identify = identify
    app.router.dependencies.append(Depends(known_parameters))
    add_problems(app, PROBLEMS)
    add_contract(app)
    app.add_middleware(CountCallers)
    app.add_middleware(SlashesOfIds)
    app.add_middleware(SafeAnswers)


async def _known(
    request: Request,
    # these only say in the document of the API what `credential_of` looks for
    _key: Annotated[str | None, Security(_API_KEY)],
    _token: Annotated[Any, Security(_TOKEN)],
    _own_token: Annotated[str | None, Security(_OAUTH)],
    _cookie: Annotated[str | None, Security(_COOKIE)],
) -> Caller:
    return await caller_of(request)


async def caller_of(request: Request) -> Caller:
    """Return who sends a request. Raises: Unauthenticated; Forbidden; StoreUnavailable, safe to retry."""
    own: Caller | None = request.scope.get(OWN_CALLER)
    if own is not None:
        return own
    caller: Caller = await request.app.state.identify(credential_of(request))
    seen(request, caller)
    return caller


Known = Annotated[Caller, Depends(_known)]
"""Who asks; whoever takes this looks at the right to its route first, and then counts the request."""


class Admitted:
    """A dependency: who asks, whose request is counted. Raises: TooMany; QuotaUsed.

    Shape: `records` is what of a quota the route uses up. A request without the right to its route is not counted.
    """

    def __init__(self, *, records: Kind | None = None) -> None:
        self._records = records

    async def __call__(self, request: Request, caller: Known) -> Caller:
        self.check(request, caller)
        await count(request, caller)
        if self._records is not None:
            await check_quota(request, caller, self._records)
        return caller

    def check(self, request: Request, caller: Caller) -> None:
        """Do nothing where the caller may send this request. Raises: Problem."""


Asking = Annotated[Caller, Depends(Admitted())]
"""Who asks, of a route that needs no certain right. Raises: TooMany."""


class Allowed(Admitted):
    """A dependency: who asks, with the right `to` this. Raises: Forbidden; as Admitted."""

    def __init__(self, to: str, *, records: Kind | None = None) -> None:
        super().__init__(records=records)
        self._to = to

    def check(self, request: Request, caller: Caller) -> None:  # noqa: ARG002 - others look at it
        require(caller, self._to)


class Operating(Allowed):
    """A dependency: the operator, who alone may do what `to` says. Raises: Forbidden; as Admitted."""

    def check(self, request: Request, caller: Caller) -> None:  # noqa: ARG002 - others look at it
        require_operator(caller, self._to)
