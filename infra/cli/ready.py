"""`factline ready` asks a worker of this machine how it is, for whoever checks its health."""

import json
import sys
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import urlopen

import click

from infra.cli.shown import json_option, print_json

_TIMEOUT_S = 5.0


@click.command()
@click.option(
    "--status-port",
    type=click.IntRange(1, 65535),
    envvar="FACTLINE_STATUS_PORT",
    required=True,
    help="Where the worker answers on 127.0.0.1; FACTLINE_STATUS_PORT says it to both.",
)
@json_option
def ready(status_port: int, *, as_json: bool) -> None:
    """Ask a worker of this machine whether it does its work: the exit status is 0 if so, else 1, and it says why.

    \b
    factline worker timeline --status-port 9100
    factline ready --status-port 9100
    """
    url = f"http://127.0.0.1:{status_port}/ready"
    try:
        with urlopen(url, timeout=_TIMEOUT_S):
            _say(as_json=as_json)
    except HTTPError as error:
        if as_json:
            _say(as_json=True, problem=_problem(error))
            sys.exit(1)
        raise click.ClickException(_problem(error)) from None
    except (OSError, HTTPException) as error:
        raise click.ClickException(f"no worker answers at {url}: {error}") from None


def _say(*, as_json: bool, problem: str | None = None) -> None:
    if as_json:
        print_json({"ready": problem is None, "problem": problem})
    else:
        click.echo("ready")


def _problem(answer: HTTPError) -> str:
    try:
        return str(json.loads(answer.read())["problem"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.url} answered {answer.code}: what answers there is no worker of factline"
