"""This makes the tables of ClickHouse, and gives those of an earlier version what they lack."""

import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple, get_type_hints

from clickhouse_connect.driver import Client

from projections.stores import StoreUnavailable
from schemas.values import MONEY_SCALE

ROOM_TO_CHANGE = 1 << 20
"""Bytes that must be free before chDB is told to write a definition, which is some kB."""

_TYPES: Mapping[type, str] = {
    str: "String",
    int: "UInt64",
    float: "Float64",
    datetime: "DateTime64(6, 'UTC')",
    Decimal: f"Decimal(18, {MONEY_SCALE})",
}

_SETTINGS = {"fsync_after_insert": 1, "fsync_part_directory": 1}

# A small part is one file of some kB in place of fourteen, each of which is flushed to the disk by itself. To remove
# more than a hundred old parts at once, the engine would start 128 threads, none of which ever ends.
_EMBEDDED_SETTINGS = {"min_bytes_for_full_part_storage": 1_048_576, "concurrent_part_removal_threshold": 1_000_000}

_FOUND = "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = {table:String}"
_COLUMNS = "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String}"


class NoRoom(StoreUnavailable):
    """The disk is full; what is there stays as it is."""


class Table(NamedTuple):
    """Shape: one column for each field of `row`, sorted by `key`; of rows with one key that of the largest `version`
    stays. `window` is how many blocks back an insert is recognized when it comes again.
    """

    name: str
    row: type
    version: str
    key: Sequence[str]
    partition: str = ""
    window: int = 0


def columns_of(row: type) -> Mapping[str, type]:
    hints = get_type_hints(row)
    return {name: getattr(hint, "__supertype__", hint) for name, hint in hints.items()}


def make(client: Client, table: Table, folder: Path | None) -> None:
    """Make the table, or give one of an earlier version what it lacks: old rows have "" or 0 in a new column.

    Shape: `folder` is where chDB keeps it, None on a server.
    Raises: NoRoom.
    """
    embedded = _EMBEDDED_SETTINGS if folder else {}
    if found := client.query(_FOUND, {"table": table.name}).result_rows:
        changes = _changes(client, table, embedded, said=found[0][0])
    else:
        changes = [_create(table, {**_SETTINGS, **embedded})]
    for change in changes:
        define(client, change, table.name, folder)


def define(client: Client, statement: str, name: str, folder: Path | None) -> None:
    """Make or change what a name stands for. Raises: NoRoom, the disk under chDB has no room to write it down.

    Source: seen with chDB 4.4: on a full disk it answers that a table was made, and leaves a definition of no bytes,
    with which it never opens the folder again.
    """
    if folder and shutil.disk_usage(folder).free < ROOM_TO_CHANGE:
        raise NoRoom(f"the disk under {folder} is full, and {name} must be changed; free some space")
    client.command(statement)


def _create(table: Table, settings: Mapping[str, int]) -> str:
    columns = ", ".join(f"{name} {_TYPES[type_]}" for name, type_ in columns_of(table.row).items())
    partition = f"PARTITION BY {table.partition} " if table.partition else ""
    if table.window:
        settings = {**settings, "non_replicated_deduplication_window": table.window}
    return (
        f"CREATE TABLE IF NOT EXISTS {table.name} ({columns}) ENGINE = ReplacingMergeTree({table.version}) {partition}"
        f"ORDER BY ({', '.join(table.key)}) SETTINGS {_text(settings)}"
    )


def _changes(client: Client, table: Table, settings: Mapping[str, int], *, said: str) -> list[str]:
    """Return what the table lacks; the engine would also write down a change that changes nothing."""
    there = {name for (name,) in client.query(_COLUMNS, {"table": table.name}).result_rows}
    new = [f"{name} {_TYPES[type_]}" for name, type_ in columns_of(table.row).items() if name not in there]
    # another process may have added them in between
    changes = [f"ADD COLUMN IF NOT EXISTS {column}" for column in new]
    if lacking := {name: value for name, value in settings.items() if f"{name} = {value}" not in said}:
        changes.append(f"MODIFY SETTING {_text(lacking)}")
    # one statement for each kind, since the engine takes no mixture of both
    return [f"ALTER TABLE {table.name} {change}" for change in changes]


def _text(settings: Mapping[str, int]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in settings.items())
