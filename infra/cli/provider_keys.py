"""`factline provider-keys` keeps, renews and removes the secrets with which tasks reach services outside."""

import sys
from collections.abc import Sequence
from urllib.parse import quote

import click

from factline.client import Reply
from infra.cli.ask import told
from infra.cli.groups import Suggesting
from infra.cli.servers import asking, server_options
from infra.cli.shown import json_option, print_json, print_rows

_COLUMNS = ("id", "provider", "kinds", "base_url", "prefix", "status", "added_at", "rotated_at")


@click.group(cls=Suggesting)
def provider_keys() -> None:
    """Keep, renew and remove the secrets with which tasks reach services outside; nobody shows them again.

    A secret is asked for, or read from standard input where that is no terminal. A task is given one whose input says
    `"provider_key": KEY_ID`, if it is for tasks of its kind.
    """


@provider_keys.command("list")
@json_option
@server_options
def list_keys(*, as_json: bool) -> None:
    """Show what there is, without the secrets.

    \b
    factline provider-keys list
    """
    with asking() as client:
        rows = list(client.rows("/v1/provider_keys", limit=100))
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, _COLUMNS)


@provider_keys.command("set")
@click.argument("key_id")
@click.option("--provider", required=True, help="Whose secret it is: openai, anthropic, ollama, webhook or another.")
@click.option("--kind", "kinds", multiple=True, required=True, help="The kind of tasks that may have it.")
@click.option("--base-url", help="Where the service is, if not at its usual address.")
@json_option
@server_options
def set_key(key_id: str, *, provider: str, kinds: Sequence[str], base_url: str | None, as_json: bool) -> None:
    """Keep a secret for tasks of some kinds.

    \b
    factline provider-keys set openai --provider openai --kind chat.complete < openai.key
    factline provider-keys set local --provider ollama --kind chat.complete --base-url http://127.0.0.1:11434
    """
    body = {"key_id": key_id, "provider": provider, "kinds": list(kinds), "base_url": base_url, "secret": _secret()}
    with asking() as client:
        reply = Reply.of(client.post("/v1/secrets", body))
    _tell(reply, as_json=as_json)


@provider_keys.command()
@click.argument("key_id")
@json_option
@server_options
def rotate(key_id: str, *, as_json: bool) -> None:
    """Put another secret in the place of the one before, which is forgotten.

    \b
    factline provider-keys rotate openai < new.key
    """
    with asking() as client:
        reply = Reply.of(client.post(f"/v1/secrets/{quote(key_id, safe='')}", {"secret": _secret()}))
    _tell(reply, as_json=as_json)


@provider_keys.command()
@click.argument("key_id")
@click.option("--reason", default="", help="Why, for whoever reads the history.")
@json_option
@server_options
def remove(key_id: str, *, reason: str, as_json: bool) -> None:
    """Forget a secret: no task is given it any more.

    \b
    factline provider-keys remove openai --reason "another provider"
    """
    with asking() as client:
        reply = client.command("automation", "RevokeProviderKey", {"key_id": key_id, "reason": reason})
    _tell(reply, as_json=as_json)


def _secret() -> str:
    if sys.stdin.isatty():
        asked: str = click.prompt("secret", hide_input=True)
        return asked
    return sys.stdin.read().strip()


def _tell(reply: Reply, *, as_json: bool) -> None:
    if as_json:
        print_json(reply._asdict())
    else:
        click.echo(told(reply))
