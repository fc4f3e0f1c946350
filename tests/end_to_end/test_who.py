"""Users and tokens on the whole embedded server: how they come in, what they may do, and how they are out again."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from infra.data_dir import operator_key
from infra.embedded import Embedded
from infra.jwks import OVER_HTTP
from infra.serve.embedded import create_app
from read_api.edge.credential import COOKIE
from read_api.edge.roles import scopes_of
from schemas.envelope import Envelope, Topic
from tests.read_api.edge.issuing import AUDIENCE, EC, ISSUER, RSA, claims, public, token
from tests.streams.intake.http.ways_in import refused, served
from tests.waiting import eventually

PASSWORD = "correct horse battery staple"
OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}


class Server:
    """A server, and the key of its tenant acme that may do everything."""

    def __init__(self, client: httpx.Client, embedded: Embedded) -> None:
        self.client = client
        self.embedded = embedded
        operator = {"X-API-Key": operator_key(embedded.dir.path) or ""}
        made = client.post("/v1/tenants", json={"tenant_id": "acme", "name": "Acme"}, headers=operator)
        self.admin = {"X-API-Key": made.raise_for_status().json()["api_key"]}

    def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return self.client.post(path, json=body, headers=headers)

    def command(self, name: str, /, **body: Any) -> None:
        self.post(f"/v1/commands/identity/{name}", body, **self.admin).raise_for_status()

    def invite(self, user: str, *roles: str, **headers: str) -> httpx.Response:
        wanted = {"user_id": user, "email": f"{user}@acme.example", "roles": roles}
        return self.post("/v1/invitations", wanted, **(headers or self.admin))

    def set_password(self, user: str, token: str, password: str = PASSWORD) -> httpx.Response:
        return self.post("/v1/passwords", {"tenant_id": "acme", "user_id": user, "token": token, "password": password})

    def sign_in(self, user: str, password: str = PASSWORD, tenant: str = "acme", **headers: str) -> httpx.Response:
        answer = self.post("/v1/sign-in", {"tenant_id": tenant, "user_id": user, "password": password}, **headers)
        # each test says itself what it sends
        self.client.cookies.clear()
        return answer

    def is_too_early(self, user: str) -> httpx.Response | None:
        answer = self.sign_in(user, "wrong")
        return answer if answer.status_code == 429 else None

    def member(self, user: str, *roles: str) -> dict[str, str]:
        """Return what the browser of a new user sends."""
        token = self.invite(user, *roles).raise_for_status().json()["token"]
        self.set_password(user, token).raise_for_status()
        return cookie_of(self.sign_in(user).raise_for_status())

    def me(self, headers: dict[str, str]) -> Any:
        return self.client.get("/v1/me", headers=headers).raise_for_status().json()

    def rows(self, path: str, headers: dict[str, str]) -> Any:
        return self.client.get(path, headers=headers).json().get("rows")

    def is_in(self, headers: dict[str, str]) -> bool:
        return self.client.get("/v1/me", headers=headers).status_code == 200

    def events(self) -> list[Envelope]:
        found = self.embedded.log.read(Topic.EVENTS, 0, after=0, limit=10_000)
        return [entry for entry in found if isinstance(entry, Envelope) and entry.tenant_id == "acme"]


def cookie_of(answer: httpx.Response) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={answer.cookies[COOKIE]}"}


@contextmanager
def started(folder: Path) -> Iterator[Server]:
    """Give a new server, which may fetch the keys of issuers over HTTP."""
    with pytest.MonkeyPatch.context() as environment, Embedded.open(folder) as embedded:
        environment.setenv(OVER_HTTP, "1")
        app = create_app(embedded, host_metrics=False)
        embedded.first_start()
        with served(app) as client:
            yield Server(client, embedded)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with started(tmp_path_factory.mktemp("who")) as server:
        yield server


# --- users


def test_invited_user_joins_signs_in_and_gives_commands_in_their_own_name(server: Server) -> None:
    invited = server.invite("ann", "USER")
    assert invited.status_code == 201
    joined = server.set_password("ann", invited.json()["token"])
    assert joined.json() == {"user_id": "ann", "events": ["user.joined", "user.password.set"]}
    signed_in = server.sign_in("ann")
    parts = signed_in.headers["set-cookie"].lower()
    assert all(part in parts for part in ("httponly", "samesite=strict", "path=/", "max-age=43200"))
    assert "secure" not in parts
    ann = cookie_of(signed_in)
    assert server.me(ann) == {
        "tenant_id": "acme",
        "actor": {"type": "user", "id": "ann"},
        "credential": {"type": "session", "id": signed_in.json()["session_id"]},
        "roles": ["USER"],
        "scopes": [],
        "may": sorted(scopes_of("USER")),
        "organization_id": None,
    }
    device = {"device_id": "of-ann", "hostname": "of-ann.example"}
    server.post("/v1/commands/fleet/RegisterDevice", device, **ann, **OWN_PAGE).raise_for_status()
    [registered] = [event for event in server.events() if event.stream == "device-of-ann"]
    assert registered.actor == ("user", "ann")
    said = refused(server.post("/v1/keys", {"name": "x", "scopes": ["*"]}, **ann, **OWN_PAGE), 403)["detail"]
    assert said == "the role USER may not do this; it takes what a key does with the scope identity:write"


def test_user_makes_and_sees_workflows_of_their_own(server: Server) -> None:
    one, other, watching = (
        server.member("maker", "USER"),
        server.member("other-maker", "USER"),
        server.member("v", "VIEWER"),
    )
    made = server.post("/v1/commands/automation/CreateWorkflow", {"workflow_id": "w", "name": "W"}, **one, **OWN_PAGE)
    assert made.status_code == 200, made.text
    assert eventually(lambda: server.rows("/v1/workflows", one))[0]["created_by"] == "maker"
    for headers in (other, watching):
        assert server.rows("/v1/workflows", headers) == []
        assert server.client.get("/v1/workflows/w", headers=headers).status_code == 404
        answer = server.post("/v1/commands/automation/ArchiveWorkflow", {"workflow_id": "w"}, **headers, **OWN_PAGE)
        assert refused(answer, 403)
    [item] = server.post(
        "/v1/commands", [{"command": "automation.ArchiveWorkflow", "body": {"workflow_id": "w"}}], **other, **OWN_PAGE
    ).json()["replies"]
    assert item["kind"] == "not_allowed"
    archived = server.post("/v1/commands/automation/ArchiveWorkflow", {"workflow_id": "w"}, **one, **OWN_PAGE)
    assert archived.status_code == 200


def test_everybody_sees_their_own_sessions_ends_them_and_no_others(server: Server) -> None:
    here, stranger = server.member("two-desks", "VIEWER"), server.member("stranger", "USER")
    there = cookie_of(server.sign_in("two-desks").raise_for_status())
    eventually(lambda: len(server.rows("/v1/sessions", here) or ()) == 2)
    assert {row["user_id"] for row in server.rows("/v1/sessions", here)} == {"two-desks"}
    assert [row["user_id"] for row in server.rows("/v1/sessions", stranger)] == ["stranger"]
    refused(server.client.get("/v1/sessions", params={"user_id": "two-desks"}, headers=stranger), 403)
    ends = {"session_id": server.me(there)["credential"]["id"], "reason": "not my desk any more"}
    assert refused(server.client.get(f"/v1/sessions/{ends['session_id']}", headers=stranger), 404)
    refused(server.post("/v1/commands/identity/EndSession", ends, **stranger, **OWN_PAGE), 403)
    assert server.is_in(there)
    server.post("/v1/commands/identity/EndSession", ends, **here, **OWN_PAGE).raise_for_status()
    eventually(lambda: not server.is_in(there))
    assert server.is_in(here)
    # who manages the tenant sees and ends all
    assert {"two-desks", "stranger"} <= {row["user_id"] for row in server.rows("/v1/sessions", server.admin)}


def test_cookie_is_secure_where_the_page_came_over_https(server: Server) -> None:
    server.member("tls", "VIEWER")
    assert "secure" in server.sign_in("tls", **{"X-Forwarded-Proto": "https"}).headers["set-cookie"].lower()


def test_token_of_an_invitation_works_once_for_its_user_and_for_nobody_else(server: Server) -> None:
    token = server.invite("once", "USER").json()["token"]
    server.invite("other", "USER").raise_for_status()
    said = {
        refused(answer, 403)["detail"]
        for answer in (
            server.set_password("other", token),
            server.set_password("nobody", token),
            server.set_password("once", token + "x"),
        )
    }
    assert len(said) == 1
    assert server.set_password("once", token, "short").status_code == 422
    assert server.set_password("once", token).status_code == 200
    assert {refused(server.set_password("once", token), 403)["detail"]} == said


def test_user_who_was_invited_without_a_token_gets_one(server: Server) -> None:
    server.command("InviteUser", user_id="tokenless", email="t@acme.example", roles=["USER"])
    token = server.post("/v1/users/tokenless/password-token", **server.admin).json()["token"]
    assert server.set_password("tokenless", token).json()["events"] == ["user.joined", "user.password.set"]
    assert server.sign_in("tokenless").status_code == 200


def test_personal_fields_are_open_for_some_roles_and_masked_for_others(server: Server) -> None:
    for role, seen in (("ADMIN", "admin@acme.example"), ("AUDITOR", "[masked]")):
        user = server.member(role.lower(), role)
        found = eventually(partial(server.rows, "/v1/users/admin", user))
        assert found[0]["email"] == seen


def test_withdrawn_invitation_is_no_way_in(server: Server) -> None:
    token = server.invite("unwanted", "USER").json()["token"]
    server.command("WithdrawInvitation", user_id="unwanted")
    refused(server.set_password("unwanted", token), 403)


def test_secrets_and_their_hashes_are_in_no_event(server: Server) -> None:
    token = server.invite("quiet", "USER").json()["token"]
    server.set_password("quiet", token).raise_for_status()
    cookie = cookie_of(server.sign_in("quiet"))
    secret = cookie["Cookie"].rpartition(".")[2]
    events = str(server.events())
    assert "argon2" not in events
    assert not any(text in events for text in (token, PASSWORD, secret, "token_sha256", "secret_sha256"))


def test_wrong_user_wrong_password_and_wrong_tenant_get_one_answer(server: Server) -> None:
    server.member("known", "USER")
    server.invite("invited", "USER").raise_for_status()
    tries = (
        ("known", "wrong", "acme"),
        ("unknown", PASSWORD, "acme"),
        ("invited", PASSWORD, "acme"),
        ("known", PASSWORD, "demo"),
    )
    answers = [server.sign_in(user, password, tenant) for user, password, tenant in tries]
    assert len({(answer.status_code, answer.text) for answer in answers}) == 1
    assert answers[0].status_code == 401
    assert not any("set-cookie" in answer.headers for answer in answers)


def test_guessing_is_slowed_down_whether_there_is_such_a_user_or_not(server: Server) -> None:
    server.member("target", "USER")
    for user in ("target", "no-target"):
        assert [server.sign_in(user, f"wrong {n}").status_code for n in range(5)] == [401] * 5
        # on a busy machine the first waits are over before the next try
        late = eventually(partial(server.is_too_early, user))
        assert int(late.headers["retry-after"]) >= 1
        assert "wait" in refused(late, 429)["detail"]


def test_signing_out_ends_the_session_everywhere_within_a_second(server: Server) -> None:
    user = server.member("leaving", "USER")
    other = cookie_of(server.sign_in("leaving"))
    assert server.post("/v1/sign-out", **user, **OWN_PAGE).json() == {"signed_out": True}
    eventually(lambda: not server.is_in(user))
    assert server.is_in(other)
    ended = eventually(lambda: server.rows("/v1/sessions?user_id=leaving&status=ENDED", server.admin))
    assert [one["status_reason"] for one in ended] == ["signed out"]


def test_role_changes_and_a_disabled_user_is_out_within_a_second(server: Server) -> None:
    user = server.member("changing", "USER")
    assert server.me(user)["roles"] == ["USER"]
    server.command("ChangeUserRole", user_id="changing", roles=["AUDITOR"])
    eventually(lambda: server.me(user)["roles"] == ["AUDITOR"])
    server.command("DisableUser", user_id="changing")
    eventually(lambda: not server.is_in(user))
    assert server.sign_in("changing").status_code == 401


def test_new_password_ends_the_sessions_of_the_old_one(server: Server) -> None:
    user = server.member("forgetful", "USER")
    offered = server.post("/v1/users/forgetful/password-token", **server.admin)
    assert offered.status_code == 201
    server.set_password("forgetful", offered.json()["token"], "another password").raise_for_status()
    eventually(lambda: not server.is_in(user))
    assert server.sign_in("forgetful").status_code == 401
    assert server.sign_in("forgetful", "another password").status_code == 200


def test_who_may_not_do_what_a_user_may_does_not_become_that_user(server: Server) -> None:
    server.member("boss", "OWNER")
    made = server.post("/v1/keys", {"name": "narrow", "scopes": ["identity:write"]}, **server.admin)
    narrow = {"X-API-Key": made.json()["api_key"]}
    assert "gives nobody that role" in refused(server.invite("friend", "ADMIN", **narrow), 403)["detail"]
    refused(server.post("/v1/users/boss/password-token", **narrow), 403)
    body = {"user_id": "boss", "roles": ["OWNER"]}
    refused(server.post("/v1/commands/identity/ChangeUserRole", body, **narrow), 403)
    server.command("InviteUser", user_id="later-boss", email="b@acme.example", roles=["OWNER"])
    refused(server.post("/v1/users/later-boss/password-token", **narrow), 403)
    for name in ("SetPassword", "OfferPassword", "StartSession"):
        refused(server.post(f"/v1/commands/identity/{name}", {}, **server.admin), 404)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_page_of_another_site_gives_no_command_with_the_users_cookie(server: Server, headers: dict[str, str]) -> None:
    user = browser(server)
    device = {"device_id": "forged", "hostname": "forged.example"}
    answer = server.post("/v1/commands/fleet/RegisterDevice", device, **user, **headers)
    assert "must come from a page of this server" in refused(answer, 403)["detail"]
    assert server.client.get("/v1/me", headers={**user, **headers}).status_code == 200


def test_own_page_gives_commands_also_in_an_older_browser(server: Server) -> None:
    user, device = browser(server), {"device_id": "own", "hostname": "own.example"}
    origin = {"Origin": str(server.client.base_url).rstrip("/")}
    assert server.post("/v1/commands/fleet/RegisterDevice", device, **user, **origin).status_code == 200


def test_page_of_another_site_signs_nobody_in(server: Server) -> None:
    browser(server)
    refused(server.sign_in("browser", **{"Sec-Fetch-Site": "cross-site"}), 403)
    refused(server.sign_in("browser", Origin="https://evil.example"), 403)


_BROWSER: dict[str, str] = {}


def browser(server: Server) -> dict[str, str]:
    if not _BROWSER:
        _BROWSER.update(server.member("browser", "USER"))
    return _BROWSER


@pytest.mark.parametrize("cookie", ["", "x", "acme.x", "acme.x.y", "acme.x.y.z", "acme..", "a|b.c|d.e", "x" * 600])
def test_cookie_that_is_no_session_is_refused(server: Server, cookie: str) -> None:
    refused(server.client.get("/v1/me", headers={"Cookie": f"{COOKIE}={cookie}"}), 401)


def test_session_of_a_suspended_tenant_is_out(server: Server) -> None:
    operator = {"X-API-Key": operator_key(server.embedded.dir.path) or ""}
    user = server.member("suspended", "USER")
    server.post("/v1/tenants/acme/suspend", {}, **operator).raise_for_status()
    eventually(lambda: not server.is_in(user))
    assert server.sign_in("suspended").status_code == 401
    server.post("/v1/tenants/acme/reactivate", {}, **operator).raise_for_status()
    eventually(lambda: server.is_in(server.admin))
    assert server.is_in(user)


def test_two_credentials_at_once_are_refused(server: Server) -> None:
    refused(server.client.get("/v1/me", headers={**server.admin, "Authorization": "Bearer x"}), 401)
    refused(server.client.get("/v1/me", headers={"Authorization": "Basic eDp5"}), 401)
    assert server.me({**server.admin, **browser(server)})["credential"]["type"] == "api_key"


# --- tokens


def test_token_of_a_trusted_issuer_works_until_it_is_distrusted(server: Server) -> None:
    bearer = {"Authorization": f"Bearer {token(claims(roles=['AUDITOR']))}"}
    assert not server.is_in(bearer)
    server.command("TrustIssuer", issuer_id="keycloak", issuer=ISSUER, audiences=[AUDIENCE], keys=public(RSA, EC))
    found = eventually(lambda: server.is_in(bearer) and server.me(bearer))
    assert (found["actor"], found["roles"]) == ({"type": "user", "id": "keycloak/ann"}, ["AUDITOR"])
    assert found["credential"] == {"type": "token", "id": "keycloak"}
    assert server.client.get("/v1/ops/lag", headers=bearer).status_code == 200
    [issuer] = eventually(lambda: server.rows("/v1/issuers", bearer))
    assert (issuer["id"], issuer["issuer"], issuer["audiences"]) == ("keycloak", ISSUER, [AUDIENCE])
    assert (issuer["key_ids"], issuer["status"]) == (["rsa-1", "ec-1"], "TRUSTED")
    server.command("DistrustIssuer", issuer_id="keycloak")
    eventually(lambda: not server.is_in(bearer))


@pytest.fixture
def address() -> Iterator[str]:
    """Yield an address where the public key of RSA is."""
    app = FastAPI()
    app.add_api_route("/certs", lambda: {"keys": public(RSA)})
    with served(app) as client:
        yield f"{str(client.base_url).rstrip('/')}/certs"


def test_keys_of_an_issuer_are_fetched_from_their_address(server: Server, address: str) -> None:
    name = "https://fetched.example"
    server.command("TrustIssuer", issuer_id="fetched", issuer=name, audiences=["a"], jwks_uri=address)
    said = claims(iss=name, aud="a")
    eventually(lambda: server.is_in({"Authorization": f"Bearer {token(said)}"}))
    refused(server.client.get("/v1/me", headers={"Authorization": f"Bearer {token(said, key=EC)}"}), 401)


def test_issuer_whose_address_is_away_is_another_answer_than_a_bad_token(server: Server) -> None:
    name = "https://away.example"
    server.command("TrustIssuer", issuer_id="away", issuer=name, audiences=["a"], jwks_uri="http://127.0.0.1:1/certs")
    answer = server.client.get("/v1/me", headers={"Authorization": f"Bearer {token(claims(iss=name, aud='a'))}"})
    refused(answer, 503)
    assert answer.headers["retry-after"] == "1"
    counted = 'factline_outside_calls_total{outcome="failed",purpose="issuer_keys"} 2.0'
    assert counted in server.client.get("/metrics").text
    assert server.client.get("/v1/ops/health").json()["parts"]["issuer_keys"] == "ok"


def test_issuer_of_one_tenant_makes_no_tokens_for_another(server: Server) -> None:
    server.command("TrustIssuer", issuer_id="own", issuer="https://own.example", audiences=["a"], keys=public(RSA))
    said = claims(iss="https://own.example", aud="a")
    eventually(lambda: server.is_in({"Authorization": f"Bearer {token(said)}"}))
    for other in ("demo", "system"):
        refused(
            server.client.get("/v1/me", headers={"Authorization": f"Bearer {token({**said, 'tenant_id': other})}"}), 401
        )


def test_who_has_not_every_right_trusts_no_issuer(server: Server) -> None:
    made = server.post("/v1/keys", {"name": "narrow", "scopes": ["identity:write"]}, **server.admin)
    body = {"issuer_id": "evil", "issuer": "https://evil.example", "audiences": ["a"], "keys": public(RSA)}
    answer = server.post("/v1/commands/identity/TrustIssuer", body, **{"X-API-Key": made.json()["api_key"]})
    assert "every role" in refused(answer, 403)["detail"]


def test_token_needs_no_check_of_its_origin(server: Server) -> None:
    server.command("TrustIssuer", issuer_id="own", issuer="https://own.example", audiences=["a"], keys=public(RSA))
    bearer = {"Authorization": f"Bearer {token(claims(iss='https://own.example', aud='a'))}"}
    eventually(lambda: server.is_in(bearer))
    device = {"device_id": "by-token", "hostname": "by-token.example"}
    assert server.post("/v1/commands/fleet/RegisterDevice", device, **bearer).status_code == 200
