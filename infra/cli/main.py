"""This is the command line; it loads the module of a command when the command is asked for."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from infra.cli.groups import Lazy
from infra.data_dir import DataDirError
from infra.settings import CannotStart
from schemas.envelope import TenantId

if TYPE_CHECKING:
    from infra.serve.syslog import Syslog
    from projections.credentials import RateLimits

_LAST_PORT = 65_535


_MODULES: Mapping[str, tuple[str, str]] = {
    "backup": ("infra.cli.backup", "backup"),
    "dead-letters": ("infra.cli.operator", "dead_letters"),
    "agent": ("infra.cli.agent", "agent"),
    "demo": ("infra.cli.demo", "demo"),
    "asyncapi": ("infra.cli.asyncapi", "asyncapi"),
    "engines": ("infra.cli.engines", "engines"),
    "get": ("infra.cli.ask", "get"),
    "import": ("infra.cli.imports", "import_"),
    "keys": ("infra.cli.keys", "keys"),
    "live": ("infra.cli.ask", "live"),
    "log": ("infra.cli.replay", "log_"),
    "migrate": ("infra.cli.worker", "migrate"),
    "projections": ("infra.cli.operator", "projections"),
    "provider-keys": ("infra.cli.provider_keys", "provider_keys"),
    "ready": ("infra.cli.ready", "ready"),
    "replay": ("infra.cli.replay", "replay_"),
    "restore": ("infra.cli.backup", "restore"),
    "send": ("infra.cli.ask", "send"),
    "tail": ("infra.cli.tail", "tail"),
    "tenants": ("infra.cli.operator", "tenants"),
    "users": ("infra.cli.users", "users"),
    "verify": ("infra.cli.operator", "verify"),
    "worker": ("infra.cli.worker", "worker"),
}


@click.group(cls=Lazy, modules=_MODULES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="factline")
def cli() -> None:
    """Event-sourced history for services, analysts, auditors and dashboards.

    \b
    factline serve                                  start the server on 127.0.0.1:8080
    factline import invoices FILE --tenant demo     bring in your own data
    factline verify                                 prove that every view equals the log
    """


@cli.command()
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="DATA_DIR",
    default="data",
    show_default=True,
    help="Where the log and the views are kept.",
)
@click.option("--port", type=click.IntRange(0, 65535), envvar="PORT", default=8080, show_default=True)
@click.option(
    "--profile",
    type=click.Choice(["embedded", "distributed"]),
    envvar="FACTLINE_PROFILE",
    default="embedded",
    show_default=True,
    help="distributed: a gateway to Kafka, where the FACTLINE_… variables say.",
)
@click.option(
    "--syslog",
    metavar="HOST:PORT",
    envvar="FACTLINE_SYSLOG",
    help="Take syslog there too, over TCP and UDP; nobody who sends it is asked for a key.",
)
@click.option(
    "--syslog-tenant", envvar="FACTLINE_SYSLOG_TENANT", default="demo", show_default=True, help="Whose it is."
)
@click.option(
    "--syslog-timezone",
    envvar="FACTLINE_SYSLOG_TIMEZONE",
    default="UTC",
    show_default=True,
    help="The IANA zone of times without an offset.",
)
@click.option(
    "--key-limits",
    metavar="MINUTE,HOUR,DAY",
    envvar="FACTLINE_KEY_LIMITS",
    default="60,1000,10000",
    show_default=True,
    help="How many requests a key may send that was issued without limits of its own.",
)
@click.option(
    "--tasks",
    "kinds",
    metavar="KINDS",
    envvar="FACTLINE_TASKS",
    help="The tasks that the embedded server does itself, like http.check,http.request, or none; the harmless ones"
    " where it is left out.",
)
def serve(
    *,
    data_dir: Path,
    port: int,
    profile: str,
    syslog: str | None,
    syslog_tenant: str,
    syslog_timezone: str,
    key_limits: str,
    kinds: str | None,
) -> None:
    """Start the server; Ctrl-C stops it, and the next start has lost nothing.

    With --syslog it takes messages of RFC 3164 and 5424 as log lines of one tenant: each is of the device that its
    host is, the host's name with a dash for what a device id may not hold. A device that is not known is registered.

    \b
    factline serve
    PORT=9000 DATA_DIR=/var/lib/factline factline serve
    factline serve --syslog 127.0.0.1:5514
    factline serve --key-limits 600,10000,100000
    factline serve --tasks http.check,http.request
    """
    usual_limits = _limits(key_limits)
    listen = _syslog(syslog, syslog_tenant, syslog_timezone) if syslog else None
    if profile == "distributed":
        from infra.cli.worker import gateway  # noqa: PLC0415, the drivers come with an extra

        sys.exit(gateway(data_dir, port=port, usual_limits=usual_limits, syslog=listen))
    from infra.serve.embedded import serve as run  # noqa: PLC0415 - the engine takes a second to load; --help should not

    sys.exit(run(data_dir, port=port, usual_limits=usual_limits, syslog=listen, tasks=_kinds(kinds)))


def _limits(text: str) -> "RateLimits":
    """Return the limits of a minute, an hour and a day. Raises: BadParameter, they are not three numbers from 1."""
    from projections.credentials import RateLimits  # noqa: PLC0415 - --help need not wait for it

    numbers = [number.strip() for number in text.split(",")]
    if len(numbers) != len(RateLimits._fields) or not all(n.isascii() and n.isdigit() and int(n) for n in numbers):
        raise click.BadParameter(
            f"{text} is no three numbers from 1; write requests a minute, an hour and a day, like 60,1000,10000",
            param_hint="--key-limits",
        )
    return RateLimits(*map(int, numbers))


def _kinds(text: str | None) -> Sequence[str]:
    from infra.handlers.kinds import HARMLESS, BadKinds, kinds_of  # noqa: PLC0415 - --help need not wait for it

    try:
        return kinds_of(text, HARMLESS)
    except BadKinds as error:
        raise click.BadParameter(str(error), param_hint="--tasks") from error


def _syslog(address: str, tenant: str, timezone: str) -> "Syslog":
    """Return where to listen. Raises: BadParameter, a part of it cannot be."""
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 - --help need not wait for it

    from infra.serve.syslog import Syslog  # noqa: PLC0415
    from schemas.values import TenantName  # noqa: PLC0415
    from streams.intake.files.zones import zone_of  # noqa: PLC0415

    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _LAST_PORT:
        raise click.BadParameter(f"{address} is no address; write it like 127.0.0.1:5514", param_hint="--syslog")
    try:
        tenant_id = TenantId(TypeAdapter(TenantName).validate_python(tenant))
    except ValidationError as error:
        raise click.BadParameter(f"{tenant} is no tenant", param_hint="--syslog-tenant") from error
    try:
        zone = zone_of(timezone)
    except (KeyError, ValueError, OSError) as error:
        raise click.BadParameter(f"{timezone} is no time zone", param_hint="--syslog-timezone") from error
    return Syslog(host.strip("[]"), int(port), tenant_id, zone)


def main() -> None:
    """Run the command line; a known error is one line and exit status 2."""
    # history and keys are for their owner: whatever this process makes is
    os.umask(0o077)
    try:
        cli()
    except (DataDirError, CannotStart, OSError) as error:
        click.echo(f"factline: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
