"""`factline keys` lists, makes, renews and revokes the API keys of a tenant by way of its server."""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

import click

from factline.client import Client
from infra.cli.ask import told
from infra.cli.groups import Suggesting
from infra.cli.servers import asking, server_options
from infra.cli.shown import json_option, print_json, print_rows

_TYPES = "api_key.issued,api_key.rotated,api_key.revoked"
_NUMBER = click.IntRange(1, 1_000_000_000)
_COLUMNS = ("key_id", "name", "scopes", "issued_at", "rotated_at", "revoked_at")


@click.group(cls=Suggesting)
def keys() -> None:
    """List, make, renew and revoke the API keys of your tenant."""


@keys.command("list")
@json_option
@server_options
def list_keys(*, as_json: bool) -> None:
    """Show every key there ever was, as the history has it; secrets are shown by nobody.

    \b
    factline keys list
    """
    with asking() as client:
        rows = _keys(client)
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, _COLUMNS)


def _keys(client: Client) -> list[dict[str, Any]]:
    events = sorted(
        client.rows("/v1/audit/events", types=_TYPES, limit=100),
        key=lambda event: (event["recorded_at"], event["version"]),
    )
    found: dict[str, dict[str, Any]] = {}
    for event in events:
        data = event["data"]
        key = found.setdefault(data["key_id"], dict.fromkeys(_COLUMNS, None) | {"key_id": data["key_id"]})
        key |= {name: data[name] for name in ("name", "scopes") if name in data}
        key[f"{event['type'].removeprefix('api_key.')}_at"] = event["recorded_at"]
    return list(found.values())


@keys.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, help="What it may do, like devices:read or *.")
@click.option("--minute", type=_NUMBER, help="Requests that it may send a minute; else what is usual there.")
@click.option("--hour", type=_NUMBER, help="Requests an hour.")
@click.option("--day", type=_NUMBER, help="Requests a day.")
@json_option
@server_options
def issue(name: str, *, scopes: Sequence[str], as_json: bool, **most: int | None) -> None:
    """Make a key and print it, this once; it may do no more than the key that makes it.

    \b
    factline keys issue "agent of web-1" --scope telemetry:write
    factline keys issue "agent of web-1" --scope telemetry:write --minute 600
    """
    limits = {window: number for window, number in most.items() if number is not None}
    wanted = {"name": name, "scopes": list(scopes), **({"limits": limits} if limits else {})}
    with asking() as client:
        made = client.post("/v1/keys", wanted)
    if as_json:
        print_json(made)
    else:
        click.echo(made["api_key"])


@keys.command()
@click.argument("key_id")
@json_option
@server_options
def rotate(key_id: str, *, as_json: bool) -> None:
    """Give a key another secret and print the new key, this once; the old one is no longer valid.

    \b
    factline keys rotate 3f2a1c-agent
    """
    # it is made here: the server is told its hash alone
    secret = secrets.token_urlsafe(32)
    body = {"key_id": key_id, "secret_sha256": hashlib.sha256(secret.encode()).hexdigest()}
    with asking() as client:
        reply = client.command("identity", "RotateApiKey", body)
    api_key = f"ak_{key_id}.sk_{secret}"
    if as_json:
        print_json({"key_id": key_id, "api_key": api_key, "position": reply.token})
    else:
        click.echo(api_key)


@keys.command()
@click.argument("key_id")
@click.option("--reason", default="", help="Why, for whoever reads the history.")
@click.confirmation_option(prompt="It cannot be made valid again. Revoke it?")
@json_option
@server_options
def revoke(key_id: str, *, reason: str, as_json: bool) -> None:
    """Let a key do nothing any more, within a second.

    \b
    factline keys revoke 3f2a1c-agent --reason lost --yes
    """
    with asking() as client:
        reply = client.command("identity", "RevokeApiKey", {"key_id": key_id, "reason": reason})
    if as_json:
        print_json(reply._asdict())
    else:
        click.echo(told(reply))
