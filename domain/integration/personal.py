"""Which fields of what a connector sends are personal is said by its tenant; their values are taken out here."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, NamedTuple

import orjson
from pydantic import AfterValidator, Field, StringConstraints

from schemas.json_text import json_text

TAKEN: Final = "[personal]"
"""Stands in a payload where a personal value was taken out."""

_RESERVED = frozenset({"op", "source", "before", "after", "key", "payload", "type"})
"""These say what a change is, and of which record; they are recorded in the open."""

LONGEST_PERSON = 200


def _of_a_row(name: str) -> str:
    if name in _RESERVED:
        raise ValueError(f"{name} says what a change is; name the fields of rows and messages that are personal")
    return name


FieldName = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_of_a_row)]
PersonalFields = Annotated[tuple[FieldName, ...], Field(max_length=200)]


class Naming(NamedTuple):
    """What is personal in what a connector sends.

    Shape: values of `fields` are, at any depth; the field `person` says whose they are, "" where each record is a
    person. `number` counts how often that was said. `secret` keeps identities of changes from telling values.
    """

    fields: frozenset[str] = frozenset()
    person: str = ""
    number: int = 0
    secret: bytes = b""


NO_NAMING: Final = Naming()


class Apart(NamedTuple):
    """Shape: `open` is the message without its personal values, which are in `taken` by their JSON Pointers."""

    open: Any
    taken: Mapping[str, Any]


def apart(message: Any, naming: Naming) -> Apart:
    """Take the personal values out of a message. Shape: null stays, because there is no value."""
    taken: dict[str, Any] = {}
    return Apart(_without(message, naming.fields, "", taken) if naming.fields else message, taken)


def _without(message: Any, fields: frozenset[str], at: str, taken: dict[str, Any]) -> Any:
    if isinstance(message, list):
        return [_without(one, fields, f"{at}/{number}", taken) for number, one in enumerate(message)]
    if isinstance(message, str) and holds(message, fields):
        taken[at] = message
        return TAKEN
    if not isinstance(message, dict):
        return message
    kept = {}
    for name, value in message.items():
        # Source: RFC 6901
        pointer = f"{at}/{name.replace('~', '~0').replace('/', '~1')}"
        if name in fields and value is not None:
            taken[pointer] = value
            kept[name] = TAKEN
        else:
            kept[name] = _without(value, fields, pointer, taken)
    return kept


def holds(message: Any, fields: frozenset[str]) -> bool:
    """Return whether one of the fields is somewhere in a message, also in a text that is JSON itself.

    Shape: columns of JSON come as such texts, and so do changed fields of MongoDB, whose names may be paths with dots.
    """
    # a text may be nested deeper than what calls itself can follow
    rest = [message]
    while rest:
        one = rest.pop()
        if isinstance(one, dict):
            if not all(fields.isdisjoint((name, *name.split("."))) for name in one):
                return True
            rest += one.values()
        elif isinstance(one, list):
            rest += one
        elif isinstance(one, str) and one.lstrip()[:1] in _JSON_BEGINS:
            rest.append(_json_in(one))
    return False


_JSON_BEGINS = ("{", "[", '"')


def _json_in(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def person_in(connector_id: str, message: Any, naming: Naming) -> str:
    """Return whose personal fields a message has: the first value of the field that says it, "" where there is none."""
    for name, value in _fields_in(message):
        if name == naming.person and isinstance(value, str | int | float) and not isinstance(value, bool):
            # some converters write all numbers with a point
            person = str(int(value) if isinstance(value, float) and value.is_integer() else value)
            if 0 < len(person) <= LONGEST_PERSON:
                return f"person-{connector_id}~{person}"
    return ""


def identity_of(taken: Mapping[str, Any], naming: Naming) -> str:
    """Return what tells the taken values from others. Shape: without the secret no guess can be tried against it."""
    return hashlib.blake2b(json_text(taken).encode(), key=naming.secret, digest_size=16).hexdigest()


def _fields_in(message: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(message, list):
        for one in message:
            yield from _fields_in(one)
    elif isinstance(message, dict):
        for name, value in message.items():
            yield name, value
            yield from _fields_in(value)
