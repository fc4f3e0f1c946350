"""A request shows who asks with an API key, a token or the cookie of a session, and this is where they are found."""

from starlette.requests import HTTPConnection

from read_api.edge.auth import Forbidden, Unauthenticated

COOKIE = "factline_session"
BEARER = "Bearer "
SESSION = "Session "
"""Begins the text of a session, as BEARER that of a token; what begins with neither is an API key."""

_READS = frozenset({"GET", "HEAD", "OPTIONS"})


def credential_said(request: HTTPConnection) -> bool:
    """Tell if a request shows a credential that was sent on purpose, in a header."""
    return not {"x-api-key", "authorization"}.isdisjoint(request.headers)


def credential_of(request: HTTPConnection) -> str | None:
    """Return what a request shows, None where it shows nothing.

    Shape: a browser sends a cookie by itself, so a key or a token that was sent on purpose counts before it. The page
    of any site may open a WebSocket here and read it, so one with a cookie has to come from a page of this server.
    Raises: Unauthenticated, it shows two; Forbidden, another site's page sent it with the cookie of this one.
    """
    key, authorization = request.headers.get("X-API-Key"), request.headers.get("Authorization")
    if key is not None and authorization is not None:
        raise Unauthenticated("an api key and an Authorization header came together; send one of them")
    if key is not None:
        return key
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("the Authorization header must look like Bearer <token>")
        return f"{BEARER}{token.strip()}"
    cookie = request.cookies.get(COOKIE)
    if cookie is None:
        return None
    # a WebSocket has no method
    if request.scope.get("method") not in _READS:
        require_same_origin(request)
    return f"{SESSION}{cookie}"


def require_same_origin(request: HTTPConnection) -> None:
    """Do nothing where a page of this server sent the request. Raises: Forbidden.

    Source: the OWASP cheat sheet on cross-site request forgery, "Fetch Metadata" and "Verifying Origin".
    """
    if site := request.headers.get("Sec-Fetch-Site"):
        is_own = site == "same-origin"
    else:
        # an older browser, or none: a program sends the origin that it means
        is_own = request.headers.get("Origin") == f"{_scheme(request)}://{request.headers.get('Host', '')}"
    if not is_own:
        raise Forbidden("a request with a session must come from a page of this server; programs use an api key")


def _scheme(request: HTTPConnection) -> str:
    scheme = request.url.scheme
    return {"ws": "http", "wss": "https"}.get(scheme, scheme)
