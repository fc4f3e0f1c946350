"""What clients ask of a server, and what browsers bring them, in the words of tests."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import httpx
import orjson

from read_api.edge.jws import read_token
from streams.intake.http.consents import challenge_of
from tests.end_to_end.test_who import OWN_PAGE, Server

SCOPES = ["devices:read", "fleet:write"]
REDIRECT = "https://reports.example/signed-in"
VERIFIER = "v" * 43


def registered(server: Server, *, headers: dict[str, str] | None = None, **more: Any) -> Any:
    wanted = {"name": "reports", "scopes": SCOPES, "redirect_uris": [REDIRECT], **more}
    answer = server.post("/v1/clients", wanted, **(headers or server.admin))
    assert answer.status_code == 201, answer.text
    return answer.json()


def asked(server: Server, client: Mapping[str, str], secret: str | None = None, **form: str) -> httpx.Response:
    """Ask for a token as the client, which sends its secret in the form."""
    who = {"client_id": client["client_id"], "client_secret": secret or client["client_secret"]}
    said = {"grant_type": "client_credentials", **who, **form}
    return server.client.post("/oauth/token", data={name: value for name, value in said.items() if value})


def refusal(answer: httpx.Response, status: int = 400) -> str:
    """Return the error of RFC 6749 by which a request is refused."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()
    assert found.keys() == {"error", "error_description"}
    return str(found["error"])


def bearer(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def said_by(token: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(read_token(token["Authorization"].removeprefix("Bearer ")).payload)
    return found


def address(client: Mapping[str, Any], **changed: str | None) -> str:
    """Return where the client sends its user's browser."""
    said = {
        "response_type": "code",
        "client_id": client["client_id"],
        "redirect_uri": REDIRECT,
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        "state": "a state",
        **changed,
    }
    return str(httpx.URL("/oauth/authorize", params={name: value for name, value in said.items() if value is not None}))


def back(answer: httpx.Response) -> dict[str, str]:
    """Return what a browser brings back to the client."""
    assert answer.status_code == 303, answer.text
    location = answer.headers["location"]
    assert location.startswith(f"{REDIRECT}?")
    return dict(parse_qsl(urlsplit(location).query))


def decided(
    server: Server, user: dict[str, str], url: str, decision: str = "allow", headers: Mapping[str, str] = OWN_PAGE
) -> httpx.Response:
    return server.client.post(url, data={"decision": decision}, headers={**user, **headers})


def code_for(server: Server, user: dict[str, str], client: Mapping[str, Any], **changed: str) -> str:
    return back(decided(server, user, address(client, **changed)))["code"]


def redeemed(server: Server, client: Mapping[str, Any], code: str, **changed: str) -> httpx.Response:
    said = {
        "grant_type": "authorization_code",
        "client_id": client["client_id"],
        "client_secret": client["client_secret"],
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
        **changed,
    }
    return server.client.post("/oauth/token", data={name: value for name, value in said.items() if value})


def refreshed(server: Server, client: Mapping[str, Any], token: str, **more: str) -> httpx.Response:
    who = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    said = {"grant_type": "refresh_token", **who, "refresh_token": token, **more}
    return server.client.post("/oauth/token", data={name: value for name, value in said.items() if value})


def revoked(server: Server, client: Mapping[str, Any], token: str) -> httpx.Response:
    said = {"token": token, "client_id": client["client_id"], "client_secret": client["client_secret"] or ""}
    return server.client.post("/oauth/revoke", data={name: value for name, value in said.items() if value})


def introspected(server: Server, client: Mapping[str, Any], token: Mapping[str, str] | str) -> Any:
    """Return what a service is told of a token that it was sent."""
    text = token if isinstance(token, str) else token["Authorization"].removeprefix("Bearer ")
    who = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    answer = server.client.post("/oauth/introspect", data={"token": text, **who})
    assert answer.status_code == 200, answer.text
    return answer.json()


class Held(NamedTuple):
    """What a client holds that acts for a user."""

    access: dict[str, str]
    refresh: str


def held(answer: httpx.Response) -> Held:
    return Held(bearer(answer), answer.json()["refresh_token"])


def held_for(server: Server, user: dict[str, str], client: Mapping[str, Any]) -> Held:
    return held(redeemed(server, client, code_for(server, user, client)))
