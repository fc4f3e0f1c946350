"""A tenant's further keys: made by the server, and of no use in any other tenant."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import httpx
import pytest
from click.testing import CliRunner

from infra.cli.main import cli
from infra.data_dir import operator_key
from infra.embedded import Embedded
from infra.serve.embedded import create_app
from read_api.edge.auth import parse_key, secret_sha256
from schemas.envelope import TenantId, Topic
from schemas.key_ids import has_tag, key_tag
from tests.streams.intake.http.ways_in import WaysIn, refused, served
from tests.waiting import eventually

SCOPES = ["devices:read", "logs:read"]


def test_key_is_made_by_the_server_and_shown_once(way: WaysIn) -> None:
    answer = way.post("/v1/keys", {"name": "agent of web-1", "scopes": SCOPES})
    assert answer.status_code == 201
    made = answer.json()
    key = parse_key(made["api_key"])
    assert (made["key_id"], made["name"], made["scopes"]) == (key.id, "agent of web-1", SCOPES)
    assert has_tag(key.id, TenantId("demo"))
    [issued] = [entry for entry in way.entries(Topic.EVENTS) if entry.type == "api_key.issued"]
    assert "secret_sha256" not in issued.data
    assert [one.secret_sha256 for one in way.credentials.find(key.id)] == [secret_sha256(key.secret)]
    assert (issued.actor.id, issued.data["scopes"]) == ("demo", SCOPES)
    assert key.secret not in str(way.entries(Topic.EVENTS))
    other = way.post("/v1/keys", {"name": "agent of web-1", "scopes": SCOPES}).json()
    assert other["key_id"] != made["key_id"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x"},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["everything"]},
        {"name": "x", "scopes": ["*"], "key_id": "mine"},
        {"name": "", "scopes": ["*"]},
        b"{",
    ],
)
def test_key_that_does_not_fit_is_refused(way: WaysIn, body: object) -> None:
    assert refused(way.post("/v1/keys", body), 422)["errors"]


def test_key_without_the_scope_makes_no_keys(way: WaysIn) -> None:
    said = refused(way.post("/v1/keys", {"name": "x", "scopes": ["fleet:write"]}, key="fleet"), 403)["detail"]
    assert said == "this api key lacks the scope identity:write"


@pytest.mark.parametrize("scopes", [["devices:read"], ["devices:write", "devices:*"], ["logs:read", "identity:write"]])
def test_key_makes_keys_that_may_what_it_may_itself(way: WaysIn, scopes: list[str]) -> None:
    assert way.post("/v1/keys", {"name": "x", "scopes": scopes}, key="keys").status_code == 201
    assert way.command("identity.IssueApiKey", issue("mine", *scopes), key="keys").status_code == 200


@pytest.mark.parametrize(
    ("scopes", "lacking"),
    [(["*"], "*"), (["logs:*"], "logs:*"), (["devices:read", "fleet:write", "logs:write"], "fleet:write, logs:write")],
)
def test_key_makes_no_key_that_may_more(way: WaysIn, scopes: list[str], lacking: str) -> None:
    said = f"this api key lacks {lacking}, so a key that it makes cannot have that"
    assert refused(way.post("/v1/keys", {"name": "x", "scopes": scopes}, key="keys"), 403)["detail"] == said
    command = issue("mine", *scopes)
    assert refused(way.command("identity.IssueApiKey", command, key="keys"), 403)["detail"] == said
    [reply] = way.batch({"command": "identity.IssueApiKey", "body": command}, key="keys")
    assert (reply["kind"], reply["reason"]) == ("not_allowed", said)
    assert [entry.type for entry in way.entries(Topic.EVENTS)] == ["tenant.registered"]


def test_key_that_may_not_everything_rotates_itself_alone(way: WaysIn) -> None:
    body = issue("wide", "*")
    assert way.command("identity.IssueApiKey", body).status_code == 200
    del body["scopes"]
    said = refused(way.command("identity.RotateApiKey", body, key="keys"), 403)["detail"]
    assert said == "this api key lacks *, so it can rotate no key but itself"
    assert way.command("identity.RotateApiKey", body).status_code == 200
    # the rule answers: an id of before there were tags is not rotated
    own = refused(way.command("identity.RotateApiKey", {**body, "key_id": "keys"}, key="keys"), 403)["detail"]
    assert own == "api key keys is of an older form that is not rotated; POST /v1/keys makes another"


def issue(name: str, *scopes: str) -> dict[str, Any]:
    return {"key_id": key_tag(TenantId("demo")) + name, "secret_sha256": "a" * 64, "scopes": list(scopes)}


def test_key_of_another_tenants_id_and_hash_is_not_issued(way: WaysIn) -> None:
    way.post("/v1/keys", {"name": "of acme", "scopes": ["*"]}, key="acme")
    [issued] = way.credentials.of_tenant(TenantId("acme"))
    stolen = {"key_id": issued.key_id, "secret_sha256": issued.secret_sha256, "scopes": issued.scopes}
    said = refused(way.command("identity.IssueApiKey", stolen, key="demo"), 422)["detail"]
    assert said == f"the id of a new key must begin with {key_tag(TenantId('demo'))}; POST /v1/keys makes one that does"
    refused(way.command("identity.RotateApiKey", {name: stolen[name] for name in list(stolen)[:2]}, key="demo"), 403)
    assert [entry.type for entry in way.entries(Topic.EVENTS)] == ["tenant.registered"]


# --- with the views behind it


class Server:
    def __init__(self, client: httpx.Client, folder: Path) -> None:
        self.folder = folder
        operator = operator_key(folder) or ""
        self.client = client
        self.operator = operator

    def post(self, path: str, body: object, key: str) -> httpx.Response:
        return self.client.post(path, json=body, headers={"X-API-Key": key})

    def works(self, key: str) -> bool:
        return self.client.get("/v1/devices", headers={"X-API-Key": key}).status_code == 200

    def tenant(self, name: str) -> str:
        """Register a tenant and return its first key when it is good."""
        answer = self.post("/v1/tenants", {"tenant_id": name, "name": name}, self.operator)
        assert answer.status_code == 201
        key = str(answer.json()["api_key"])
        eventually(lambda: self.works(key))
        return key


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Embedded.open(tmp_path_factory.mktemp("keys")) as embedded:
        app = create_app(embedded, host_metrics=False)
        embedded.first_start()
        with served(app) as client:
            server = Server(client, embedded.dir.path)
            eventually(lambda: server.works(server.operator))
            yield server


def test_key_writes_into_its_own_tenant_whatever_another_tenant_does(server: Server) -> None:
    of_a, of_b = server.tenant("globex"), server.tenant("initech")
    key = parse_key(of_a)
    stolen = {"key_id": key.id, "secret_sha256": secret_sha256(key.secret), "scopes": ["*"]}
    assert server.post("/v1/commands/identity/IssueApiKey", stolen, of_b).status_code == 422
    device = {"device_id": "whose", "hostname": "whose.example"}
    reply = server.post("/v1/commands/fleet/RegisterDevice", device, of_a).raise_for_status().json()
    token = {"X-Consistent-With": reply["position"]["token"]}
    found = {
        name: server.client.get("/v1/devices/whose", headers={"X-API-Key": of, **token}).status_code
        for name, of in (("globex", of_a), ("initech", of_b))
    }
    assert found == {"globex": 200, "initech": 404}


def test_key_that_was_made_works_and_its_tenant_may_revoke_the_last_one(server: Server) -> None:
    first = server.tenant("umbrella")
    made = server.post("/v1/keys", {"name": "second", "scopes": ["devices:read"]}, first).json()["api_key"]
    eventually(lambda: server.works(made))
    for key in (made, first):
        body = {"key_id": parse_key(key).id}
        assert server.post("/v1/commands/identity/RevokeApiKey", body, first).status_code == 200
    eventually(lambda: not server.works(first))
    given = server.post("/v1/tenants/umbrella/keys", {}, server.operator).json()["api_key"]
    eventually(lambda: server.works(given))


def test_hash_of_a_secret_is_shown_nowhere(server: Server, tmp_path: Path) -> None:
    key, client = server.tenant("hooli"), server.client
    made = parse_key(server.post("/v1/keys", {"name": "to be rotated", "scopes": ["*"]}, key).json()["api_key"])
    hashes = (secret_sha256(made.secret), "b" * 64)
    body = {"key_id": made.id, "secret_sha256": hashes[1]}
    rotated = server.post("/v1/commands/identity/RotateApiKey", body, key).raise_for_status().json()
    headers = {"X-API-Key": key, "X-Consistent-With": rotated["position"]["token"]}
    paths = ("/v1/audit/events", f"/v1/audit/streams/api_key-{made.id}")
    told = {path: client.get(path, headers=headers).text for path in paths}
    with client.stream("GET", "/v1/live", params={"after": "events/0/0"}, headers={"X-API-Key": key}) as stream:
        told["/v1/live"] = ""
        for line in stream.iter_lines():
            told["/v1/live"] += line
            if "api_key.rotated" in line:
                break
    export = tmp_path / "export.avro"
    replay = ("replay", "--tenant", "hooli", "--data-dir", str(server.folder))
    told["replay"] = CliRunner().invoke(cli, replay).output
    assert CliRunner().invoke(cli, [*replay, "--format", "avro", "-o", str(export)]).exit_code == 0
    with export.open("rb") as file:
        told["avro"] = str(list(fastavro.reader(file)))
    for where, text in told.items():
        assert "api_key.rotated" in text, where
        assert not [one for one in hashes if one in text], where
