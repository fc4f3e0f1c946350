"""Who is signed in links who they are at a provider, and nobody else does with what they left behind."""

from collections.abc import Iterator
from typing import Any

import pytest

from read_api.edge.credential import COOKIE
from streams.intake.http import providers
from streams.intake.http.providers import AWAY
from tests.end_to_end.oidc_kit import Browser, Provider, provider, set_provider
from tests.end_to_end.test_who import OWN_PAGE, Server, started
from tests.streams.intake.http.ways_in import refused
from tests.waiting import eventually

IN, OVER, UNKNOWN = "/#signed-in=acme", "/#sign-in-failed=state", "/#sign-in-failed=unknown"


@pytest.fixture(scope="module")
def people() -> Iterator[Provider]:
    with provider() as people:
        yield people


@pytest.fixture(scope="module")
def server(people: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with started(tmp_path_factory.mktemp("links")) as server:
        set_provider(server, people.url).raise_for_status()
        yield server


def test_sign_ins_are_begun_so_often_in_a_minute(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "BEGUN_A_MINUTE", 3)
    elsewhere = Browser(server, tenant="counted")
    for _ in range(3):
        refused(elsewhere.begin(), 404)
    answer = elsewhere.begin()
    assert "try again in" in refused(answer, 429)["detail"]
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    # the people of another tenant are not kept out
    refused(Browser(server, tenant="not-counted").begin(), 404)


def member(server: Server, user: str) -> Browser:
    """Return the browser of a new user who is signed in with a password."""
    browser = Browser(server)
    browser.cookies[COOKIE] = server.member(user, "USER")["Cookie"].partition("=")[2]
    eventually(lambda: status(server, user) == "ACTIVE")
    return browser


def status(server: Server, user: str) -> Any:
    rows = server.rows(f"/v1/users/{user}", server.admin)
    return rows[0]["status"] if rows else None


def invited(server: Server, user: str, email: str) -> str:
    body = {"user_id": user, "email": email, "roles": ["ADMIN"]}
    token: str = server.post("/v1/invitations", body, **server.admin).raise_for_status().json()["token"]
    eventually(lambda: status(server, user) == "INVITED")
    return token


def types(server: Server, user: str) -> list[str]:
    return [event.type for event in server.events() if event.stream == f"user-{user}"]


@pytest.mark.parametrize("then", ["INVITED", "ACTIVE"])
def test_link_that_somebody_began_is_not_that_of_who_is_invited_in_their_place(
    server: Server, people: Provider, then: str
) -> None:
    user = f"ann-{then}"
    old = member(server, user)
    url = people.let_in(old.away(link=True), f"s-{user}")
    server.command("DisableUser", user_id=user)
    token = invited(server, user, "other@acme.example")
    if then == "ACTIVE":
        server.set_password(user, token).raise_for_status()
    assert old.back(url) == OVER
    assert "user.identity.linked" not in types(server, user)


def test_link_is_refused_where_the_user_has_changed_since_it_was_begun(server: Server, people: Provider) -> None:
    browser = member(server, "changed")
    url = people.let_in(browser.away(link=True), "s-changed")
    server.command("ChangeUserRole", user_id="changed", roles=["ADMIN"])
    assert browser.back(url) == UNKNOWN
    assert "user.identity.linked" not in types(server, "changed")


def test_link_ends_with_the_session_it_was_begun_from(server: Server, people: Provider) -> None:
    owner = member(server, "owner")
    thief = Browser(server)
    thief.cookies = dict(owner.cookies)
    url = people.let_in(thief.away(link=True), "s-thief")
    session = {"Cookie": f"{COOKIE}={owner.cookies[COOKIE]}"}
    server.post("/v1/sign-out", **session, **OWN_PAGE).raise_for_status()
    eventually(lambda: not server.is_in(session))
    del thief.cookies[COOKIE]
    assert thief.back(url) == OVER
    assert COOKIE not in thief.cookies
    assert "user.identity.linked" not in types(server, "owner")


def test_who_links_goes_on_with_the_session_they_have(server: Server, people: Provider) -> None:
    browser = member(server, "linking")
    before = dict(browser.cookies)
    assert browser.back(people.let_in(browser.away(link=True), "s-linking")) == IN
    assert browser.cookies == before
    assert AWAY not in browser.cookies
    started = [event for event in server.events() if event.type == "session.started"]
    assert [event.data["user_id"] for event in started].count("linking") == 1


def test_session_of_somebody_disabled_is_not_that_of_who_joins_in_their_place(server: Server, people: Provider) -> None:
    old, new = Browser(server), Browser(server)
    for browser, subject in ((old, "s-old"), (new, "s-new")):
        email = f"{subject}@acme.example"
        invited(server, "heir", email)
        said = {"email": email, "email_verified": True}
        assert browser.back(people.let_in(browser.away(), subject, **said)) == IN
        if browser is old:
            server.command("DisableUser", user_id="heir")
    assert new.me()["actor"]["id"] == "heir"
    assert not server.is_in({"Cookie": f"{COOKIE}={old.cookies[COOKIE]}"})
