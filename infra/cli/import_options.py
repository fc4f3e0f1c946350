"""All imports share these options and the checks of their values."""

from collections.abc import Callable, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfoNotFoundError

import click
from pydantic import TypeAdapter, ValidationError

from infra.cli.import_sinks import SinkOf
from infra.cli.servers import server_of_call, server_options
from infra.cli.shown import json_summary
from schemas.envelope import TenantId
from schemas.values import TenantName
from streams.intake.files.zones import zone_of


class Valid(click.ParamType):
    """A value that the messages take; anything else is a mistake in the call."""

    def __init__(self, name: str, type_: Any) -> None:
        self.name = name
        self._adapter: TypeAdapter[str] = TypeAdapter(type_)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return self._adapter.validate_python(value)
        except ValidationError as error:
            self.fail(f"{value!r}: {error.errors()[0]['msg']}", param, ctx)


class _Encoding(click.ParamType):
    name = "encoding"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            "".encode(value)
        except LookupError as error:
            self.fail(str(error), param, ctx)
        return str(value)


class _Zone(click.ParamType):
    name = "timezone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tzinfo:
        if isinstance(value, tzinfo):
            return value
        try:
            return zone_of(str(value))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.fail(f"{value!r} is no time zone; name one like Europe/Berlin", param, ctx)


class Call(NamedTuple):
    """What all imports are told."""

    paths: Sequence[Path]
    tenant_id: TenantId
    encoding: str
    to: SinkOf


def shared(command: Callable[..., None]) -> Callable[..., None]:
    for decorate in (
        click.option(
            "--data-dir",
            type=click.Path(path_type=Path, file_okay=False),
            help="Import into this directory, which no server has open, instead of into the server.",
        ),
        click.option(
            "--encoding", type=_Encoding(), default="utf-8", show_default=True, help="How the files are coded."
        ),
        click.option("--tenant", type=Valid("tenant", TenantName), required=True, help="Whose data it is."),
        server_options,
        json_summary,
        click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True)),
    ):
        command = decorate(command)
    return command


zone_option = click.option(
    "--timezone",
    "zone",
    type=_Zone(),
    default="UTC",
    show_default=True,
    help="The IANA zone of times without an offset, like Europe/Berlin.",
)


def sink_of(data_dir: Path | None) -> SinkOf:
    if data_dir is not None:
        return SinkOf(data_dir, "", None)
    return SinkOf(None, *server_of_call())


def say(text: str) -> None:
    click.echo(text, err=True)
