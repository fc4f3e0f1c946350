"""A small provider of OpenID Connect that says of people what a test says, and checks what a provider checks."""

import base64
import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

import httpx
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from tests.end_to_end.test_who import OWN_PAGE, Server
from tests.read_api.edge.issuing import RSA, public, token
from tests.streams.intake.http.ways_in import served

CLIENT, SECRET = "factline here", "s+e/c&r=e:t"


class Provider:
    """Shape: `says` is what is different in its metadata, `key` what it signs with; `asked` are its token requests."""

    def __init__(self) -> None:
        self.url = ""
        self.says: dict[str, Any] = {}
        self.key = RSA
        self.asked: list[dict[str, str]] = []
        self._codes: dict[str, tuple[dict[str, str], dict[str, Any]]] = {}
        self.app = FastAPI()
        self.app.add_api_route("/.well-known/openid-configuration", self._metadata)
        self.app.add_api_route("/certs", lambda: {"keys": public(RSA)})
        self.app.add_api_route("/token", self._token, methods=["POST"])

    def _metadata(self) -> dict[str, Any]:
        usual = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize?kind=people",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/certs",
            "authorization_response_iss_parameter_supported": True,
        }
        return {**usual, **self.says}

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        self.asked.append(form)
        scheme, _, both = request.headers.get("authorization", "").partition(" ")
        id_, _, secret = base64.b64decode(both).decode().partition(":") if scheme == "Basic" else ("", "", "")
        if (unquote_plus(id_), unquote_plus(secret)) != (CLIENT, SECRET):
            return JSONResponse({"error": "invalid_client"}, 401)
        # a code is good once
        asked, said = self._codes.pop(form.get("code", ""), ({}, {}))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if not asked or (asked["code_challenge"], asked["redirect_uri"]) != (
            challenge.rstrip(b"=").decode(),
            form["redirect_uri"],
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse({"access_token": "x", "token_type": "Bearer", "id_token": token(said, key=self.key)})

    def let_in(self, location: str, subject: str, **claims: Any) -> str:
        """Return where the browser is sent back to of somebody who signed in here."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        now = int(time.time())
        said = {"iss": self.url, "aud": CLIENT, "sub": subject, "iat": now, "exp": now + 60, "nonce": asked["nonce"]}
        said = {name: value for name, value in {**said, **claims}.items() if value is not None}
        code = hashlib.sha256(location.encode()).hexdigest()
        self._codes[code] = (asked, said)
        back = {"code": code, "state": asked["state"], "iss": self.url, "session_state": "of its own"}
        return f"{asked['redirect_uri']}?{urlencode(back)}"


@contextmanager
def provider() -> Iterator[Provider]:
    made = Provider()
    with served(made.app) as client:
        made.url = str(client.base_url).rstrip("/")
        yield made


def set_provider(server: Server, issuer: str, provider_id: str = "people", **headers: str) -> httpx.Response:
    body = {
        "provider_id": provider_id,
        "name": "Acme's people",
        "issuer": issuer,
        "client_id": CLIENT,
        "client_secret": SECRET,
    }
    return server.post("/v1/sign_in_providers", body, **(headers or server.admin))


class Browser:
    """Keeps the cookies of one person; `tenant` and `provider_id` are those through whom they sign in."""

    def __init__(self, server: Server, tenant: str = "acme", provider_id: str = "people") -> None:
        self._server = server
        self.path = f"/v1/sign-in/{tenant}/{provider_id}"
        self.cookies: dict[str, str] = {}

    def begin(self, headers: Mapping[str, str] = OWN_PAGE, *, link: bool = False) -> httpx.Response:
        return self._ask("POST", self.path, {"link": link}, headers)

    def away(self, *, link: bool = False) -> str:
        return str(self.begin(link=link).raise_for_status().json()["location"])

    def back(self, url: str) -> str:
        """Return what the page is told when the provider sends the browser back."""
        answer = self._ask("GET", url, None, {"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    def me(self) -> Any:
        return self._ask("GET", "/v1/me", None, {}).raise_for_status().json()

    def _ask(self, method: str, url: str, body: Any, headers: Mapping[str, str]) -> httpx.Response:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {**headers, **({"Cookie": cookie} if cookie else {})}
        answer = self._server.client.request(method, url, json=body, headers=sent)
        for name, value in answer.cookies.items():
            self.cookies[name] = value
        for name in [name for name in self.cookies if f'{name}="";' in answer.headers.get("set-cookie", "")]:
            del self.cookies[name]
        self._server.client.cookies.clear()
        return answer
