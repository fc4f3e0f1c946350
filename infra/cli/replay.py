"""`factline replay` and `factline log` show history as it was recorded, from SQLite and from Kafka alike."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import click
from rich.console import Console
from rich.table import Table

from infra.cli.groups import Suggesting
from infra.cli.options import data_dir_option, profile_option
from infra.cli.shown import json_option, print_json
from infra.cli.told import told
from infra.settings import Settings
from infra.sqlite.event_log import SqliteEventLog
from schemas.avro_file import write_avro_file
from schemas.canonical_json import canonical_json
from schemas.envelope import Entry, Envelope, StreamId, TenantId, Topic, Undecodable
from schemas.shown import shown
from streams.ports import LogReader
from streams.project.replay import Selection, replay

_MANY = 5

_data_dir = data_dir_option("Where the embedded log is; it may be in use.")
_profile = profile_option("distributed: the log on Kafka, where the FACTLINE_… variables say.")


class _Instant(click.ParamType):
    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} must look like 2026-01-31 or 2026-01-31T08:30:00Z", param, ctx)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


@click.command("replay")
@click.option("--tenant", required=True, help="Whose history.")
@click.option("--stream", help="One stream of it, like device-42.")
@click.option("--from", "since", type=_Instant(), help="Recorded at or after; UTC where no offset is given.")
@click.option("--to", "until", type=_Instant(), help="Recorded before.")
@click.option("--types", help="Event types, with commas between them.")
@click.option("--format", "format_", type=click.Choice(["jsonl", "avro"]), default="jsonl", show_default=True)
@click.option("-o", "--output", type=click.File("wb", lazy=False), default="-", help="A file; otherwise it is printed.")
@_profile
@_data_dir
def replay_(
    *,
    tenant: str,
    stream: str | None,
    since: datetime | None,
    until: datetime | None,
    types: str | None,
    format_: str,
    output: IO[bytes],
    profile: str,
    data_dir: Path,
) -> None:
    """Print any part of a tenant's history, events and facts, in the order they were recorded.

    Exit status 1 where a record could not be read: JSON lines name it, an Avro file lacks it.

    \b
    factline replay --tenant demo --stream device-web-1
    factline replay --tenant demo --from 2026-01-01 --to 2026-02-01 --format avro -o january.avro
    """
    wanted = frozenset(name.strip() for name in types.split(",")) if types else frozenset()
    selection = Selection(TenantId(tenant), StreamId(stream) if stream else None, since, until, wanted)
    lost: list[Undecodable] = []
    with told(), _log(profile, data_dir) as log:
        found = map(_shown, replay(log, selection))
        if format_ == "avro":
            write_avro_file(output, _readable(found, lost))
        else:
            for entry in found:
                lost += [entry] if isinstance(entry, Undecodable) else []
                output.write(json_line(entry))
    for entry in lost:
        click.echo(f"factline: {entry.topic}/{entry.partition}/{entry.position}: {entry.reason}", err=True)
    sys.exit(1 if lost else 0)


def _shown(entry: Entry) -> Entry:
    return entry._replace(data=shown(entry.data)) if isinstance(entry, Envelope) else entry


def json_line(entry: Entry) -> bytes:
    if isinstance(entry, Envelope):
        fields = {**entry.shown(), "actor": {"type": entry.actor.type.value, "id": entry.actor.id}}
    else:
        fields = {**entry._asdict(), "raw": entry.raw.hex()}
    return canonical_json(fields).encode() + b"\n"


def _readable(entries: Iterator[Entry], lost: list[Undecodable]) -> Iterator[Envelope]:
    for entry in entries:
        if isinstance(entry, Envelope):
            yield entry
        else:
            lost.append(entry)


@click.group("log", cls=Suggesting)
def log_() -> None:
    """Look at the log itself."""


@log_.command()
@_profile
@_data_dir
@json_option
def describe(profile: str, data_dir: Path, *, as_json: bool) -> None:
    """Show topics, partitions, where they end, and which tenants they hold; on Kafka that reads the whole log.

    \b
    factline log describe
    """
    with told(), _log(profile, data_dir) as log:
        if as_json:
            print_json([_described(log, partition) for partition in range(log.partitions)])
            return
        table = Table("partition", *(f"{topic.value} end at" for topic in Topic), "tenants", box=None)
        for partition in range(log.partitions):
            ends = [f"{log.end(topic, partition):,}" for topic in Topic]
            table.add_row(str(partition), *ends, _names(log.tenants(partition)))
    Console(soft_wrap=True).print(table)


def _described(log: LogReader, partition: int) -> dict[str, Any]:
    ends = {topic.value: log.end(topic, partition) for topic in Topic}
    return {"partition": partition, "ends": ends, "tenants": log.tenants(partition)}


def _names(tenants: Sequence[TenantId]) -> str:
    shown = ", ".join(tenants[:_MANY])
    return f"{len(tenants)}: {shown}{', …' if len(tenants) > _MANY else ''}" if tenants else "none"


@contextmanager
def _log(profile: str, data_dir: Path) -> Iterator[LogReader]:
    if profile == "distributed":
        from infra.distributed import open_log  # noqa: PLC0415, the drivers come with an extra

        with open_log(Settings.from_environment()) as kafka:
            yield kafka
        return
    if not (data_dir / "events.sqlite").exists():
        raise click.ClickException(f"there is no log in {data_dir}; name its folder with --data-dir")
    with closing(SqliteEventLog(data_dir)) as log:
        yield log
