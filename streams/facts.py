"""The facts of one request are put together here: those of one stream into records, whose ids say what is in them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import NamedTuple

from domain.message import Fact, Packed, Said
from schemas.avro import encode_bytes, encode_long, encode_text
from schemas.envelope import StreamId, TenantId
from schemas.payload import END_OF_ITEMS, ONE_ITEM, Encoded, encode_items, encode_payload, encoded
from streams.identifiers import sender_id
from streams.ports import FactSubmission

_IDS_1 = b"\x01"
"""Begins all that an id is made of: another way to make them has another number."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Record(NamedTuple):
    """What one request says of one stream.

    Shape: `about` is the stream that it is about, which is another one where a line names the device that it is of: all
    that is about one stream is in one partition. `facts` and `items` are those of `Packed`.
    """

    id: bytes
    type: str
    schema_version: int
    stream: StreamId
    about: StreamId
    happened_at: datetime
    facts: int
    items: int
    data: Encoded


class _Group(NamedTuple):
    kind: type[Fact]
    of: str
    about: str
    is_named: bool


def pack(tenant_id: TenantId, facts: Sequence[FactSubmission], key: str = "") -> Sequence[Record]:
    """Return the records of a request, in the order in which it names their streams.

    Shape: `key` is the request's own, "" where it has none. The same facts under the same key have records with the
    same ids, so that a request that is sent again adds nothing. Facts with an id of their own are not together with
    others: whether they are known already changes nothing about these.
    Raises: BadPayload.
    """
    groups: dict[tuple[type[Fact], str, str, bool], list[Said]] = {}
    for of, happened_at, fact, id_ in facts:
        kind = fact.__class__
        at_us = (happened_at - _EPOCH) // _MICROSECOND
        # readings are most of what comes, and nothing but their stream tells where they go
        if kind.IS_READING:
            group, own = (kind, of, of, False), None
        else:
            group, own = (kind, of, fact.about or of, id_ is not None), sender_id(id_) if id_ is not None else None
        if (said := groups.get(group)) is None:
            groups[group] = said = []
        said.append((at_us, fact, own))
    return [record for group, said in groups.items() for record in _records(tenant_id, _Group(*group), said, key)]


def own_keys(tenant_id: TenantId, facts: Sequence[FactSubmission]) -> Sequence[bytes | None]:
    """Return what each fact is known by that has an id of its own: that id, and what it says; None for any other.

    Raises: BadPayload.
    """
    keys: list[bytes | None] = [None] * len(facts)
    of_kind: dict[type[Fact], list[int]] = {}
    for n, (_, _, fact, id_) in enumerate(facts):
        if id_ is not None and not fact.IS_READING:
            of_kind.setdefault(fact.__class__, []).append(n)
    for kind, places in of_kind.items():
        alone = [_alone(facts[n]) for n in places]
        names = {of: _names(tenant_id, f"{kind.CATEGORY}-{of}", kind) for of in {facts[n].device_id for n in places}}
        for n, one, avro in zip(places, alone, _payloads(kind, alone), strict=True):
            of, _, _, id_ = facts[n]
            # no request has a key with a space
            keys[n] = _id(names[of], f"own {id_}", (kind.RECORD.VERSION, 0, one.first_us), avro)
    return keys


def _alone(submission: FactSubmission) -> Packed:
    _, happened_at, fact, id_ = submission
    [packed] = fact.pack([((happened_at - _EPOCH) // _MICROSECOND, fact, sender_id(id_) if id_ is not None else None)])
    return packed


def _payloads(kind: type[Fact], packed: Sequence[Packed]) -> Iterator[bytes]:
    """Yield the Avro bytes of payloads with one item each, all written at once: most of them say the same."""
    record = kind.RECORD
    items = encode_items(record.TYPE, record.VERSION, [item for one in packed for [item] in one.data.values()])
    if items is None:
        yield from (encode_payload(record.TYPE, record.VERSION, one.data) for one in packed)
    else:
        yield from (b"".join((ONE_ITEM, item, END_OF_ITEMS)) for item in items)


def _records(tenant_id: TenantId, group: _Group, said: Sequence[Said], key: str) -> Iterator[Record]:
    category, written = group.kind.CATEGORY, group.kind.RECORD
    stream = StreamId(f"{category}-{group.of}")
    names = _names(tenant_id, stream, group.kind)
    for part, (first_us, facts, items, data) in enumerate(group.kind.pack(said)):
        payload = encoded(written.TYPE, written.VERSION, data)
        id_ = _id(names, key, (written.VERSION, part, first_us), payload.avro)
        about = StreamId(f"{category}-{group.about}")
        at = _EPOCH + timedelta(microseconds=first_us)
        yield Record(id_, written.TYPE, written.VERSION, stream, about, at, facts, items, payload)


def _names(tenant_id: TenantId, stream: str, kind: type[Fact]) -> bytes:
    return b"".join((_IDS_1, *map(encode_text, (tenant_id, stream, kind.RECORD.TYPE))))


def _id(names: bytes, key: str, numbers: tuple[int, int, int], avro: bytes) -> bytes:
    """Shape: `numbers` are the version, which part of the request it is, and the first instant in microseconds."""
    return content_id(b"".join((names, encode_text(key), *map(encode_long, numbers), encode_bytes(avro))))


def content_id(content: bytes) -> bytes:
    """Return 16 bytes that name a content, which begins with the number of the way in which it is put together.

    Source: RFC 9562, UUID version 8.
    """
    digest = bytearray(blake2b(content, digest_size=16).digest())
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return bytes(digest)
