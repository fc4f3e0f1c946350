"""The embedded log finds what a command was answered in two tables: by its events, and by marks where it has none."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Literal, NamedTuple

from domain.rejection import Kind
from projections.instants import to_microseconds
from schemas.envelope import Actor, ActorType, Envelope, StreamId, TenantId
from schemas.mark import StoredMark, decode_mark, encode_mark
from streams.ports import MARK_DAYS, Answered, CommandKey, Mark, Refusal, Reply

_LOG = logging.getLogger(__name__)

CREATE_COMMANDS = (
    """
    CREATE TABLE IF NOT EXISTS commands (
        tenant_id TEXT, command_id TEXT, first INTEGER, last INTEGER, PRIMARY KEY (tenant_id, command_id)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS marks (
        tenant_id TEXT, command TEXT, recorded_at INTEGER, mark BLOB, PRIMARY KEY (tenant_id, command)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX IF NOT EXISTS marks_by_time ON marks (recorded_at)",
)
"""The tables, in which a command is what `command_name` gives; earlier versions wrote a command's id alone."""

MARKS_FOR_US = timedelta(days=MARK_DAYS) // timedelta(microseconds=1)
PRUNE_EVERY = timedelta(hours=1)


class Caused(NamedTuple):
    """A row of `commands`: the positions of the events of a command."""

    tenant_id: TenantId
    command: str
    first: int
    last: int


CausedBy = Mapping[tuple[TenantId, str], Caused]


def command_name(actor: Actor, command_id: str) -> str:
    # an id has no line break, so what stands behind the first one is the actor
    return f"{command_id}\n{actor.type}:{actor.id}"


def caused_by(events: Iterable[Envelope]) -> CausedBy:
    found: dict[tuple[TenantId, str], Caused] = {}
    for event in events:
        key = (event.tenant_id, command_name(event.actor, event.command_id))
        first = found[key].first if key in found else event.position
        found[key] = Caused(*key, first, event.position)
    return found


def index_rows(caused: Sequence[Caused]) -> Sequence[Caused]:
    """Return the rows and the one of no tenant, which says how far the index goes; sorted: neighbours share a page."""
    return sorted([*caused, Caused(TenantId(""), "", 0, max(row.last for row in caused))])


def mark_row(mark: Mark) -> tuple[str, str, int, bytes]:
    tenant_id, actor, command_id = mark.key
    command_hash, reply = mark.answered
    stored = StoredMark(command_hash, reply.stream, reply.version, *(reply.refusal or ()))
    return tenant_id, command_name(actor, command_id), to_microseconds(mark.recorded_at), encode_mark(stored)


def answered_by_marks(rows: Iterable[tuple[str, str, bytes]]) -> Mapping[CommandKey, Answered]:
    """Return the answers of rows of (tenant, command, mark); one that cannot be read is none, and is told of."""
    found: dict[CommandKey, Answered] = {}
    for tenant, command, raw in rows:
        command_id, _, who = command.partition("\n")
        actor_type, _, actor_id = who.partition(":")
        try:
            mark = decode_mark(raw)
            refusal = None if mark.kind is None else Refusal(Kind(mark.kind), mark.reason, mark.actual_version)
        except ValueError as error:
            _LOG.warning("the answer to command %s of tenant %s is lost: %s", command_id, tenant, error)
            continue
        outcome: Literal["accepted", "refused"] = "accepted" if refusal is None else "refused"
        reply = Reply(command_id, outcome, StreamId(mark.stream), mark.version, refusal=refusal)
        key = (TenantId(tenant), Actor(ActorType(actor_type), actor_id), command_id)
        found[key] = Answered(mark.command_hash, reply)
    return found
