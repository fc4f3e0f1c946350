"""People sign in through their tenant's provider on the whole embedded server, and nobody else does in their name."""

import time
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import RSAKey

from infra.data_dir import operator_key
from read_api.edge.credential import COOKIE
from streams.intake.http.providers import AWAY
from tests.end_to_end.oidc_kit import CLIENT, SECRET, Browser, Provider, provider, set_provider
from tests.end_to_end.test_who import OWN_PAGE, Server, started
from tests.read_api.edge.issuing import RSA
from tests.streams.intake.http.ways_in import refused
from tests.waiting import eventually

IN = "/#signed-in=acme"
STRANGER = RSAKey.generate_key(2048, {"kid": "rsa-1"})


def out(why: str) -> str:
    return f"/#sign-in-failed={why}"


@pytest.fixture(scope="module")
def people() -> Iterator[Provider]:
    with provider() as people:
        yield people


@pytest.fixture(scope="module")
def server(people: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with started(tmp_path_factory.mktemp("sign-in")) as server:
        set_provider(server, people.url).raise_for_status()
        yield server


@pytest.fixture(autouse=True)
def _as_usual(people: Provider) -> None:
    people.key = RSA


def invited(server: Server, user: str, role: str = "USER") -> dict[str, Any]:
    """Invite a user and return what a provider says of them."""
    server.invite(user, role).raise_for_status()
    eventually(lambda: server.rows(f"/v1/users/{user}", server.admin))
    return {"email": f"{user}@acme.example", "email_verified": True}


def types(server: Server, user: str) -> list[str]:
    mine = [event for event in server.events() if event.stream == f"user-{user}" or event.data.get("user_id") == user]
    return [event.type for event in mine]


def failures(server: Server) -> list[str]:
    return [event.data["reason"] for event in server.events() if event.type == "user.login.failed"]


def test_invited_person_joins_and_comes_again_by_who_they_are_and_not_by_their_address(
    server: Server, people: Provider
) -> None:
    said, browser = invited(server, "ann"), Browser(server)
    assert browser.back(people.let_in(browser.away(), "s-ann", **{**said, "email": "Ann@acme.example"})) == IN
    found = browser.me()
    assert (found["actor"], found["roles"]) == ({"type": "user", "id": "ann"}, ["USER"])
    assert found["credential"]["type"] == "session"
    again = Browser(server)
    assert again.back(people.let_in(again.away(), "s-ann", email="new@elsewhere.example")) == IN
    assert again.me()["actor"]["id"] == "ann"
    assert types(server, "ann") == [
        "user.invited",
        "user.joined",
        "user.identity.linked",
        "user.authenticated",
        "session.started",
        "user.authenticated",
        "session.started",
    ]
    [ann] = eventually(lambda: [one for one in server.rows("/v1/users/ann", server.admin) if one["status"] == "ACTIVE"])
    assert ann["linked_provider"] == "people"


def test_session_is_the_same_as_that_of_a_password(server: Server, people: Provider) -> None:
    said, browser = invited(server, "bob"), Browser(server)
    begun = browser.begin()
    flags = begun.headers["set-cookie"].lower()
    assert all(part in flags for part in ("httponly", "samesite=lax", "max-age=600", f"path={browser.path}/callback"))
    url = people.let_in(begun.json()["location"], "s-bob", **said)
    answer = server.client.get(url, headers={"Cookie": f"{AWAY}={browser.cookies[AWAY]}"})
    server.client.cookies.clear()
    [session] = [flags for flags in answer.headers.get_list("set-cookie") if flags.startswith(COOKIE)]
    assert all(part in session.lower() for part in ("httponly", "samesite=strict", "path=/", "max-age=43200"))
    bob = {"Cookie": session.partition(";")[0]}
    device = {"device_id": "of-bob", "hostname": "of-bob.example"}
    server.post("/v1/commands/fleet/RegisterDevice", device, **bob, **OWN_PAGE).raise_for_status()
    server.command("DisableUser", user_id="bob")
    eventually(lambda: not server.is_in(bob))
    assert server.post("/v1/sign-out", **bob, **OWN_PAGE).status_code == 401


def test_page_shows_providers_of_a_tenant_and_of_nobody_nothing(server: Server) -> None:
    assert server.client.get("/v1/sign-in/acme").json() == {
        "providers": [{"provider_id": "people", "name": "Acme's people"}]
    }
    assert server.client.get("/v1/sign-in/nobody").json() == {"providers": []}


@pytest.mark.parametrize("said", [{"email_verified": False}, {"email_verified": None}, {"email_verified": "true"}])
def test_address_that_the_provider_has_not_verified_lets_nobody_in(
    server: Server, people: Provider, said: dict[str, Any]
) -> None:
    user = f"unsure-{len(failures(server))}"
    known, browser = invited(server, user), Browser(server)
    assert browser.back(people.let_in(browser.away(), user, **{**known, **said})) == out("email")
    assert types(server, user) == ["user.invited"]
    assert failures(server)[-1] == "email"
    assert browser.cookies == {}


def test_person_whom_nobody_invited_is_not_let_in_and_it_is_recorded(server: Server, people: Provider) -> None:
    browser = Browser(server)
    url = people.let_in(browser.away(), "s-nobody", email="nobody@acme.example", email_verified=True)
    assert browser.back(url) == out("unknown")
    assert failures(server)[-1] == "unknown"
    assert browser.cookies == {}


def test_two_invitations_with_one_address_are_nobodys(server: Server, people: Provider) -> None:
    said, browser = invited(server, "twin"), Browser(server)
    body = {"user_id": "other-twin", "email": "twin@acme.example", "roles": ["OWNER"]}
    server.post("/v1/invitations", body, **server.admin).raise_for_status()
    eventually(lambda: server.rows("/v1/users/other-twin", server.admin))
    assert browser.back(people.let_in(browser.away(), "s-twin", **said)) == out("unknown")


def test_address_of_a_user_with_a_password_is_no_way_to_be_them(server: Server, people: Provider) -> None:
    server.member("owner", "OWNER")
    browser = Browser(server)
    url = people.let_in(browser.away(), "s-evil", email="owner@acme.example", email_verified=True)
    assert browser.back(url) == out("unknown")


def test_user_with_a_password_links_who_they_are_and_is_unlinked(server: Server, people: Provider) -> None:
    user, browser = server.member("linking", "USER"), Browser(server)
    browser.cookies[COOKIE] = user["Cookie"].partition("=")[2]
    assert browser.back(people.let_in(browser.away(link=True), "s-linking")) == IN
    again = Browser(server)
    assert again.back(people.let_in(again.away(), "s-linking")) == IN
    assert again.me()["actor"]["id"] == "linking"
    server.command("UnlinkIdentity", user_id="linking")
    last = Browser(server)
    eventually(lambda: last.back(people.let_in(last.away(), "s-linking")) == out("unknown"))


def test_who_is_not_signed_in_here_links_nothing(server: Server) -> None:
    refused(Browser(server).begin(link=True), 401)
    refused(Browser(server).begin({**server.admin, **OWN_PAGE}, link=True), 403)


def test_identity_of_a_disabled_user_is_nobodys_also_when_another_person_gets_their_name(
    server: Server, people: Provider
) -> None:
    said, browser = invited(server, "gone"), Browser(server)
    assert browser.back(people.let_in(browser.away(), "s-gone", **said)) == IN
    server.command("DisableUser", user_id="gone")
    invited(server, "gone", "OWNER")
    url = people.let_in(browser.away(), "s-gone", email="elsewhere@acme.example", email_verified=True)
    assert browser.back(url) == out("unknown")


# --- what an attacker does


def test_page_of_another_site_begins_no_sign_in(server: Server) -> None:
    refused(Browser(server).begin({"Sec-Fetch-Site": "cross-site"}), 403)
    refused(Browser(server).begin({"Origin": "https://evil.example"}), 403)


def test_browser_that_did_not_begin_is_not_signed_in_as_the_attacker(server: Server, people: Provider) -> None:
    said, attacker, victim = invited(server, "mallory"), Browser(server), Browser(server)
    url = people.let_in(attacker.away(), "s-mallory", **said)
    assert victim.back(url) == out("state")
    victim.away()
    assert victim.back(url) == out("state")
    assert COOKIE not in victim.cookies


def test_state_is_good_once_also_where_the_provider_takes_a_code_twice(server: Server, people: Provider) -> None:
    said, browser = invited(server, "replayed"), Browser(server)
    location = browser.away()
    kept = dict(browser.cookies)
    assert browser.back(people.let_in(location, "s-replayed", **said)) == IN
    assert AWAY not in browser.cookies
    thief = Browser(server)
    thief.cookies = kept
    assert thief.back(people.let_in(location, "s-replayed", **said)) == out("state")
    assert types(server, "replayed").count("session.started") == 1


@pytest.mark.parametrize("changed", [{"state": "x"}, {"state": None}, {"iss": "https://evil.example"}, {"iss": None}])
def test_answer_that_is_not_to_what_was_asked_or_of_another_provider_counts_for_nothing(
    server: Server, people: Provider, changed: dict[str, str | None]
) -> None:
    browser = Browser(server)
    url = people.let_in(browser.away(), "s-ann")
    for name, value in changed.items():
        [before] = parse_qs(urlsplit(url).query)[name]
        kept = [part for part in urlsplit(url).query.split("&") if not part.startswith(f"{name}=")]
        assert before
        url = f"{url.partition('?')[0]}?{'&'.join([*kept, *([f'{name}={value}'] if value else [])])}"
    asked = len(people.asked)
    assert browser.back(url) == out("state")
    assert len(people.asked) == asked


def test_sealed_cookie_of_somebody_else_or_bent_counts_for_nothing(server: Server, people: Provider) -> None:
    browser = Browser(server)
    url = people.let_in(browser.away(), "s-ann")
    good = browser.cookies[AWAY]
    for bad in ("", "x", "a.b.c.d.e", good[:-4] + "AAAA", "x" * 9_000):
        browser.cookies[AWAY] = bad
        assert browser.back(url) == out("state")


def test_provider_that_stands_in_for_another_gets_nobody_in(server: Server, people: Provider) -> None:
    said = invited(server, "mixed")
    with provider() as evil:
        set_provider(server, evil.url, "evil").raise_for_status()
        honest, other = Browser(server), Browser(server, provider_id="evil")
        eventually(lambda: other.begin().is_success)
        # what the honest provider says comes back to the address of the other one, and the other way round
        url = people.let_in(honest.away(), "s-mixed", **said)
        other.cookies = dict(honest.cookies)
        assert other.back(url.replace("/people/", "/evil/")) == out("state")
        assert not evil.asked
        # the same subject at another provider is another person
        url = evil.let_in(other.away(), "s-ann", email="stranger@acme.example", email_verified=True)
        assert other.back(url) == out("unknown")
        # a token of the other one counts for nothing, although its keys are good
        url = people.let_in(honest.away(), "s-mixed", **{**said, "iss": evil.url})
        assert honest.back(url) == out("token")
        server.command("RemoveSignInProvider", provider_id="evil")


@pytest.mark.parametrize(
    "wrong",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another"},
        {"aud": [CLIENT, "another"]},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"azp": "another"},
        {"iss": "https://evil.example"},
        {"exp": int(time.time()) - 120},
        {"exp": None},
        {"iat": int(time.time()) + 3_600},
        {"sub": None},
        {"sub": ""},
    ],
    ids=" ".join,  # the claims alone: an instant would give the test another name in each of pytest's processes
)
def test_id_token_that_is_not_for_this_sign_in_lets_nobody_in(
    server: Server, people: Provider, wrong: dict[str, Any]
) -> None:
    browser = Browser(server)
    assert browser.back(people.let_in(browser.away(), "s-ann", **wrong)) == out("token")
    assert failures(server)[-1] == "token"
    assert browser.cookies == {}


def test_id_token_that_the_provider_did_not_sign_lets_nobody_in(server: Server, people: Provider) -> None:
    browser = Browser(server)
    people.key = STRANGER
    assert browser.back(people.let_in(browser.away(), "s-ann")) == out("token")


def test_nobody_of_one_tenant_gets_into_another_through_the_same_provider(server: Server, people: Provider) -> None:
    operator = {"X-API-Key": operator_key(server.embedded.dir.path) or ""}
    made = server.post("/v1/tenants", {"tenant_id": "other", "name": "Other"}, **operator).raise_for_status()
    set_provider(server, people.url, **{"X-API-Key": made.json()["api_key"]}).raise_for_status()
    said, here = invited(server, "of-acme", "OWNER"), Browser(server)
    assert here.back(people.let_in(here.away(), "s-of-acme", **said)) == IN
    there = Browser(server, tenant="other")
    eventually(lambda: there.begin().is_success)
    assert there.back(people.let_in(there.away(), "s-of-acme", **said)) == out("unknown")
    # what was begun in one tenant does not end in another
    url = people.let_in(here.away(), "s-of-acme", **said)
    there.cookies = dict(here.cookies)
    assert there.back(url.replace("/acme/", "/other/")) == out("state")
    # nor does one link who is signed in elsewhere
    there.cookies[COOKIE] = here.cookies[COOKIE]
    refused(there.begin(link=True), 403)
    server.post("/v1/tenants/other/suspend", {"reason": "unpaid"}, **operator)


def test_browser_is_led_to_this_page_and_to_the_provider_alone(server: Server, people: Provider) -> None:
    browser = Browser(server)
    assert browser.back(f"{people.let_in(browser.away(), 's-ann')}&next=https://evil.example") == IN
    refused(server.post(f"{browser.path}?next=https://evil.example", {}, **OWN_PAGE), 400)
    asked = urlsplit(browser.away())
    assert f"{asked.scheme}://{asked.netloc}" == people.url
    query = parse_qs(asked.query)
    assert (query["kind"], query["response_type"], query["code_challenge_method"]) == (["people"], ["code"], ["S256"])
    assert query["redirect_uri"] == [f"{str(server.client.base_url).rstrip('/')}{browser.path}/callback"]
    # what only this server may know is not in the address
    assert SECRET not in str(query)


@pytest.mark.parametrize(
    "says",
    [
        {"issuer": "https://somebody.else"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "http://id.acme.example/authorize"},
        {"token_endpoint": None},
        {"jwks_uri": "file:///etc/passwd"},
    ],
    ids=str,
)
def test_provider_that_says_what_cannot_be_is_not_used(server: Server, says: dict[str, Any]) -> None:
    with provider() as odd:
        odd.says = says
        set_provider(server, odd.url, "odd").raise_for_status()
        browser = Browser(server, provider_id="odd")
        refused(eventually(partial(answered, browser)), 502)


def answered(browser: Browser) -> Any:
    answer = browser.begin()
    # the provider was set just now
    return None if answer.status_code == 404 else answer


def test_person_who_says_no_at_the_provider_is_told_so_and_a_provider_that_is_away_too(
    server: Server, people: Provider
) -> None:
    browser = Browser(server)
    url = people.let_in(browser.away(), "s-ann")
    assert browser.back(f"{url}&error=access_denied") == out("denied")
    browser.away()
    state = parse_qs(urlsplit(browser.away()).query)["state"][0]
    assert browser.back(f"{browser.path}/callback?code=invented&state={state}&iss={people.url}") == out("provider")
    set_provider(server, "http://127.0.0.1:1", "away").raise_for_status()
    refused(eventually(partial(answered, Browser(server, provider_id="away"))), 502)
    assert 'factline_outside_calls_total{outcome="failed",purpose="sign_in_providers"}' in (
        server.client.get("/metrics").text
    )


def test_secret_of_a_provider_is_in_no_event_and_no_answer(server: Server) -> None:
    rows = eventually(lambda: server.rows("/v1/sign_in_providers?status=ACTIVE", server.admin))
    [people] = [one for one in rows if one["id"] == "people"]
    assert people["client_id"] == CLIENT
    assert SECRET not in str(rows) + str(server.events())
    assert "sealed" not in str([event.data for event in server.events() if event.type == "sign_in_provider.set"])


def test_who_has_not_every_right_sets_no_provider(server: Server, people: Provider) -> None:
    made = server.post("/v1/keys", {"name": "narrow", "scopes": ["identity:write"]}, **server.admin)
    answer = set_provider(server, people.url, "mine", **{"X-API-Key": made.json()["api_key"]})
    assert "every right" in refused(answer, 403)["detail"]
    for name in ("SetSignInProvider", "LinkIdentity", "EndSignIn"):
        refused(server.post(f"/v1/commands/identity/{name}", {}, **server.admin), 404)
