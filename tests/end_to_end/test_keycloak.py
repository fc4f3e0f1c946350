"""Tokens of a real Keycloak are used on the API of a running server, as those of any provider that a tenant trusts."""

import html
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import pytest

from infra.jwks import OVER_HTTP, fetching, issuers
from read_api.edge import issuer_keys
from read_api.edge.auth import CredentialKind, Unauthenticated
from read_api.edge.issuer_keys import IssuerKeys
from read_api.edge.jws import read_token
from read_api.edge.jwt import SKEW_S, Tokens
from tests.end_to_end.oidc_kit import CLIENT as CLIENT_HERE
from tests.end_to_end.oidc_kit import SECRET, Browser, set_provider
from tests.end_to_end.test_who import Server, started
from tests.keycloak import Keycloak
from tests.streams.intake.http.ways_in import refused
from tests.waiting import eventually

REALM, OTHER_REALM = "acme-people", "others"
CLIENT, UNRELATED = "factline-page", "unrelated"
LASTS_S = 300


def mapper(kind: str, **config: str) -> dict[str, Any]:
    return {
        "name": kind,
        "protocol": "openid-connect",
        "protocolMapper": kind,
        "config": {"access.token.claim": "true", **config},
    }


TENANT = mapper(
    "oidc-hardcoded-claim-mapper", **{"claim.name": "tenant_id", "claim.value": "acme", "jsonType.label": "String"}
)
ROLES = mapper(
    "oidc-usermodel-realm-role-mapper",
    **{"claim.name": "roles", "multivalued": "true", "jsonType.label": "String"},
)
AUDIENCE = mapper("oidc-audience-mapper", **{"included.custom.audience": "factline"})


def client(name: str, *mappers: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "clientId": name,
        "publicClient": True,
        "directAccessGrantsEnabled": True,
        "protocolMappers": list(mappers),
    }


def realm(name: str) -> dict[str, Any]:
    """Return what an administrator of Keycloak says of people who may use factline, as it is exported and imported."""
    return {
        "realm": name,
        "enabled": True,
        "sslRequired": "none",
        "accessTokenLifespan": LASTS_S,
        "roles": {"realm": [{"name": "AUDITOR"}, {"name": "VIEWER"}, {"name": "gardener"}]},
        "clients": [client(CLIENT, TENANT, ROLES, AUDIENCE), client(UNRELATED, TENANT, ROLES)],
        "users": [
            {
                "username": "eva",
                "enabled": True,
                "firstName": "Eva",
                "lastName": "Example",
                "email": "eva@acme.example",
                "emailVerified": True,
                "credentials": [{"type": "password", "value": "eva"}],
                "realmRoles": ["AUDITOR", "gardener"],
            }
        ],
    }


class People(Keycloak):
    def bearer(self, realm: str = REALM, client: str = CLIENT) -> dict[str, str]:
        form = {"grant_type": "password", "client_id": client, "username": "eva", "password": "eva"}
        return {"Authorization": f"Bearer {self.token(realm, form)['access_token']}"}


@pytest.fixture(scope="module")
def keycloak(full_tier: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    with People(tmp_path_factory.mktemp("keycloak")).start() as keycloak:
        with keycloak.admin() as admin:
            for name in (REALM, OTHER_REALM):
                admin.post("", json=realm(name)).raise_for_status()
        yield keycloak


@pytest.fixture(scope="module")
def server(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as change, started(tmp_path_factory.mktemp("trusting")) as server:
        change.setattr(issuer_keys, "AGAIN_S", 1.0)
        found = httpx.get(f"{keycloak.url}/realms/{REALM}/.well-known/openid-configuration", trust_env=False).json()
        trusted = {"issuer": found["issuer"], "audiences": ["factline"], "jwks_uri": found["jwks_uri"]}
        server.command("TrustIssuer", issuer_id="keycloak", **trusted)
        yield server


def test_person_whom_keycloak_knows_asks_with_the_roles_that_it_says(server: Server, keycloak: People) -> None:
    bearer = keycloak.bearer()
    found = eventually(lambda: server.is_in(bearer) and server.me(bearer))
    with keycloak.admin() as admin:
        [eva] = admin.get(f"{REALM}/users", params={"username": "eva"}).raise_for_status().json()
    # by what never changes, and not by a name or an address that somebody else may get
    assert found["actor"] == {"type": "user", "id": f"keycloak/{eva['id']}"}
    # of its own roles nothing is known here
    assert (found["tenant_id"], found["roles"]) == ("acme", ["AUDITOR"])
    assert found["credential"] == {"type": "token", "id": "keycloak"}
    assert server.client.get("/v1/audit/events", headers=bearer).status_code == 200
    device = {"device_id": "of-eva", "hostname": "of-eva.example"}
    refused(server.post("/v1/commands/fleet/RegisterDevice", device, **bearer), 403)
    assert server.client.get("/v1/devices", headers=bearer).status_code == 200


def test_token_for_somebody_else_or_of_another_realm_is_refused(server: Server, keycloak: People) -> None:
    eventually(lambda: server.is_in(keycloak.bearer()))
    refused(server.client.get("/v1/me", headers=keycloak.bearer(client=UNRELATED)), 401)
    refused(server.client.get("/v1/me", headers=keycloak.bearer(realm=OTHER_REALM)), 401)
    head, payload, signature = keycloak.bearer()["Authorization"].split(".")
    _, other, _ = keycloak.bearer(realm=OTHER_REALM)["Authorization"].split(".")
    for bent in (f"{head}.{other}.{signature}", f"{head}.{payload}.{signature[:-8]}AAAAAAAA"):
        refused(server.client.get("/v1/me", headers={"Authorization": bent}), 401)


def test_token_is_good_until_it_expires(server: Server, keycloak: People) -> None:
    text = keycloak.bearer()["Authorization"].removeprefix("Bearer ")
    keys = IssuerKeys(fetching({OVER_HTTP: "1"}, issuers()))
    eventually(lambda: server.is_in({"Authorization": f"Bearer {text}"}))

    def caller_after(seconds: float) -> Any:
        return Tokens(server.embedded.credentials, keys, lambda: time.time() + seconds).caller(text)

    assert caller_after(LASTS_S - 30).kind is CredentialKind.TOKEN
    with pytest.raises(Unauthenticated, match="expired"):
        caller_after(LASTS_S + SKEW_S + 1)


def test_token_of_a_new_key_is_known_and_so_is_one_of_the_key_before(server: Server, keycloak: People) -> None:
    before = keycloak.bearer()
    eventually(lambda: server.is_in(before))
    with keycloak.admin() as admin:
        about = admin.get(REALM).raise_for_status().json()
        key = {
            "name": "next",
            "providerId": "rsa-generated",
            "providerType": "org.keycloak.keys.KeyProvider",
            "parentId": about["id"],
            "config": {"priority": ["200"], "enabled": ["true"], "active": ["true"], "algorithm": ["RS256"]},
        }
        admin.post(f"{REALM}/components", json=key).raise_for_status()
    after = keycloak.bearer()
    assert kids(before, after)[0] != kids(before, after)[1]
    eventually(lambda: server.is_in(after))
    assert server.is_in(before)


def test_invited_person_signs_in_on_keycloaks_page_and_has_a_session_here(server: Server, keycloak: People) -> None:
    browser = Browser(server, provider_id="keycloak")
    with keycloak.admin() as admin:
        confidential = {
            "clientId": CLIENT_HERE,
            "secret": SECRET,
            "standardFlowEnabled": True,
            "redirectUris": [f"{str(server.client.base_url).rstrip('/')}{browser.path}/callback"],
            "attributes": {"pkce.code.challenge.method": "S256"},
        }
        admin.post(f"{REALM}/clients", json=confidential).raise_for_status()
    set_provider(server, f"{keycloak.url}/realms/{REALM}", "keycloak").raise_for_status()
    server.invite("eva", "AUDITOR").raise_for_status()
    eventually(lambda: server.rows("/v1/users/eva", server.admin))
    location = eventually(lambda: browser.begin().json().get("location"))
    assert browser.back(signed_in_at(location)) == "/#signed-in=acme"
    found = browser.me()
    assert (found["actor"]["id"], found["roles"], found["credential"]["type"]) == ("eva", ["AUDITOR"], "session")
    # and again, because now it is known who she is there
    assert browser.back(signed_in_at(browser.away())) == "/#signed-in=acme"
    with keycloak.admin() as admin:
        [eva] = admin.get(f"{REALM}/users", params={"username": "eva"}).raise_for_status().json()
        admin.put(f"{REALM}/users/{eva['id']}", json={**eva, "enabled": False}).raise_for_status()
        with pytest.raises(KeyError):
            signed_in_at(browser.away())
        admin.put(f"{REALM}/users/{eva['id']}", json={**eva, "enabled": True}).raise_for_status()


def signed_in_at(location: str) -> str:
    """Return where Keycloak sends the browser of eva after she filled in its form."""
    shown = httpx.get(location, trust_env=False, timeout=60).raise_for_status()
    action = html.unescape(shown.text.split('action="', 1)[1].split('"', 1)[0])
    # as a browser does on this machine: its cookies are for encrypted connections
    kept = {"Cookie": "; ".join(f"{name}={value}" for name, value in shown.cookies.items())}
    form = {"username": "eva", "password": "eva"}
    return str(httpx.post(action, data=form, headers=kept, trust_env=False, timeout=60).headers["location"])


def kids(*bearers: Mapping[str, str]) -> Sequence[str | None]:
    return [read_token(one["Authorization"].removeprefix("Bearer ")).kid for one in bearers]


def test_keys_are_remembered_while_keycloak_is_away_and_distrust_bites(server: Server, keycloak: People) -> None:
    bearer = keycloak.bearer()
    eventually(lambda: server.is_in(bearer))
    keycloak.pause()
    try:
        assert server.is_in(bearer)
    finally:
        keycloak.resume()
    server.command("DistrustIssuer", issuer_id="keycloak")
    eventually(lambda: not server.is_in(bearer))
