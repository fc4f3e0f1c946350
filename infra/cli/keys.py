"""`factline keys` lists, makes, renews and revokes the API keys of a tenant by way of its server."""

import hashlib
import secrets
from collections.abc import Sequence

import click

from infra.cli.ask import told
from infra.cli.groups import Suggesting
from infra.cli.servers import asking, server_options
from infra.cli.shown import json_option, print_json, print_rows

_NUMBER = click.IntRange(1, 1_000_000_000)
_COLUMNS = ("id", "name", "scopes", "status", "issued_at", "rotated_at", "revoked_at")


@click.group(cls=Suggesting)
def keys() -> None:
    """List, make, renew and revoke the API keys of your tenant."""


@keys.command("list")
@json_option
@server_options
def list_keys(*, as_json: bool) -> None:
    """Show every key there ever was; secrets are shown by nobody.

    \b
    factline keys list
    """
    with asking() as client:
        rows = list(client.rows("/v1/keys", limit=100))
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, _COLUMNS)


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
