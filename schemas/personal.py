"""The fields of a payload that are marked as personal are encrypted and opened here, with the keys that are given.

docs/adr/0027 says what a mark is, docs/adr/0031 who calls this where.
"""

import base64
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from schemas.avro import encode_text
from schemas.envelope import StreamId, TenantId
from schemas.payload import BadPayload, UnknownSchema, schema_of
from schemas.sealed import Tampered, seal, unseal

Subject = tuple[TenantId, str]
"""A person, or whatever else personal fields are of; the same one wherever the text is the same."""

Keys = Mapping[Subject, bytes | None]
"""The keys of subjects; None where the key was destroyed."""

_MARK = "personal"

_STREAM = "stream"
"""What a mark names if the event's stream is the subject; a field of this name cannot be one."""

_TEXTS: Final = ("string", ["null", "string"])

_ERASED_BEFORE = "AA"
"""Stored instead of a value whose subject's key was destroyed before: version byte 0, and nothing to open."""


class BadMark(ValueError):  # noqa: N818
    """A schema marks what cannot be encrypted; a retry gives the same answer."""


class Erased(str):
    """Stands where a personal field can no longer be read; a text, so that whoever expects one goes on."""

    __slots__ = ()


ERASED: Final = Erased("[erased]")


class Origin(NamedTuple):
    """Which event a payload is of, as far as its personal fields depend on it."""

    tenant_id: TenantId
    stream: StreamId
    type: str
    schema_version: int


@cache
def personal_fields(type_: str, version: int) -> Mapping[str, str]:
    """Return the marked fields of a schema, each with the field that names its subject, or with `stream`.

    Raises: UnknownSchema; BadMark, a mark is inside a field, on something else than a text, or names no open text.
    """
    fields = {field["name"]: field for field in schema_of(type_, version)["fields"]}
    marked = {name: field[_MARK] for name, field in fields.items() if _MARK in field}
    for name, subject in marked.items():
        named = fields.get(subject)
        if fields[name]["type"] not in _TEXTS:
            raise BadMark(f"{type_} v{version}: {name} is marked but is not a text; make it one")
        if subject != _STREAM and (named is None or named["type"] not in _TEXTS or subject in marked):
            raise BadMark(f"{type_} v{version}: {name} is marked to be of {subject}, which is no text that stays open")
    if any(_marks_inside(field["type"]) for field in fields.values()):
        raise BadMark(f"{type_} v{version}: a mark stands inside a field; only a field of the event can have one")
    return marked


def is_personal(origin: Origin) -> bool:
    """Return whether a payload may have personal fields; of a version that is not known here, none can be opened."""
    try:
        return bool(personal_fields(origin.type, origin.schema_version))
    except UnknownSchema:
        return False


def _marks_inside(schema: Any) -> bool:
    if isinstance(schema, list):
        return any(map(_marks_inside, schema))
    return isinstance(schema, dict) and (_MARK in schema or any(map(_marks_inside, schema.values())))


def subjects(origin: Origin, data: Mapping[str, Any]) -> frozenset[Subject]:
    """Return whose keys the payload needs, sealed or open. Raises: UnknownSchema; BadMark; BadPayload."""
    return frozenset(subject for _, subject in filled_fields(origin, data))


def seal_payload(origin: Origin, data: Mapping[str, Any], keys: Keys) -> dict[str, Any]:
    """Return the payload as it is stored: with its personal fields encrypted, and all others as they are.

    Shape: a field that is null stays null. What belongs to a subject whose key is None is dropped, and is read as
    ERASED. The same payload gives other texts each time, so it is sealed once, before its bytes are made.
    Raises: UnknownSchema; BadMark; BadPayload, a subject is not named; LookupError, its key is not among `keys`.
    """
    stored = dict(data)
    for name, subject in filled_fields(origin, data):
        if subject not in keys:
            raise LookupError(f"{origin.type}: the key for {name} was not given; make the keys of `subjects` first")
        key = keys[subject]
        stored[name] = (
            _ERASED_BEFORE if key is None else _text(seal(key, data[name].encode(), _place(origin.type, name, subject)))
        )
    return stored


def open_payload(origin: Origin, data: Mapping[str, Any], keys: Keys) -> dict[str, Any]:
    """Return a stored payload with its personal fields open, or ERASED where the subject has no key among `keys`.

    Raises: UnknownSchema; BadMark; BadPayload, a subject is not named; Tampered, a field is not what was stored for
    this tenant, type, field and subject.
    """
    opened = dict(data)
    for name, subject in filled_fields(origin, data):
        key = keys.get(subject)
        if key is None:
            opened[name] = ERASED
            continue
        opened[name] = open_field(origin.type, name, subject, key, data[name])
    return opened


def open_field(type_: str, name: str, subject: Subject, key: bytes, stored: str) -> str:
    """Return one field of an event open.

    Raises: Tampered, it is not what was stored for this tenant, type, field and subject.
    """
    try:
        return unseal(key, _bytes(stored), _place(type_, name, subject)).decode()
    except Tampered as error:
        raise Tampered(f"{type_}: {name}: {error}") from None


def filled_fields(origin: Origin, data: Mapping[str, Any]) -> Iterator[tuple[str, Subject]]:
    """Yield the marked fields that have a value, sealed or open, with their subjects.

    Raises: UnknownSchema; BadMark; BadPayload, a subject is not named.
    """
    for name, named_by in personal_fields(origin.type, origin.schema_version).items():
        if data.get(name) is None:
            continue
        subject = origin.stream if named_by == _STREAM else data.get(named_by)
        if not subject:
            raise BadPayload(f"{origin.type} v{origin.schema_version}: {name} is of {named_by}, which is empty")
        yield name, (origin.tenant_id, subject)


def _place(type_: str, name: str, subject: Subject) -> bytes:
    # each with its length, so that no two places have the same bytes
    return b"".join(map(encode_text, (subject[0], type_, name, subject[1])))


def _text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise Tampered("it is not what was stored") from None
    if _text(sealed) != text:
        # base64 is read from other texts too: with characters that it skips, or other last bits
        raise Tampered("it is not what was stored")
    return sealed
