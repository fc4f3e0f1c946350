"""Both clients and the command line, against a real server."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner, Result

from factline.client import AsyncClient, Client, Conflict, Forbidden, Invalid, NotFound, Outcome, Unauthenticated
from infra.cli.main import cli
from infra.cli.servers import GONE, REFUSED
from tests.conformance import Target

METRIC = {
    "type": "device.metrics.reported",
    "device_id": "client-1",
    "happened_at": "2026-01-31T08:30:00Z",
    "data": {"metrics": {"cpu": 12.5}},
}


@pytest.fixture
def client(server: Target) -> Iterator[Client]:
    with Client(server.url, server.tenant_key) as client:
        yield client


def test_what_a_command_wrote_is_read_with_its_token(client: Client) -> None:
    body = {"device_id": "client-1", "hostname": "client-1.example"}
    reply = client.command("fleet", "RegisterDevice", body, if_match=0, idempotency_key="client-1")
    assert client.get("/v1/devices/client-1", consistent_with=reply.token)["rows"][0]["hostname"] == "client-1.example"
    again = client.command("fleet", "RegisterDevice", body, if_match=0, idempotency_key="client-1")
    assert again == reply._replace(repeated=True)
    assert client.outcome("client-1") == Outcome(again, None, None)
    taken = client.telemetry([METRIC])
    assert taken.accepted == 1
    day = {"start": "2026-01-31T00:00:00Z", "end": "2026-02-01T00:00:00Z"}
    values = client.rows("/v1/devices/client-1/metrics", consistent_with=taken.token, metric="cpu", **day)
    assert [row["value"] for row in values] == [12.5]


def test_refusals_say_what_is_wrong(client: Client, server: Target) -> None:
    body = {"device_id": "c-2", "hostname": "c-2"}
    with pytest.raises(Conflict) as conflict:
        client.command("fleet", "RegisterDevice", body, if_match=7, idempotency_key="stale")
    assert conflict.value.problem["kind"] == "conflict"
    assert client.outcome("stale") == Outcome(None, "conflict", conflict.value.problem["detail"])
    with pytest.raises(NotFound):
        client.outcome("never")
    with pytest.raises(Invalid) as invalid:
        client.command("fleet", "RegisterDevice", {"device_id": "c-2"})
    assert invalid.value.problem["errors"] == [{"where": "hostname", "what": "Field required"}]
    with pytest.raises(Forbidden):
        client.post("/v1/tenants", {"tenant_id": "acme", "name": "Acme"})
    with Client(server.url, "ak_no.sk_no") as nobody, pytest.raises(Unauthenticated):
        nobody.get("/v1/devices")


def test_the_live_feed_shows_what_is_recorded(client: Client, server: Target) -> None:
    place = client.command("fleet", "RegisterDevice", {"device_id": "live-1", "hostname": "live-1"}).token
    client.command("fleet", "RetireDevice", {"device_id": "live-1"})
    with closing(client.live(stream="device-live-1", after=place)) as found:
        assert next(found).record["type"] == "device.retired"

    async def first() -> Any:
        async with AsyncClient(server.url, server.tenant_key) as asking:
            async for found in asking.live(stream="device-live-1", after="events/0/0"):
                return found.record["type"]
        return None

    assert anyio.run(first) == "device.registered"


def factline(server: Target, *arguments: str, key: str = "", status: int = 0, said: str | None = None) -> Result:
    environment = {
        "FACTLINE_URL": server.url,
        "FACTLINE_API_KEY": key or server.tenant_key,
        "FACTLINE_CONFIG": "/nonexistent",
    }
    result = CliRunner().invoke(cli, arguments, env=environment, input=said)
    assert result.exit_code == status, (result.output, result.exception)
    return result


def test_commands_are_sent_in_every_form(server: Target, tmp_path: Path) -> None:
    sent = factline(server, "send", "fleet.RegisterDevice", "device_id=cli-1", "hostname=cli-1.example", "--json")
    token = json.loads(sent.stdout)["token"]
    shown = factline(server, "get", "/v1/devices/cli-1", "--consistent-with", token)
    assert "cli-1.example" in shown.stdout
    tag = '{"device_id": "cli-1", "key": "site", "value": "Berlin"}'
    assert "device.tagged, version 2" in factline(server, "send", "fleet.TagDevice", tag).stdout
    assert "nothing was to be done, version 2" in factline(server, "send", "fleet.TagDevice", "-", said=tag).stdout
    (tmp_path / "retire.json").write_text('{"device_id": "cli-1"}')
    retire = ("send", "fleet.RetireDevice", f"@{tmp_path / 'retire.json'}")
    assert "version 2" in factline(server, *retire, "--if-match", "9", status=REFUSED).stderr
    assert "device.retired, version 3" in factline(server, *retire, "--if-match", "2").stdout
    roles = ("user_id=ann", "email=ann@acme.example", 'roles:=["ADMIN"]')
    assert "user.invited" in factline(server, "send", "identity.InviteUser", *roles).stdout


def test_lists_are_shown_whole_and_as_json(server: Target) -> None:
    for name in ("list-1", "list-2", "list-3"):
        factline(server, "send", "fleet.RegisterDevice", f"device_id={name}", f"hostname={name}")
    token = json.loads(
        factline(server, "send", "fleet.TagDevice", "device_id=list-3", "key=a", "value=b", "--json").stdout
    )["token"]
    lines = factline(server, "get", "/v1/devices", "limit=1", "--all", "--json", "--consistent-with", token).stdout
    assert {"list-1", "list-2", "list-3"} <= {json.loads(line)["id"] for line in lines.splitlines()}
    assert len(json.loads(factline(server, "get", "/v1/devices", "limit=1", "--json").stdout)["rows"]) == 1
    assert "there is more" in factline(server, "get", "/v1/devices", "limit=1").stderr


def test_what_is_misspelt_is_named(server: Target) -> None:
    assert "Did you mean 'live'" in factline(server, "liv", status=2).stderr
    assert "Did you mean 'rotate'" in factline(server, "keys", "rotat", status=2).stderr
    unknown = factline(server, "send", "fleet.RegisterDevise", "device_id=x", status=REFUSED)
    assert "did you mean fleet.RegisterDevice?" in unknown.stderr
    filtered = factline(server, "get", "/v1/devices", "statuss=ONLINE", status=REFUSED)
    assert "did you mean status?" in filtered.stderr


def test_the_exit_status_says_who_could_not(server: Target) -> None:
    factline(server, "get", "v1/devices", status=2)
    factline(server, "send", "RegisterDevice", status=2)
    assert "there is no" not in factline(server, "get", "/v1/devices", key="ak_a.sk_b", status=REFUSED).stdout
    away = factline(server, "get", "/v1/devices", "--url", "http://[::", status=GONE)
    assert "is no address of a server" in away.stderr


def test_keys_are_made_renewed_and_revoked(server: Target) -> None:
    issue = ("keys", "issue", "agent", "--scope", "devices:read", "--minute", "600")
    made = json.loads(factline(server, *issue, "--json").stdout)
    assert made["limits"] == {"minute": 600, "hour": None, "day": None}
    key_id = made["key_id"]
    renewed = factline(server, "keys", "rotate", key_id).stdout.strip()
    assert renewed.startswith(f"ak_{key_id}.sk_")
    assert renewed != made["api_key"]
    factline(server, "get", "/v1/devices", key=renewed)
    factline(server, "keys", "revoke", key_id, "--reason", "test", "--yes")
    token = json.loads(
        factline(server, "send", "fleet.RegisterDevice", "device_id=k-1", "hostname=k-1", "--json").stdout
    )["token"]
    factline(server, "get", "/v1/audit/events", "--consistent-with", token)
    keys = json.loads(factline(server, "keys", "list", "--json").stdout)
    [agent] = [key for key in keys if key["id"] == key_id]
    assert (agent["name"], agent["scopes"]) == ("agent", ["devices:read"])
    assert agent["rotated_at"]
    assert agent["revoked_at"]
    assert agent["status"] == "REVOKED"
    assert key_id in factline(server, "keys", "list").stdout


def test_users_are_invited_and_turned_away(server: Target) -> None:
    invite = ("users", "invite", "bob", "--email", "bob@acme.example", "--role", "VIEWER")
    factline(server, *invite)
    token = json.loads(factline(server, "users", "withdraw", "bob", "--json").stdout)["token"]
    factline(server, "get", "/v1/users", "--consistent-with", token)
    rows = json.loads(factline(server, "users", "list", "--status", "WITHDRAWN", "--json").stdout)
    assert [row["id"] for row in rows] == ["bob"]
    assert "bob" in factline(server, "users", "list").stdout


def test_secrets_of_providers_are_kept_renewed_and_removed_and_shown_by_nobody(server: Target) -> None:
    kept = ("provider-keys", "set", "openai", "--provider", "openai", "--kind", "chat.complete", "--json")
    said = [factline(server, *kept, said="sk-proj-0123456789abcdefghij\n").stdout]
    said.append(factline(server, "provider-keys", "rotate", "openai", said="sk-next-0123456789abcdefghij").stdout)
    last = factline(server, "provider-keys", "remove", "openai", "--reason", "test", "--json").stdout
    factline(server, "get", "/v1/provider_keys", "--consistent-with", json.loads(last)["token"])
    said += [last, factline(server, "provider-keys", "list").stdout, factline(server, "get", "/v1/audit/events").stdout]
    [row] = json.loads(factline(server, "provider-keys", "list", "--json").stdout)
    assert (row["id"], row["prefix"], row["status"], row["kinds"]) == ("openai", "sk-ne", "REVOKED", ["chat.complete"])
    assert not [text for text in said if "0123456789" in text]


def test_who_was_invited_joins_with_the_token_that_is_printed(server: Target, client: Client) -> None:
    invite = ("users", "invite", "eve", "--email", "eve@acme.example", "--role", "USER")
    [token] = factline(server, *invite).stdout.splitlines()
    join = {"tenant_id": "demo", "user_id": "eve", "token": token, "password": "correct horse battery staple"}
    assert "user.password.set" in client.post("/v1/passwords", join)["events"]


def test_the_live_feed_is_shown(server: Target) -> None:
    factline(server, "send", "fleet.RegisterDevice", "device_id=feed-1", "hostname=feed-1")
    feed = ("live", "--stream", "device-feed-1", "--after", "events/0/0", "--count", "1")
    assert json.loads(factline(server, *feed, "--json").stdout)["type"] == "device.registered"
    assert "device.registered  device-feed-1" in factline(server, *feed).stdout


def test_the_operators_commands_ask_a_server_that_is_named(server: Target) -> None:
    named = ("--url", server.url, "--json")
    rows = json.loads(factline(server, "projections", "list", *named, key=server.operator_key).stdout)
    assert {"devices", "invoices"} <= {row["projection"] for row in rows}
    added = json.loads(factline(server, "tenants", "add", "bolt", *named, key=server.operator_key).stdout)
    assert added["registered"]
    tenants = json.loads(factline(server, "tenants", "list", *named, key=server.operator_key).stdout)
    assert {"tenant_id": "bolt", "status": "ACTIVE"} in tenants
    verdict = json.loads(factline(server, "verify", "devices", *named, key=server.operator_key).stdout)
    assert verdict["differences"] == 0
    assert "only the operator's key" in factline(server, "tenants", "add", "acme", *named, status=2).stderr


def test_servers_have_names_in_the_configuration(server: Target, tmp_path: Path) -> None:
    (tmp_path / "demo.key").write_text(f"{server.tenant_key}\n")
    (tmp_path / "config.toml").write_text(
        f'default = "demo"\n[servers.demo]\nurl = "{server.url}"\napi_key_file = "demo.key"\n[servers.bad]\nkey = "x"\n'
    )
    plain = {"FACTLINE_CONFIG": str(tmp_path / "config.toml"), "FACTLINE_URL": None, "FACTLINE_API_KEY": None}

    def run(*arguments: str, **more: str) -> Result:
        return CliRunner().invoke(cli, ["get", "/v1/devices", *arguments], env={**plain, **more})

    assert run().exit_code == 0
    assert run("--server", "demo").exit_code == 0
    assert run(FACTLINE_SERVER="demo", FACTLINE_API_KEY="ak_a.sk_b").exit_code == 0
    # the environment says another one
    assert run(FACTLINE_URL=server.url, FACTLINE_API_KEY="ak_a.sk_b").exit_code == REFUSED
    assert run("--api-key-file", str(tmp_path / "demo.key"), FACTLINE_URL=server.url).exit_code == 0
    # a key of the file goes to no other address
    assert "no API key" in run("--url", "http://127.0.0.1:9").stderr
    assert "names no server 'prod'; there are: demo, bad" in run("--server", "prod").stderr
    assert "a server has url and api_key_file, and not key" in run("--server", "bad").stderr
    assert run("--server", "demo", "--url", server.url).exit_code == 2
