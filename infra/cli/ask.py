"""`factline get`, `factline send` and `factline live` ask a running server anything that its API offers."""

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from factline.client import LiveMessage, LiveRecord, Reply
from infra.cli.servers import asking, server_options
from infra.cli.shown import json_option, print_json, print_line, print_rows


@click.command()
@click.argument("path")
@click.argument("parameters", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--all", "every", is_flag=True, help="All pages, with --json a row a line.")
@click.option("--consistent-with", metavar="TOKEN", help="Wait until the answer holds what was written up to there.")
@json_option
@server_options
def get(path: str, parameters: Sequence[str], *, every: bool, consistent_with: str | None, as_json: bool) -> None:
    """Ask a server, and show the answer as a table.

    \b
    factline get /v1/devices status=ONLINE limit=5
    factline get /v1/devices/web-1 --json
    factline get /v1/logs severity=error --all --json
    factline get /v1/analytics/revenue by=month --server production
    """
    if not path.startswith("/"):
        raise click.BadParameter("it begins with /, like /v1/devices", param_hint="PATH")
    asked: dict[str, Any] = {}
    for name, value in map(_pair, parameters):
        asked.setdefault(name, []).append(value)
    with asking() as client:
        if every:
            rows = client.rows(path, consistent_with=consistent_with, **asked)
            if as_json:
                for row in rows:
                    print_line(row)
            else:
                print_rows(list(rows))
            return
        answer = client.get(path, consistent_with=consistent_with, **asked)
    if as_json or not isinstance(answer, dict) or "rows" not in answer:
        print_json(answer)
    else:
        print_rows(answer["rows"])
        if answer.get("next"):
            click.echo("there is more: --all shows every page", err=True)


def _pair(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not (name and mark):
        raise click.BadParameter(f"{text!r} is not like status=ONLINE", param_hint="NAME=VALUE")
    return name, value


@click.command()
@click.argument("command", metavar="CONTEXT.COMMAND")
@click.argument("body", nargs=-1, metavar="[JSON | @FILE | - | FIELD=TEXT | FIELD:=JSON]...")
@click.option("--key", metavar="ID", help="The Idempotency-Key: sent again under the same one nothing is done twice.")
@click.option(
    "--if-match", type=click.IntRange(min=0), metavar="VERSION", help="The version that the stream must have."
)
@click.option("--deadline", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Not after that.")
@json_option
@server_options
def send(
    command: str,
    body: Sequence[str],
    *,
    key: str | None,
    if_match: int | None,
    deadline: float | None,
    as_json: bool,
) -> None:
    """Send one command, and say what became of it once it is durable.

    The body is JSON, of the command line, of a file, or of the standard input with -; or a field at a time: FIELD=TEXT
    for a text, FIELD:=JSON for anything else. The exit status is 3 where the server refuses it.

    \b
    factline send fleet.RegisterDevice device_id=web-1 hostname=web-1.example
    factline send identity.InviteUser user_id=ann email=ann@acme.example roles:='["ADMIN"]'
    factline send finance.ReceiveInvoice @invoice.json --key invoice-4711
    echo '{"device_id": "web-1"}' | factline send fleet.RetireDevice - --if-match 3
    """
    context, dot, name = command.partition(".")
    if not (context and dot and name):
        raise click.BadParameter(f"{command!r} is not like fleet.RegisterDevice", param_hint="CONTEXT.COMMAND")
    message = body_of(body)
    with asking() as client:
        reply = client.command(context, name, message, idempotency_key=key, if_match=if_match, deadline_s=deadline)
    if as_json:
        print_json(reply._asdict())
    else:
        click.echo(told(reply))


def told(reply: Reply) -> str:
    """Return what became of a command, in a line."""
    types = ", ".join(event["type"] for event in reply.events)
    done = f"{types}, version {reply.version}" if types else f"nothing was to be done, version {reply.version}"
    again = " (as it was answered before)" if reply.repeated else ""
    return f"{reply.stream}: {done}{again}" + (f"; {reply.token}" if reply.token else "")


def body_of(said: Sequence[str]) -> Any:
    """Return the body that the command line says. Raises: BadParameter."""
    if len(said) == 1 and (said[0] == "-" or said[0][:1] in {"@", "{"}):
        return _json(_text(said[0]))
    body: dict[str, Any] = {}
    for one in said:
        name, mark, value = one.partition("=")
        if not (name.removesuffix(":") and mark):
            raise click.BadParameter(f"{one!r} is not like device_id=web-1", param_hint="FIELD=TEXT")
        body[name.removesuffix(":")] = _json(value) if name.endswith(":") else value
    return body


def _text(said: str) -> str:
    try:
        if said == "-":
            return sys.stdin.read()
        return Path(said[1:]).read_text(encoding="utf-8") if said.startswith("@") else said
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{said[1:]} cannot be read: {error}", param_hint="@FILE") from error


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"{text[:100]!r} is not JSON: {error}", param_hint="JSON") from error


@click.command()
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only these, like device.registered.")
@click.option("--stream", help="Only what is of this stream, like device-web-1.")
@click.option("--telemetry", metavar="DEVICE", help="Of telemetry, only what is about this device.")
@click.option("--after", metavar="PLACE", help="Go on behind this place, as --json shows it; else from now on.")
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many.")
@json_option
@server_options
def live(
    *,
    types: Sequence[str],
    stream: str | None,
    telemetry: str | None,
    after: str | None,
    count: int | None,
    as_json: bool,
) -> None:
    """Show what is recorded as it is recorded, until Ctrl-C; after a cut it goes on where it was.

    What nobody records, as the words of a model while it says them, is shown where its type is named: task.streamed,
    conversation.typing.

    \b
    factline live
    factline live --type alert.raised --type alert.resolved
    factline live --stream device-web-1 --after events/0/0 --json
    factline live --stream conversation-c1 --type task.streamed --type conversation.answered
    """
    with suppress(KeyboardInterrupt), asking(patience_s=3600.0) as client:
        found = client.live(types=types, stream=stream, telemetry=telemetry, after=after)
        for number, told in enumerate(found, 1):
            if as_json:
                print_line({"place": told.place, **told.record})
            else:
                click.echo(_line(told))
            if number == count:
                return


def _line(told: LiveRecord) -> str:
    record = told.record
    if "lost" in record:
        return f"{record['lost']} messages are lost: they were not read in time"
    at = record["at" if isinstance(told, LiveMessage) else "recorded_at"]
    data = json.dumps(record["data"], ensure_ascii=False)
    return f"{at}  {record['type']}  {record['stream']}  {data}"
