"""Programs get tokens of a tenant on the whole embedded server, and use them until somebody ends that."""

import asyncio
import base64
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import orjson
import pytest
from authlib.integrations.httpx_client import OAuth2Client
from joserfc.jwk import ECKey

from infra.data_dir import operator_key
from infra.provider_secrets import ProviderSecrets
from projections.own_issuer import ACCESS_LASTS
from read_api.edge.auth import Caller, CredentialKind, Unauthenticated
from read_api.edge.issuer_keys import IssuerKeys, nothing_fetched
from read_api.edge.jws import read_token
from read_api.edge.jwt import SKEW_S, Tokens
from schemas.envelope import TenantId
from streams.intake.http.commands import Gate
from streams.intake.http.signing import Signing
from tests.end_to_end.oauth_kit import SCOPES, asked, bearer, refusal, registered, said_by
from tests.end_to_end.test_who import Server, started
from tests.read_api.edge.issuing import token as signed
from tests.streams.intake.http.ways_in import refused
from tests.waiting import eventually


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with started(tmp_path_factory.mktemp("oauth")) as server:
        yield server


# --- a client that acts for itself


def test_client_gets_a_token_for_ten_minutes_and_acts_with_it(server: Server) -> None:
    client = registered(server)
    answer = asked(server, client)
    token = bearer(answer)
    given = answer.json()
    assert (given["token_type"], given["expires_in"], given["scope"]) == ("Bearer", 600, "devices:read fleet:write")
    said = said_by(token)
    base = str(server.client.base_url).rstrip("/")
    assert (said["iss"], said["sub"], said["aud"]) == (f"{base}/oauth/acme", client["client_id"], "factline")
    assert (said["tenant_id"], said["scope"]) == ("acme", "devices:read fleet:write")
    assert said["exp"] - said["iat"] == 600
    assert said["jti"] != said_by(bearer(asked(server, client)))["jti"]
    assert server.me(token) == {
        "tenant_id": "acme",
        "actor": {"type": "api_key", "id": client["client_id"]},
        "credential": {"type": "client", "id": client["client_id"]},
        "roles": [],
        "scopes": SCOPES,
        "may": SCOPES,
        "organization_id": None,
    }
    device = {"device_id": "of-client", "hostname": "of-client.example"}
    server.post("/v1/commands/fleet/RegisterDevice", device, **token).raise_for_status()
    [event] = [event for event in server.events() if event.stream == "device-of-client"]
    assert event.actor == ("api_key", client["client_id"])


def test_client_may_no_more_than_its_scopes_say(server: Server) -> None:
    client = registered(server, scopes=["devices:*"])
    token = bearer(asked(server, client))
    assert server.client.get("/v1/devices", headers=token).status_code == 200
    detail = refused(server.client.get("/v1/alerts", headers=token), 403)["detail"]
    assert detail == f"client {client['client_id']} lacks the scope alerts:read"
    refused(server.post("/v1/keys", {"name": "x", "scopes": ["devices:read"]}, **token), 403)
    narrow = bearer(asked(server, client, scope="devices:read"))
    assert said_by(narrow)["scope"] == "devices:read"
    invented = ("devices:foo", "devices:<b>", "devices", " ".join(f"devices:{n}" for n in range(60)))
    for scope in ("*", "devices:read alerts:read", "devices:write identity:write", "nonsense", *invented):
        assert refusal(asked(server, client, scope=scope)) == "invalid_scope"


def test_client_is_sent_its_limits_as_a_key_is(server: Server) -> None:
    token = bearer(asked(server, registered(server)))
    answer = server.client.get("/v1/devices", headers=token)
    assert answer.headers["x-ratelimit-limit-minute"] == "60"


def test_secret_may_come_in_either_way_and_not_in_both(server: Server) -> None:
    client = registered(server)
    who = (client["client_id"], client["client_secret"])
    form = {"grant_type": "client_credentials"}
    bearer(server.client.post("/oauth/token", data=form, auth=who))
    twice = {**form, "client_id": who[0], "client_secret": who[1]}
    assert refusal(server.client.post("/oauth/token", data=twice, auth=who)) == "invalid_request"
    other = {**form, "client_id": "acme.other"}
    assert refusal(server.client.post("/oauth/token", data=other, auth=who)) == "invalid_request"


def test_independent_library_gets_a_token_where_the_metadata_says(server: Server) -> None:
    client = registered(server)
    found = server.client.get("/.well-known/oauth-authorization-server/oauth/acme").json()
    who = (client["client_id"], client["client_secret"])
    for method in ("client_secret_basic", "client_secret_post"):
        assert method in found["token_endpoint_auth_methods_supported"]
        with OAuth2Client(*who, token_endpoint_auth_method=method, trust_env=False) as asking:
            asking.fetch_token(found["token_endpoint"], grant_type="client_credentials")
            assert asking.get(f"{server.client.base_url}/v1/devices").status_code == 200


def test_nobody_learns_which_clients_there_are(server: Server) -> None:
    client = registered(server)
    public = registered(server, kind="public")
    tries = [
        asked(server, client, "wrong"),
        asked(server, client, client["client_secret"] + "x"),
        asked(server, {"client_id": "acme.unknown"}, "x"),
        asked(server, {"client_id": "nobody.unknown"}, "x"),
        asked(server, {"client_id": "none"}, "x"),
        asked(server, {"client_id": "a|b.c|d"}, "x"),
        asked(server, {"client_id": "x" * 500}, "x"),
        asked(server, public, "x"),
        server.client.post("/oauth/token", data={"grant_type": "client_credentials", "client_id": client["client_id"]}),
    ]
    assert {refusal(answer, 401) for answer in tries} == {"invalid_client"}
    assert len({answer.text for answer in tries}) == 1
    assert all(answer.headers["www-authenticate"].startswith("Basic") for answer in tries)


def test_wrong_secrets_are_slowed_down_and_the_right_one_never(server: Server) -> None:
    client = registered(server)
    assert [asked(server, client, f"wrong {n}").status_code for n in range(5)] == [401] * 5
    late = eventually(lambda: (answer := asked(server, client, "wrong")).status_code == 429 and answer)
    assert refusal(late, 429) == "slow_down"
    assert int(late.headers["retry-after"]) >= 1
    bearer(asked(server, client))


@pytest.mark.parametrize(
    ("content", "content_type", "error"),
    [
        (b"", "application/x-www-form-urlencoded", "invalid_request"),
        (b"{}", "application/json", "invalid_request"),
        (b"client_id=%ff", "application/x-www-form-urlencoded", "invalid_request"),
        (b"client_id=\xff", "application/x-www-form-urlencoded", "invalid_request"),
        (b"client_id=a&client_id=b", "application/x-www-form-urlencoded", "invalid_request"),
        (b"a=1&" * 100, "application/x-www-form-urlencoded", "invalid_request"),
        (b"a=" + b"1" * 20_000, "application/x-www-form-urlencoded", "invalid_request"),
    ],
)
def test_what_is_no_form_is_refused(server: Server, content: bytes, content_type: str, error: str) -> None:
    answer = server.client.post("/oauth/token", content=content, headers={"Content-Type": content_type})
    assert refusal(answer) == error


@pytest.mark.parametrize("header", ["Bearer x", "Basic", "Basic !", "Basic eA==", "Basic /w=="])
def test_header_that_is_no_basic_one_is_refused(server: Server, header: str) -> None:
    form = {"grant_type": "client_credentials"}
    answer = server.client.post("/oauth/token", data=form, headers={"Authorization": header})
    assert refusal(answer) == "invalid_request"


def test_what_clients_may_not_ask_is_refused(server: Server) -> None:
    client = registered(server)
    assert refusal(asked(server, client, grant_type="password")) == "unsupported_grant_type"
    assert refusal(asked(server, client, grant_type="")) == "invalid_request"
    public = registered(server, kind="public")
    form = {"grant_type": "client_credentials", "client_id": public["client_id"]}
    assert refusal(server.client.post("/oauth/token", data=form)) == "unauthorized_client"


def test_revoked_client_is_out_within_a_second(server: Server) -> None:
    client = registered(server)
    token = bearer(asked(server, client))
    assert server.is_in(token)
    server.command("RevokeClient", client_id=client["client_id"], reason="its secret leaked")
    eventually(lambda: not server.is_in(token))
    assert refusal(asked(server, client), 401) == "invalid_client"
    [row] = eventually(partial(server.rows, "/v1/clients?status=REVOKED", server.admin))
    assert (row["id"], row["status_reason"]) == (client["client_id"], "its secret leaked")


def test_client_of_a_suspended_tenant_is_out(server: Server) -> None:
    operator = {"X-API-Key": operator_key(server.embedded.dir.path) or ""}
    client = registered(server)
    token = bearer(asked(server, client))
    server.post("/v1/tenants/acme/suspend", {}, **operator).raise_for_status()
    eventually(lambda: not server.is_in(token))
    assert refusal(asked(server, client), 401) == "invalid_client"
    server.post("/v1/tenants/acme/reactivate", {}, **operator).raise_for_status()
    eventually(lambda: server.is_in(token))


def test_token_of_the_rotated_key_is_good_beside_that_of_the_new_one(server: Server) -> None:
    client = registered(server)
    before = bearer(asked(server, client))
    server.post("/v1/signing_keys", **server.admin).raise_for_status()
    after = bearer(asked(server, client))
    kids = [read_token(one["Authorization"].removeprefix("Bearer ")).kid for one in (before, after)]
    published = server.client.get("/oauth/acme/jwks.json").json()["keys"]
    assert kids == [key["kid"] for key in published][-2:]
    assert server.is_in(before)
    assert server.is_in(after)


def test_token_is_good_for_nobody_but_whom_the_server_gave_it(server: Server) -> None:
    client = registered(server)
    token = bearer(asked(server, client))
    text, said = token["Authorization"].removeprefix("Bearer "), said_by(token)
    kid = str(read_token(text).kid)
    other = ECKey.generate_key("P-256", {"kid": kid})
    head, _, signature = text.split(".")
    payload = base64.urlsafe_b64encode(orjson.dumps({**said, "scope": "*"})).rstrip(b"=").decode()
    none = base64.urlsafe_b64encode(orjson.dumps({"alg": "none", "kid": kid})).rstrip(b"=").decode()
    for forged in (
        signed(said, key=other),
        f"{head}.{payload}.{signature}",
        f"{none}.{text.split('.')[1]}.",
        f"{none}.{text.split('.')[1]}.{signature}",
    ):
        refused(server.client.get("/v1/me", headers={"Authorization": f"Bearer {forged}"}), 401)


def own_token(server: Server, tenant: str = "acme", **changed: Any) -> str:
    """Return a token that the tenant's own key signed, of a client that is there."""
    signing = Signing(cast("Gate", None), server.embedded.credentials, ProviderSecrets(server.embedded.keys.master))
    said = {**said_by(bearer(asked(server, registered(server)))), **changed}
    return asyncio.run(signing.sign(TenantId(tenant), said))


def caller_of(server: Server, text: str, after_s: float = 0.0) -> Caller:
    tokens = Tokens(server.embedded.credentials, IssuerKeys(nothing_fetched), lambda: time.time() + after_s)
    return tokens.caller(text)


def test_token_ends_after_its_ten_minutes(server: Server) -> None:
    text = own_token(server)
    lasts_s = ACCESS_LASTS.total_seconds()
    assert caller_of(server, text, lasts_s + SKEW_S - 5).kind is CredentialKind.CLIENT
    with pytest.raises(Unauthenticated, match="expired"):
        caller_of(server, text, lasts_s + SKEW_S + 5)


def test_key_of_another_tenant_signs_nothing_for_this_one(server: Server) -> None:
    operator = {"X-API-Key": operator_key(server.embedded.dir.path) or ""}
    made = server.post("/v1/tenants", {"tenant_id": "bolt", "name": "Bolt"}, **operator).json()
    bolt = registered(server, headers={"X-API-Key": made["api_key"]})
    assert server.me(bearer(asked(server, bolt)))["tenant_id"] == "bolt"
    # of bolt's key, for a client of acme
    with pytest.raises(Unauthenticated, match="not valid"):
        caller_of(server, own_token(server, "bolt"))
    # a client of bolt's gets nothing of acme, whatever tenant its token names
    with pytest.raises(Unauthenticated):
        caller_of(server, own_token(server, client_id=bolt["client_id"]))


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "another"},
        {"aud": None},
        {"iss": "https://factline.example/oauth/bolt"},
        {"iss": "https://factline.example"},
        {"iss": None},
        {"tenant_id": "bolt"},
        {"tenant_id": None},
        {"client_id": "acme.unknown"},
        {"exp": None},
    ],
)
def test_token_that_says_what_this_server_never_says_is_refused(server: Server, changed: dict[str, Any]) -> None:
    assert caller_of(server, own_token(server))
    with pytest.raises(Unauthenticated):
        caller_of(server, own_token(server, **changed))


def test_who_may_less_registers_no_client_that_may_more(server: Server) -> None:
    made = server.post("/v1/keys", {"name": "narrow", "scopes": ["identity:write", "devices:read"]}, **server.admin)
    narrow = {"X-API-Key": made.json()["api_key"]}
    wanted = {"name": "x", "scopes": ["*"], "redirect_uris": []}
    assert "cannot have that" in refused(server.post("/v1/clients", wanted, **narrow), 403)["detail"]
    registered(server, scopes=["devices:read"], headers=narrow)
    slow = {"name": "slow", "scopes": ["identity:write", "devices:read"], "limits": {"minute": 10}}
    slow_key = {"X-API-Key": server.post("/v1/keys", slow, **server.admin).json()["api_key"]}
    refused(server.post("/v1/clients", {**wanted, "scopes": ["devices:read"]}, **slow_key), 403)
    refused(server.post("/v1/commands/identity/RegisterClient", {}, **server.admin), 404)


@pytest.mark.parametrize(
    "uri",
    [
        "http://reports.example/",
        "https://reports.example/#fragment",
        "https://user@reports.example/",
        "https://*.example/",
        "https://reports.example/ x",
        "https://reports.example/;script-src",
        "javascript:alert(1)",
        "//reports.example",
        "https://",
        "https://reports.example\\@evil.example",
    ],
)
def test_address_that_is_none_for_a_client_is_refused(server: Server, uri: str) -> None:
    wanted = {"name": "x", "scopes": ["devices:read"], "redirect_uris": [uri]}
    refused(server.post("/v1/clients", wanted, **server.admin), 422)


def test_public_client_without_an_address_could_do_nothing(server: Server) -> None:
    wanted = {"name": "x", "kind": "public", "scopes": ["devices:read"]}
    refused(server.post("/v1/clients", wanted, **server.admin), 422)


def test_secret_of_a_client_is_in_no_event_and_no_list(server: Server) -> None:
    client = registered(server)
    assert registered(server, kind="public")["client_secret"] is None
    [row] = eventually(partial(server.rows, f"/v1/clients/{client['client_id']}", server.admin))
    assert row["name"] == "reports"
    assert row["scopes"] == SCOPES
    events = str(server.events())
    assert client["client_id"] in events
    assert not any(text in events + str(row) for text in (client["client_secret"], "secret_sha256", "sealed"))
