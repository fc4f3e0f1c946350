"""Clients change their secrets, services ask what a token is good for, and programs learn who their user is."""

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet

from infra.data_dir import operator_key
from infra.sqlite.credentials import SqliteCredentials
from read_api.edge.auth import secret_sha256
from streams.intake.http.token_requests import AskingClients
from tests.end_to_end.oauth_kit import (
    SCOPES,
    address,
    asked,
    back,
    bearer,
    code_for,
    held_for,
    introspected,
    redeemed,
    refreshed,
    refusal,
    registered,
    revoked,
    said_by,
)
from tests.end_to_end.test_who import Server, started
from tests.streams.intake.http.ways_in import refused
from tests.waiting import eventually


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with started(tmp_path_factory.mktemp("openid")) as server:
        yield server


@pytest.fixture(scope="module")
def ann(server: Server) -> dict[str, str]:
    return server.member("ann", "USER")


@pytest.fixture(scope="module")
def bolt(server: Server) -> dict[str, str]:
    """Return the first key of another tenant."""
    operator = {"X-API-Key": operator_key(server.embedded.dir.path) or ""}
    made = server.post("/v1/tenants", {"tenant_id": "bolt", "name": "Bolt"}, **operator).json()
    return {"X-API-Key": made["api_key"]}


def rotated(server: Server, client: Any, **headers: str) -> Any:
    answer = server.post(f"/v1/clients/{client['client_id']}/secrets", **(headers or server.admin))
    assert answer.status_code == 201, answer.text
    return answer.json()


# --- secrets


def test_both_secrets_are_good_until_the_old_one_is_ended(server: Server) -> None:
    client = registered(server)
    new = rotated(server, client)
    assert new["client_secret"] != client["client_secret"]
    eventually(lambda: asked(server, new).is_success)
    token = bearer(asked(server, client))
    detail = refused(server.post(f"/v1/clients/{client['client_id']}/secrets", **server.admin), 403)["detail"]
    assert detail.startswith(f"the secrets first and {new['secret_id']} of client")
    server.command("EndClientSecret", client_id=client["client_id"], secret_id="first")
    eventually(lambda: asked(server, client).status_code in (401, 429))
    bearer(asked(server, new))
    # a secret is how it shows who it is, and nothing of what it holds
    assert server.is_in(token)
    third = rotated(server, client)
    eventually(lambda: asked(server, third).is_success)
    server.command("EndClientSecret", client_id=client["client_id"], secret_id=new["secret_id"])
    eventually(lambda: asked(server, new).status_code in (401, 429))
    bearer(asked(server, third))
    row = f"/v1/clients/{client['client_id']}"
    good = [third["secret_id"]]
    eventually(lambda: [found["secrets"] for found in server.rows(row, server.admin)] == [good])
    events = str(server.events())
    assert third["secret_id"] in events
    assert not any(one["client_secret"] in events for one in (client, new, third))
    server.command("RevokeClient", client_id=client["client_id"])
    eventually(lambda: asked(server, third).status_code in (401, 429))
    refused(server.post(f"/v1/clients/{client['client_id']}/secrets", **server.admin), 404)


def test_secrets_are_known_after_a_start(server: Server) -> None:
    client = registered(server)
    new = rotated(server, client)
    server.command("EndClientSecret", client_id=client["client_id"], secret_id="first")
    eventually(lambda: asked(server, client).status_code == 401)
    kept = SqliteCredentials(server.embedded.dir.path / "events.sqlite")
    found = asyncio.run(AskingClients(kept).find(client["client_id"]))
    assert found is not None
    assert found.client.secrets_sha256 == (secret_sha256(new["client_secret"]),)


def test_nobody_rotates_the_secret_of_a_client_that_may_more_or_is_anothers(
    server: Server, bolt: dict[str, str]
) -> None:
    client = registered(server)
    made = server.post("/v1/keys", {"name": "narrow", "scopes": ["identity:write"]}, **server.admin)
    narrow = {"X-API-Key": made.json()["api_key"]}
    path = f"/v1/clients/{client['client_id']}/secrets"
    assert "cannot have that" in refused(server.post(path, **narrow), 403)["detail"]
    refused(server.post(path, **bolt), 404)
    for unknown in ("acme.unknown", "x", "bolt.unknown"):
        refused(server.post(f"/v1/clients/{unknown}/secrets", **server.admin), 404)
    for none in ("a%7Cb.c%7Cd", "x" * 300):
        refused(server.post(f"/v1/clients/{none}/secrets", **server.admin), 422)
    public = registered(server, kind="public")
    assert (
        "is public" in refused(server.post(f"/v1/clients/{public['client_id']}/secrets", **server.admin), 403)["detail"]
    )
    refused(server.post("/v1/commands/identity/RotateClientSecret", {}, **server.admin), 404)


# --- introspection


def test_service_is_told_what_a_token_is_good_for_at_this_moment(server: Server, ann: dict[str, str]) -> None:
    service = registered(server, name="service", scopes=["devices:read"])
    client = registered(server)
    token = bearer(asked(server, client))
    assert introspected(server, service, token) == {"active": True, "token_type": "Bearer", **said_by(token)}
    wide = registered(server, scopes=["devices:read", "identity:write"])
    tokens = held_for(server, server.member("moving", "OWNER"), wide)
    found = introspected(server, service, tokens.access)
    assert (found["active"], found["sub"], found["scope"]) == (True, "moving", "devices:read identity:write")
    server.command("ChangeUserRole", user_id="moving", roles=["VIEWER"])
    eventually(lambda: introspected(server, service, tokens.access)["scope"] == "devices:read")
    server.command("DisableUser", user_id="moving")
    eventually(lambda: introspected(server, service, tokens.access) == {"active": False})
    server.command("RevokeClient", client_id=client["client_id"])
    eventually(lambda: introspected(server, service, token) == {"active": False})


def test_service_is_told_nothing_of_what_is_no_token_of_its_tenant(
    server: Server, ann: dict[str, str], bolt: dict[str, str]
) -> None:
    service = registered(server)
    other = registered(server, headers=bolt)
    token = bearer(asked(server, other))
    assert introspected(server, other, token)["active"]
    tokens = held_for(server, ann, registered(server))
    head, payload, signature = tokens.access["Authorization"].removeprefix("Bearer ").split(".")
    for text in ("x", "a.b.c", f"{head}.{payload}.{signature[:-4]}AAAA", tokens.refresh):
        assert introspected(server, service, text) == {"active": False}
    assert introspected(server, service, token) == {"active": False}


def test_only_a_client_with_a_secret_may_ask(server: Server) -> None:
    client, public = registered(server), registered(server, kind="public")
    text = asked(server, client).json()["access_token"]
    ask = partial(server.client.post, "/oauth/introspect")
    assert refusal(ask(data={"token": text, "client_id": public["client_id"]})) == "unauthorized_client"
    assert refusal(ask(data={"token": text, "client_id": client["client_id"], "client_secret": "no"}), 401)
    assert refusal(ask(data={"token": text})) == "invalid_request"
    assert refusal(ask(auth=(client["client_id"], client["client_secret"]), data={"a": "b"})) == "invalid_request"


# --- who the user is


def id_claims(server: Server, text: str) -> Any:
    """Return what an ID token says, checked by another library with what the discovery document leads to."""
    found = server.client.get("/oauth/acme/.well-known/openid-configuration").json()
    assert found == server.client.get("/.well-known/oauth-authorization-server/oauth/acme").json()
    keys = KeySet.import_key_set(server.client.get(found["jwks_uri"]).json())
    return jwt.decode(text, keys, algorithms=found["id_token_signing_alg_values_supported"])


def test_client_that_asks_with_openid_learns_who_its_user_is(server: Server, ann: dict[str, str]) -> None:
    client = registered(server)
    page = server.client.get(address(client, scope="openid devices:read"), headers=ann).text
    assert "learn your user name here" in page
    answer = redeemed(server, client, code_for(server, ann, client, scope="openid devices:read", nonce="n-1"))
    given = answer.json()
    assert given["scope"] == "openid devices:read"
    token = id_claims(server, given["id_token"])
    issuer = f"{str(server.client.base_url).rstrip('/')}/oauth/acme"
    claims = CodeIDToken(
        token.claims, token.header, {"iss": {"value": issuer}}, {"nonce": "n-1", "client_id": client["client_id"]}
    )
    claims.validate()
    assert (claims["sub"], claims["aud"], claims["nonce"]) == ("ann", client["client_id"], "n-1")
    assert claims["exp"] - claims["iat"] == 600
    # it opens nothing here
    refused(server.client.get("/v1/me", headers={"Authorization": f"Bearer {given['id_token']}"}), 401)
    assert introspected(server, client, given["id_token"]) == {"active": False}
    assert revoked(server, client, given["id_token"]).status_code == 200
    access = bearer(answer)
    assert server.me(access)["scopes"] == server.me(access)["may"] == ["devices:read"]
    assert introspected(server, client, access)["scope"] == "openid devices:read"
    next_ = refreshed(server, client, given["refresh_token"])
    assert next_.json()["scope"] == "openid devices:read"
    assert "id_token" not in next_.json()
    narrower = refreshed(server, client, next_.json()["refresh_token"], scope="openid")
    assert narrower.json()["scope"] == "openid"
    assert server.me(bearer(narrower))["may"] == []


def test_openid_alone_opens_nothing_and_without_it_nobody_is_told(server: Server, ann: dict[str, str]) -> None:
    client = registered(server)
    only = redeemed(server, client, code_for(server, ann, client, scope="openid"))
    assert only.json()["scope"] == "openid"
    assert "nonce" not in id_claims(server, only.json()["id_token"]).claims
    refused(server.client.get("/v1/devices", headers=bearer(only)), 403)
    without = redeemed(server, client, code_for(server, ann, client))
    assert "id_token" not in without.json()
    assert without.json()["scope"] == " ".join(SCOPES)
    assert refusal(refreshed(server, client, without.json()["refresh_token"], scope="openid")) == "invalid_scope"
    assert refusal(asked(server, client, scope="openid")) == "invalid_scope"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"scope": "openid", "prompt": "none"}, "interaction_required"),
        ({"scope": "openid", "nonce": "n" * 256}, "invalid_request"),
        ({"scope": "openid phone"}, "invalid_scope"),
    ],
)
def test_what_is_not_done_is_told_to_the_client(
    server: Server, ann: dict[str, str], changed: dict[str, str], error: str
) -> None:
    client = registered(server)
    answer = server.client.get(address(client, **changed), headers=ann)
    assert back(answer)["error"] == error


# --- consents


def test_consents_that_a_new_password_or_a_disabled_user_ends_say_so(server: Server) -> None:
    client = registered(server)

    def told(user: str) -> list[tuple[str, str | None]]:
        rows = server.rows(f"/v1/consents?user_id={user}", server.admin)
        return sorted((row["status"], row.get("status_reason")) for row in rows)

    member = server.member("twice", "USER")
    held_for(server, member, client)
    code_for(server, member, client)
    eventually(lambda: told("twice") == [("GIVEN", None), ("USED", None)])
    offered = server.post("/v1/users/twice/password-token", **server.admin).json()["token"]
    server.set_password("twice", offered, "another password").raise_for_status()
    eventually(lambda: told("twice") == [("ENDED", "the user has a new password")] * 2)
    gone = server.member("gone", "USER")
    held_for(server, gone, client)
    eventually(lambda: told("gone") == [("USED", None)])
    server.command("DisableUser", user_id="gone")
    eventually(lambda: told("gone") == [("ENDED", "the user was disabled")])


def userinfo(server: Server, token: str, method: str = "GET") -> Any:
    return server.client.request(method, "/oauth/userinfo", headers={"Authorization": f"Bearer {token}"})


def test_client_is_told_of_its_user_what_its_scopes_say(server: Server, ann: dict[str, str]) -> None:
    client = registered(server)
    eventually(lambda: server.rows("/v1/users/ann", server.admin))
    for scope, claims in (
        ("openid", {"sub": "ann"}),
        ("openid profile", {"sub": "ann", "preferred_username": "ann"}),
        ("openid email devices:read", {"sub": "ann", "email": "ann@acme.example"}),
    ):
        given = redeemed(server, client, code_for(server, ann, client, scope=scope)).json()
        assert given["scope"] == scope
        for method in ("GET", "POST"):
            answer = userinfo(server, given["access_token"], method)
            assert (answer.status_code, answer.json()) == (200, claims), scope
    page = server.client.get(address(client, scope="openid email"), headers=ann).text
    assert "learn the e-mail address that you were invited with" in page
    # what it knows of the user opens nothing
    only = redeemed(server, client, code_for(server, ann, client, scope="openid profile email")).json()["access_token"]
    assert server.me({"Authorization": f"Bearer {only}"})["may"] == []
    refused(server.client.get("/v1/users", headers={"Authorization": f"Bearer {only}"}), 403)
    found = server.client.get("/oauth/acme/.well-known/openid-configuration").json()
    assert found["userinfo_endpoint"] == f"{str(server.client.base_url).rstrip('/')}/oauth/userinfo"
    assert found["scopes_supported"] == ["openid", "profile", "email"]


def test_address_of_a_user_who_sees_such_fields_masked_is_left_out(server: Server) -> None:
    client, viewer = registered(server), server.member("viewer", "VIEWER")
    eventually(lambda: server.rows("/v1/users/viewer", server.admin))
    given = redeemed(server, client, code_for(server, viewer, client, scope="openid email")).json()
    assert userinfo(server, given["access_token"]).json() == {"sub": "viewer"}


def test_nobody_else_is_told_who_a_user_is(server: Server, ann: dict[str, str]) -> None:
    client = registered(server)
    without = redeemed(server, client, code_for(server, ann, client, scope="devices:read")).json()["access_token"]
    answer = userinfo(server, without)
    assert "insufficient_scope" in answer.headers["www-authenticate"]
    refused(answer, 403)
    refused(userinfo(server, bearer(asked(server, client))["Authorization"].removeprefix("Bearer ")), 403)
    for headers in (ann, server.admin):
        refused(server.client.get("/oauth/userinfo", headers=headers), 403)
    refused(server.client.get("/oauth/userinfo"), 401)
    given = redeemed(server, client, code_for(server, ann, client, scope="openid email")).json()
    refused(userinfo(server, given["id_token"]), 401)
    assert refusal(refreshed(server, client, given["refresh_token"], scope="openid profile")) == "invalid_scope"
    narrower = refreshed(server, client, given["refresh_token"], scope="openid").json()["access_token"]
    assert userinfo(server, narrower).json() == {"sub": "ann"}
