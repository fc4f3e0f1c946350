"""A user lets a program act for them: from the page that asks to the end of the last token that came of it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from infra.data_dir import operator_key
from read_api.edge.roles import scopes_of
from streams.intake.http.consents import challenge_of
from tests.end_to_end.oauth_kit import (
    REDIRECT,
    VERIFIER,
    Held,
    address,
    back,
    bearer,
    code_for,
    decided,
    held,
    held_for,
    redeemed,
    refreshed,
    refusal,
    registered,
    revoked,
    said_by,
)
from tests.end_to_end.test_who import OWN_PAGE, Server, started
from tests.streams.intake.http.ways_in import refused
from tests.waiting import eventually

ALL = ["*"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with started(tmp_path_factory.mktemp("consents")) as server:
        yield server


@pytest.fixture(scope="module")
def ann(server: Server) -> dict[str, str]:
    """Return what the browser of a user sends."""
    return server.member("ann", "USER")


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    """Return a public client, which may all that its users may."""
    return registered(server, kind="public", scopes=ALL)


# --- the whole way


def test_independent_library_walks_from_the_page_to_the_refresh(server: Server, ann: dict[str, str]) -> None:
    client = registered(server, scopes=["devices:*", "fleet:write"])
    found = server.client.get("/.well-known/oauth-authorization-server/oauth/acme").json()
    who = (client["client_id"], client["client_secret"])
    with OAuth2Client(
        *who, redirect_uri=REDIRECT, code_challenge_method="S256", scope="devices:read fleet:write", trust_env=False
    ) as asking:
        url, state = asking.create_authorization_url(found["authorization_endpoint"], code_verifier=VERIFIER, nonce="n")
        page = server.client.get(url, headers=ann)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert "reports" in page.text
        location = decided(server, ann, url).headers["location"]
        asking.fetch_token(
            found["token_endpoint"], authorization_response=location, code_verifier=VERIFIER, state=state
        )
        base = str(server.client.base_url)
        me = asking.get(f"{base}/v1/me").json()
        assert (me["actor"], me["roles"]) == ({"type": "user", "id": "ann"}, ["USER"])
        assert me["credential"] == {"type": "client_of_user", "id": client["client_id"]}
        assert me["scopes"] == me["may"] == ["devices:read", "fleet:write"]
        first = asking.token["access_token"]
        asking.refresh_token(found["token_endpoint"])
        assert asking.token["access_token"] != first
        device = {"device_id": "of-reports", "hostname": "of-reports.example"}
        asking.post(f"{base}/v1/commands/fleet/RegisterDevice", json=device).raise_for_status()
        asking.revoke_token(found["revocation_endpoint"], asking.token["refresh_token"])
        last = {"Authorization": f"Bearer {asking.token['access_token']}"}
    assert parse_qs(urlsplit(location).query)["iss"] == [found["issuer"]]
    eventually(lambda: not server.is_in(last))
    [event] = [event for event in server.events() if event.stream == "device-of-reports"]
    assert event.actor == ("user", "ann")
    assert create_s256_code_challenge(VERIFIER) == challenge_of(VERIFIER)


def test_token_for_a_user_says_whose_it_is(server: Server, ann: dict[str, str], client: Any) -> None:
    answer = redeemed(server, client, code_for(server, ann, client))
    said = said_by(bearer(answer))
    assert (said["sub"], said["client_id"], said["tenant_id"]) == ("ann", client["client_id"], "acme")
    assert said["exp"] - said["iat"] == answer.json()["expires_in"] == 600


# --- the page that asks


def test_page_says_who_asks_for_what_and_may_not_be_framed(server: Server, ann: dict[str, str]) -> None:
    client = registered(server, name="<script>alert(1)</script>", scopes=["devices:read"])
    page = server.client.get(address(client), headers=ann)
    assert "<script" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "devices:read" in page.text
    assert "https://reports.example" in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert policy.endswith("form-action 'self' https://reports.example")
    assert (page.headers["x-frame-options"], page.headers["cache-control"]) == ("DENY", "no-store")
    # to look at it is to allow nothing
    assert not [event for event in server.events() if event.data.get("client_id") == client["client_id"]]


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": None},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": REDIRECT + "/"},
        {"redirect_uri": REDIRECT + "?x=1"},
        {"redirect_uri": REDIRECT.upper()},
        {"redirect_uri": REDIRECT.replace("https", "http")},
        {"redirect_uri": "https://reports.example@evil.example/signed-in"},
        {"client_id": None},
        {"client_id": "acme.unknown"},
        {"client_id": "bolt.unknown"},
    ],
)
def test_nobody_is_sent_to_an_address_that_is_not_the_clients(
    server: Server, ann: dict[str, str], client: Any, changed: dict[str, str | None]
) -> None:
    url = address(client, **changed)
    for answer in (server.client.get(url, headers=ann), decided(server, ann, url)):
        assert "location" not in answer.headers
        refused(answer, 400)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
    ],
)
def test_client_that_asks_for_what_there_is_not_is_told_at_its_address(
    server: Server, ann: dict[str, str], client: Any, changed: dict[str, str | None], error: str
) -> None:
    for answer in (server.client.get(address(client, **changed)), decided(server, ann, address(client, **changed))):
        said = back(answer)
        assert (said["error"], said["state"]) == (error, "a state")
        assert "code" not in said


def test_client_asks_a_user_for_no_more_than_its_scopes(server: Server, ann: dict[str, str]) -> None:
    client = registered(server, scopes=["devices:read"])
    assert back(server.client.get(address(client, scope="*")))["error"] == "invalid_scope"
    assert back(decided(server, ann, address(client, scope="fleet:write")))["error"] == "invalid_scope"


def test_parameter_twice_is_refused_and_an_unknown_one_passed_over(server: Server, client: Any) -> None:
    refused(server.client.get(f"{address(client)}&state=other"), 400)
    assert server.client.get(f"{address(client)}&nonce=x&prompt=login").status_code == 200


def test_user_who_says_no_gives_nothing(server: Server, ann: dict[str, str], client: Any) -> None:
    said = back(decided(server, ann, address(client), "deny"))
    assert (said["error"], said["state"]) == ("access_denied", "a state")
    refused(decided(server, ann, address(client), "perhaps"), 400)


def test_who_is_not_signed_in_is_led_to_the_sign_in(server: Server, client: Any) -> None:
    for user in ({}, {"Cookie": "factline_session=acme.x.y"}):
        page = decided(server, user, address(client))
        assert page.status_code == 200
        assert "Sign in first" in page.text
        assert 'href="/"' in page.text
        # whoever presses the button there has read who asks for what
        assert "<strong>" in page.text
        assert "<code>" in page.text
        assert 'value="deny"' in page.text
        assert "location" not in page.headers


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
def test_page_of_another_site_allows_nothing_with_the_users_cookie(
    server: Server, ann: dict[str, str], client: Any, headers: dict[str, str]
) -> None:
    answer = decided(server, ann, address(client), headers=headers)
    assert "must come from a page of this server" in refused(answer, 403)["detail"]


def test_key_or_token_allows_nothing(server: Server, ann: dict[str, str], client: Any) -> None:
    access = held_for(server, ann, client).access
    for credential in (server.admin, access):
        assert "only a user who signed in" in refused(decided(server, credential, address(client)), 403)["detail"]


def test_user_of_another_tenant_allows_nothing(server: Server, ann: dict[str, str]) -> None:
    operator = {"X-API-Key": operator_key(server.embedded.dir.path) or ""}
    made = server.post("/v1/tenants", {"tenant_id": "bolt", "name": "Bolt"}, **operator).json()
    other = registered(server, headers={"X-API-Key": made["api_key"]})
    assert "of another tenant" in refused(decided(server, ann, address(other)), 403)["detail"]


# --- the code


def test_code_is_good_once_and_shown_twice_ends_what_came_of_it(
    server: Server, ann: dict[str, str], client: Any
) -> None:
    code = code_for(server, ann, client)
    tokens = held(redeemed(server, client, code))
    assert server.is_in(tokens.access)
    assert refusal(redeemed(server, client, code)) == "invalid_grant"
    eventually(lambda: not server.is_in(tokens.access))
    assert refusal(refreshed(server, client, tokens.refresh)) == "invalid_grant"


def test_code_shown_by_many_at_once_gives_one_token_at_most(server: Server, ann: dict[str, str], client: Any) -> None:
    code = code_for(server, ann, client)
    with ThreadPoolExecutor(5) as threads:
        answers = list(threads.map(lambda _: redeemed(server, client, code), range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400]
    [given] = [answer for answer in answers if answer.status_code == 200]
    eventually(lambda: not server.is_in(bearer(given)))


@pytest.mark.parametrize(
    "changed",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": "v" * 42},
        {"code_verifier": challenge_of(VERIFIER)},
        {"redirect_uri": "https://reports.example/other"},
        {"redirect_uri": REDIRECT + "/"},
    ],
)
def test_code_without_what_it_is_bound_to_is_none(
    server: Server, ann: dict[str, str], client: Any, changed: dict[str, str]
) -> None:
    code = code_for(server, ann, client)
    assert refusal(redeemed(server, client, code, **changed)) == "invalid_grant"
    # whoever tried has not taken it from whom it is for
    bearer(redeemed(server, client, code))


def test_code_without_a_verifier_or_an_address_is_no_request(server: Server, ann: dict[str, str], client: Any) -> None:
    code = code_for(server, ann, client)
    for changed in ({"code_verifier": ""}, {"redirect_uri": ""}):
        assert refusal(redeemed(server, client, code, **changed)) == "invalid_request"
    assert refusal(redeemed(server, client, "")) == "invalid_request"


def test_code_and_refresh_token_of_another_client_are_none(server: Server, ann: dict[str, str], client: Any) -> None:
    other = registered(server, scopes=ALL)
    code = code_for(server, ann, client)
    assert refusal(redeemed(server, other, code)) == "invalid_grant"
    tokens = held(redeemed(server, client, code))
    assert refusal(refreshed(server, other, tokens.refresh)) == "invalid_grant"
    assert revoked(server, other, tokens.refresh).status_code == 200
    assert revoked(server, other, tokens.access["Authorization"].removeprefix("Bearer ")).status_code == 200
    assert server.is_in(tokens.access)
    held(refreshed(server, client, tokens.refresh))


@pytest.mark.parametrize("code", ["x", ".", "a.b", "0" * 32, "0" * 32 + ".x", "a|b.c"])
def test_invented_code_is_none(server: Server, client: Any, code: str) -> None:
    assert refusal(redeemed(server, client, code)) == "invalid_grant"


# --- what the client may


def test_client_may_what_both_the_user_and_its_scopes_may(server: Server) -> None:
    client = registered(server, scopes=["devices:read", "identity:write"])
    boss = held_for(server, server.member("boss", "OWNER"), client).access
    viewer = held_for(server, server.member("viewer", "VIEWER"), client).access
    assert server.me(boss)["may"] == ["devices:read", "identity:write"]
    assert server.me(viewer)["may"] == ["devices:read"]
    refused(server.client.get("/v1/alerts", headers=boss), 403)
    detail = refused(server.post("/v1/keys", {"name": "x", "scopes": ["*"]}, **boss), 403)["detail"]
    assert detail == "this client lacks *, so a key that it makes cannot have that"
    detail = refused(server.post("/v1/keys", {"name": "x", "scopes": ["devices:read"]}, **viewer), 403)["detail"]
    assert detail.startswith("the role VIEWER may not do this")


def test_user_sees_what_they_consented_to_and_takes_it_back(server: Server, client: Any) -> None:
    one, other = server.member("consenting", "VIEWER"), server.member("other-one", "USER")
    tokens, others = held_for(server, one, client), held_for(server, other, client)
    [consent] = eventually(lambda: server.rows("/v1/consents", one))
    assert (consent["user_id"], consent["client_id"]) == ("consenting", client["client_id"])
    assert [row["user_id"] for row in eventually(lambda: server.rows("/v1/consents", other))] == ["other-one"]
    ends = {"consent_id": consent["id"], "reason": "no more"}
    refused(server.post("/v1/commands/identity/EndConsent", ends, **other, **OWN_PAGE), 403)
    assert server.is_in(tokens.access)
    server.post("/v1/commands/identity/EndConsent", ends, **one, **OWN_PAGE).raise_for_status()
    eventually(lambda: not server.is_in(tokens.access))
    assert server.is_in(others.access)


def test_roles_are_those_of_the_moment_and_a_disabled_user_is_out(server: Server, client: Any) -> None:
    tokens = held_for(server, server.member("changing", "USER"), client)
    assert server.me(tokens.access)["may"] == sorted(scopes_of("USER"))
    server.command("ChangeUserRole", user_id="changing", roles=["AUDITOR"])
    eventually(lambda: server.me(tokens.access)["roles"] == ["AUDITOR"])
    server.command("DisableUser", user_id="changing")
    eventually(lambda: not server.is_in(tokens.access))
    assert refusal(refreshed(server, client, tokens.refresh)) == "invalid_grant"


def test_code_of_a_user_who_was_disabled_meanwhile_is_none(server: Server, client: Any) -> None:
    code = code_for(server, server.member("quick", "USER"), client)
    server.command("DisableUser", user_id="quick")
    assert refusal(redeemed(server, client, code)) == "invalid_grant"


def test_new_password_ends_what_was_allowed_with_the_old_one(server: Server, client: Any) -> None:
    tokens = held_for(server, server.member("forgetful", "USER"), client)
    offered = server.post("/v1/users/forgetful/password-token", **server.admin).json()["token"]
    server.set_password("forgetful", offered, "another password").raise_for_status()
    eventually(lambda: not server.is_in(tokens.access))
    assert refusal(refreshed(server, client, tokens.refresh)) == "invalid_grant"


def test_signing_out_leaves_the_client_what_it_has(server: Server, client: Any) -> None:
    user = server.member("leaving", "USER")
    tokens = held_for(server, user, client)
    server.post("/v1/sign-out", **user, **OWN_PAGE).raise_for_status()
    held(refreshed(server, client, tokens.refresh))


def test_client_that_is_revoked_acts_for_nobody_any_more(server: Server, ann: dict[str, str]) -> None:
    client = registered(server, scopes=ALL)
    tokens = held_for(server, ann, client)
    server.command("RevokeClient", client_id=client["client_id"])
    eventually(lambda: not server.is_in(tokens.access))
    assert refusal(refreshed(server, client, tokens.refresh), 401) == "invalid_client"
    refused(server.client.get(address(client)), 400)


def test_client_of_a_suspended_tenant_acts_for_nobody(server: Server, ann: dict[str, str], client: Any) -> None:
    operator = {"X-API-Key": operator_key(server.embedded.dir.path) or ""}
    tokens = held_for(server, ann, client)
    server.post("/v1/tenants/acme/suspend", {}, **operator).raise_for_status()
    eventually(lambda: not server.is_in(tokens.access))
    assert refusal(refreshed(server, client, tokens.refresh), 401) == "invalid_client"
    refused(server.client.get(address(client)), 400)
    server.post("/v1/tenants/acme/reactivate", {}, **operator).raise_for_status()
    eventually(lambda: server.is_in(tokens.access))


# --- the end


def is_out(server: Server, tokens: Held) -> bool:
    return not server.is_in(tokens.access)


def test_revoking_by_either_token_ends_what_the_client_may_within_a_second(
    server: Server, ann: dict[str, str], client: Any
) -> None:
    for shown in ("access", "refresh", "old refresh"):
        first = held_for(server, ann, client)
        tokens = held(refreshed(server, client, first.refresh))
        assert server.is_in(tokens.access)
        access = tokens.access["Authorization"].removeprefix("Bearer ")
        token = {"access": access, "refresh": tokens.refresh, "old refresh": first.refresh}[shown]
        answer = revoked(server, client, token)
        assert (answer.status_code, answer.json()) == (200, {})
        eventually(partial(is_out, server, tokens))
        assert refusal(refreshed(server, client, tokens.refresh)) == "invalid_grant"


def test_revoking_what_is_no_token_is_done_and_does_nothing(server: Server, client: Any) -> None:
    for token in ("x", "a.b.c", "a.b.c.d", "x" * 5_000, server.admin["X-API-Key"]):
        assert revoked(server, client, token).status_code == 200
    assert refusal(revoked(server, client, "")) == "invalid_request"
    assert refusal(revoked(server, {"client_id": "acme.unknown", "client_secret": "x"}, "x"), 401) == "invalid_client"


def test_token_of_a_client_for_itself_is_not_said_to_be_revoked(server: Server) -> None:
    client = registered(server)
    form = {key: client[key] for key in ("client_id", "client_secret")}
    given = server.client.post("/oauth/token", data={"grant_type": "client_credentials", **form}).json()
    assert refusal(revoked(server, client, given["access_token"])) == "unsupported_token_type"


def test_consents_are_listed_and_ended_by_who_manages_users(server: Server, client: Any) -> None:
    tokens = held_for(server, server.member("listed", "USER"), client)
    path = f"/v1/consents?user_id=listed&client_id={client['client_id']}"
    [row] = eventually(lambda: server.rows(f"{path}&status=USED", server.admin))
    assert (row["scopes"], row["status"]) == (["*"], "USED")
    server.command("EndConsent", consent_id=row["id"], reason="the laptop is gone")
    eventually(lambda: not server.is_in(tokens.access))
    assert refusal(refreshed(server, client, tokens.refresh)) == "invalid_grant"
    [ended] = eventually(lambda: server.rows(f"{path}&status=ENDED", server.admin))
    assert ended["status_reason"] == "the laptop is gone"
