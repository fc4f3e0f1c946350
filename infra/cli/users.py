"""`factline users` lists, invites and turns away the users of a tenant by way of its server."""

from collections.abc import Sequence

import click

from infra.cli.ask import told
from infra.cli.groups import Suggesting
from infra.cli.servers import asking, server_options
from infra.cli.shown import json_option, print_json, print_rows


@click.group(cls=Suggesting)
def users() -> None:
    """List the users of your tenant, invite some, and withdraw invitations."""


@users.command("list")
@click.option("--status", help="Only those, like INVITED or ACTIVE.")
@json_option
@server_options
def list_users(*, status: str | None, as_json: bool) -> None:
    """Show every user; addresses are masked where the key may not read personal data.

    \b
    factline users list --status INVITED
    """
    with asking() as client:
        rows = list(client.rows("/v1/users", status=status, limit=100))
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, ("id", "email", "roles", "status", "expires_at"))


@users.command()
@click.argument("user_id")
@click.option("--email", required=True, help="The address of whoever is invited.")
@click.option("--role", "roles", multiple=True, required=True, help="OWNER, ADMIN, USER, VIEWER or AUDITOR.")
@json_option
@server_options
def invite(user_id: str, *, email: str, roles: Sequence[str], as_json: bool) -> None:
    """Invite somebody, for seven days, and print the token of the invitation, this once.

    Nobody is told by e-mail: hand the token on. Whoever has it joins by setting a password with POST /v1/passwords.

    \b
    factline users invite ann --email ann@acme.example --role ADMIN
    """
    with asking() as client:
        offered = client.post("/v1/invitations", {"user_id": user_id, "email": email, "roles": list(roles)})
    if as_json:
        print_json(offered)
    else:
        click.echo(offered["token"])


@users.command()
@click.argument("user_id")
@click.option("--reason", default="", help="Why, for whoever reads the history.")
@json_option
@server_options
def withdraw(user_id: str, *, reason: str, as_json: bool) -> None:
    """Take an invitation back.

    \b
    factline users withdraw ann --reason "wrong address"
    """
    with asking() as client:
        reply = client.command("identity", "WithdrawInvitation", {"user_id": user_id, "reason": reason})
    if as_json:
        print_json(reply._asdict())
    else:
        click.echo(told(reply))
