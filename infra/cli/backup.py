"""`factline backup` and `factline restore`: the log, kept elsewhere and brought back."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from infra.cli.options import data_dir_option, profile_option
from infra.cli.shown import json_option, print_json
from infra.cli.told import told
from infra.settings import Settings
from infra.sqlite.backup import Backup, back_up
from infra.sqlite.backup import restore as restore_to
from streams.ports import LogDamaged, LogUnavailable

if TYPE_CHECKING:
    from infra.kafka.backup import Backup as KafkaBackup

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("to", type=_FOLDER)
@data_dir_option("The folder whose log is copied; its server may be running and go on writing.")
@profile_option("distributed: the log on Kafka, where the FACTLINE_… variables say.")
@json_option
def backup(to: Path, data_dir: Path, profile: str, *, as_json: bool) -> None:
    """Copy the log into the new folder TO, whole and with a digest of every file.

    Everything that was answered before this command began is in the copy. The views are not: they are made from the
    log again. The copy holds the operator's key and the keys of personal data: keep it safe. (Of the distributed
    profile it holds neither the operator's key nor the master key: keep a copy of those files apart from it.)

    \b
    factline backup /backups/2026-11-26
    factline backup /backups/2026-11-26 --profile distributed
    """
    if profile == "distributed":
        with told():
            from infra.distributed import back_up_log  # noqa: PLC0415, the drivers come with an extra

            copied = back_up_log(Settings.from_environment(), to)
        _say_of_kafka(f"{to} holds {_told_of_kafka(copied)}; the master key is not in it", to, copied, as_json=as_json)
        return
    try:
        done = back_up(data_dir, to)
    except (LogDamaged, LogUnavailable) as error:
        raise click.ClickException(str(error)) from error
    _say(f"{to} holds {_told(done)}", to, done, as_json=as_json)


@click.command()
@click.argument("source", type=_FOLDER)
@data_dir_option("The new folder that becomes a data directory.")
@profile_option("distributed: the topics are made on Kafka, where the FACTLINE_… variables say, and must not be there.")
@json_option
def restore(source: Path, data_dir: Path, profile: str, *, as_json: bool) -> None:
    """Make a new data directory from the backup SOURCE, after comparing every file with its digest.

    What was recorded after the backup is not in it. The restored log is a new epoch of the same log: files and views of
    the time after the backup are not taken for parts of it, and consistency tokens and pages of lists from before are
    refused.

    \b
    factline restore /backups/2026-11-26 --data-dir data-restored
    factline serve --data-dir data-restored
    factline restore /backups/2026-11-26 --profile distributed
    factline migrate
    """
    if profile == "distributed":
        with told():
            from infra.migrate import restore_log  # noqa: PLC0415, the drivers come with an extra

            settings = replace(Settings.from_environment(), data_dir=data_dir)
            made = restore_log(settings, source)
        said = f"the topics {settings.topics.prefix}.… hold {_told_of_kafka(made)}; go on with: factline migrate"
        _say_of_kafka(said, source, made, as_json=as_json)
        return
    try:
        done = restore_to(source, data_dir)
    except (LogDamaged, LogUnavailable) as error:
        raise click.ClickException(str(error)) from error
    said = f"{data_dir} holds {_told(done)}; start it with: factline serve --data-dir {data_dir}"
    _say(said, data_dir, done, as_json=as_json)


def _say(text: str, folder: Path, done: Backup, *, as_json: bool) -> None:
    if as_json:
        print_json({"folder": str(folder), **done._asdict(), "identity": done.identity._asdict()})
    else:
        click.echo(text)


def _told(done: Backup) -> str:
    return (
        f"the log {done.identity.id} of {done.taken_at}: {done.events:,} events and {done.facts:,} facts,"
        f" {done.size_bytes / 1_000_000:,.1f} MB"
    )


def _say_of_kafka(text: str, folder: Path, done: "KafkaBackup", *, as_json: bool) -> None:
    if as_json:
        print_json({"folder": str(folder), **done._asdict()})
    else:
        click.echo(text)


def _told_of_kafka(done: "KafkaBackup") -> str:
    return (
        f"the log of {done.taken_at}: {sum(done.events):,} events and {done.records['telemetry']:,} records of facts,"
        f" {done.size_bytes / 1_000_000:,.1f} MB"
    )
