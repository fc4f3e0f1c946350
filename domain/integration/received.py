"""What a system outside sends is read here: a message of any kind, or a change of a row as Debezium tells it."""

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from domain.integration.change import UNKNOWN, IngestChange, Op
from domain.integration.personal import NO_NAMING, Naming, apart, holds, identity_of, person_in
from schemas.json_text import json_text

_LONGEST_NAME = 200
_MOST_KEY_BYTES = 4 * 1024
_RECORD_HEX, _IDENTITY_HEX = 24, 32
_SENT_AT = frozenset({"ts_ms", "ts_us", "ts_ns"})
"""When Debezium told it, which is another moment when it tells it again."""

_POSITIONS = ("lsn", "scn", "commit_lsn", "change_lsn", "gtid", "file", "pos", "row", "ord", "sequence", "txId")
"""Where a change stands in the log of its source, by the names that Debezium's connectors have for it."""

_OPS = frozenset(op.value for op in Op)


class Received(NamedTuple):
    """A change, and what tells it from every other one of its connector."""

    command: IngestChange
    identity: str


def read_message(connector_id: str, message: Any, said_id: str | None, naming: Naming = NO_NAMING) -> Received:
    """Return a message of any kind. Shape: without an id, which its sender says, what it says is its identity.

    Raises: ValueError, it cannot be recorded.
    """
    json_text(message)
    said, taken = apart(message, naming)
    payload = json_text(said)
    body = ["body", payload, *([identity_of(taken, naming)] if taken else [])]
    identity = _digest(["id", said_id] if said_id else body)
    type_ = _name(said.get("type")) if isinstance(said, dict) else ""
    command = IngestChange(
        connector_id=connector_id,
        record=_digest([connector_id, identity])[:_RECORD_HEX],
        source_event_type=type_ or UNKNOWN,
        op=Op.MESSAGE,
        payload=payload,
        **_hidden(connector_id, message, taken, naming),
    )
    return Received(command, identity)


def read_debezium(connector_id: str, message: Any, naming: Naming = NO_NAMING) -> Received:
    """Return a change of a row. What is no envelope of Debezium is recorded too, as UNKNOWN.

    Raises: ValueError, it cannot be recorded.
    Source: the Debezium documentation, "Change event values".
    """
    whole = _unwrapped(message)
    json_text(whole)
    envelope, taken = apart(whole, naming)
    payload = json_text(envelope)
    said: Mapping[str, Any] = envelope if isinstance(envelope, dict) else {}
    found = said.get("source")
    source: Mapping[str, Any] = found if isinstance(found, dict) else {}
    op = said.get("op")
    names = [_text(source.get("db")), _text(source.get("schema")), _text(source.get("table", source.get("collection")))]
    key = _key(message, said)
    if naming.fields:
        _check_rows(said, key, naming)
    key_text = "" if key is None else json_text(key, most=_MOST_KEY_BYTES)
    # without a source nothing but the moment tells an update from the same one later
    told = _told(said) if source else envelope
    identity = _digest([told, key_text, *([identity_of(taken, naming)] if taken else [])])
    position = {name: source[name] for name in _POSITIONS if source.get(name) is not None}
    command = IngestChange(
        connector_id=connector_id,
        record=_digest([connector_id, *names, key_text or identity])[:_RECORD_HEX],
        source_event_type=_name(op) or UNKNOWN,
        op=Op(op) if isinstance(op, str) and op in _OPS else Op.UNKNOWN,
        database=_name(names[0]),
        schema_name=_name(names[1]),
        table=_name(names[2]),
        key=key_text,
        source_position=json_text(position) if position else "",
        payload=payload,
        **_hidden(connector_id, whole, taken, naming),
    )
    return Received(command, identity)


def _hidden(connector_id: str, whole: Any, taken: Mapping[str, Any], naming: Naming) -> dict[str, Any]:
    """Return what a command says of personal values that were taken out, and of how it was known what is personal."""
    hidden: dict[str, Any] = {"naming": naming.number}
    if taken:
        hidden |= {"person": person_in(connector_id, _rows_first(whole), naming), "personal": json_text(taken)}
    return hidden


def _rows_first(whole: Any) -> Any:
    """Return a message with the rows of a change before all else, the newer one first."""
    return [whole.get("after"), whole.get("before"), whole] if isinstance(whole, dict) else whole


def _check_rows(said: Mapping[str, Any], key: Any, naming: Naming) -> None:
    """Raises: ValueError, a personal value would be recorded in the open."""
    if key is not None and not isinstance(key, dict):
        raise ValueError("has a key that is no JSON object, so that its personal fields are not known")
    if holds(key, naming.fields):
        raise ValueError("has a personal field in the key of its row, which is recorded in the open")
    rows = (said.get("before"), said.get("after"))
    if not all(row is None or isinstance(row, dict) for row in rows):
        raise ValueError("has a row that is no JSON object, so that its personal fields are not known")


def _unwrapped(message: Any) -> Any:
    """Return what is in `payload`, where a converter wraps it with its schema."""
    return message["payload"] if isinstance(message, dict) and "payload" in message and "op" not in message else message


def _told(said: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in said.items() if name not in _SENT_AT}


def _key(message: Any, said: Mapping[str, Any]) -> Any:
    """Return what names a row: the `key` that came beside it, or the row's `id`; None where there is neither."""
    for beside in (message, said):
        if isinstance(beside, dict) and beside.get("key") is not None:
            return _unwrapped(beside["key"])
    for row in (said.get("after"), said.get("before")):
        if isinstance(row, dict) and row.get("id") is not None:
            return {"id": row["id"]}
    return None


def _text(said: Any) -> str:
    return said if isinstance(said, str) else ""


def _name(said: Any) -> str:
    """Return a name as one line that lists can show."""
    return "".join(one if one.isprintable() else " " for one in _text(said)[:_LONGEST_NAME])


def _digest(what: Any) -> str:
    return hashlib.sha256(orjson.dumps(what, option=orjson.OPT_SORT_KEYS)).hexdigest()[:_IDENTITY_HEX]
