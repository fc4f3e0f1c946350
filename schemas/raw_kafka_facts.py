"""Many records of facts on Kafka are read at once here: their headers once each, their payloads as columns of Arrow."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache, cached_property
from itertools import compress
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.envelope import Entry, Topic
from schemas.kafka_record import (
    BEFORE_PAYLOAD,
    FACT_HEADERS,
    MAGIC,
    actor_of,
    decode_kafka,
    kafka_record,
    type_of,
)
from schemas.payload import schema_files
from schemas.raw_facts import (
    FactColumns,
    Numbers,
    RawFacts,
    Unusual,
    is_instant,
    payload_fields,
    read_avro,
    schema_text,
    sizes_of,
)

MANY = 100
"""Fewer records than these are read sooner one by one."""

_INSTANT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z$"
_TYPE, _URN = FACT_HEADERS.index("ce_type"), FACT_HEADERS.index("ce_dataschema")
_TEXTS = ("ce_id", "ce_correlationid", "ce_causationid")


class Record(Protocol):
    """What a consumer was given."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, Any]]: ...


Row = tuple[int, Record, int | None]


class _Heads(NamedTuple):
    """Shape: `values` are the headers of each record in the order of FACT_HEADERS, `of` its type and version."""

    values: Sequence[Sequence[Any]]
    of: Sequence[tuple[str, int]]


class KafkaFacts(RawFacts):
    """Records of the topic of facts.

    Shape: a row is the position, one more than the offset; the record; and when the broker took it, None where it did
    not say so. Units: milliseconds since 1970.
    """

    def columns(self, type_: str, version: int) -> FactColumns:
        heads = self.heads
        wanted = [of[0] == type_ for of in heads.of]
        if any(of[0] == type_ and of[1] != version for of in set(heads.of)):
            raise Unusual("a record is of another version")
        try:
            return _columns(list(compress(self.rows, wanted)), list(compress(heads.values, wanted)), type_, version)
        except (ValueError, TypeError, AttributeError) as error:
            raise Unusual(str(error)) from error

    def concerning(self, types: Collection[str]) -> Self:
        wanted = [of[0] in types for of in self.heads.of]
        return self if all(wanted) else self._with(list(compress(self.rows, wanted)))

    @cached_property
    def heads(self) -> _Heads:
        """Return the headers of all records, which have those of a fact and no other. Raises: Unusual."""
        if self._parts:
            heads = [part.heads for part in self._parts]
            return _Heads([one for head in heads for one in head.values], [one for head in heads for one in head.of])
        found = [tuple(zip(*record.headers, strict=True)) for _, record, _ in self.rows]
        if not all(found) or any(names != FACT_HEADERS for names in {names for names, _ in found}):
            raise Unusual("a record has other headers than a fact has")
        values = [values for _, values in found]
        said = [(head[_TYPE], head[_URN]) for head in values]
        try:
            kinds = {one: type_of(*one) for one in set(said)}
        except (ValueError, AttributeError, TypeError) as error:
            raise Unusual(str(error)) from error
        if not _known() >= set(kinds.values()):
            raise Unusual("a record is of a type or version that is not known")
        return _Heads(values, [kinds[one] for one in said])

    def _decoded(self, row: Row) -> Entry:
        position, record, appended_ms = row
        raw = kafka_record(record.key, record.value, record.headers, appended_ms=appended_ms)
        return decode_kafka(raw, topic=Topic.TELEMETRY, partition=self.partition, position=position)


def _columns(rows: Sequence[Row], heads: Sequence[Sequence[Any]], type_: str, version: int) -> FactColumns:
    """Return what `decode_kafka` says of each. Raises: Unusual, ValueError, TypeError, AttributeError."""
    by_name = dict(zip(FACT_HEADERS, zip(*heads, strict=True) if heads else [()] * len(FACT_HEADERS), strict=True))
    for name in _TEXTS:
        _check_texts(by_name[name])
    for actor in set(by_name["ce_actor"]):
        actor_of(actor)
    for at in set(by_name["ce_recordedat"]):
        if datetime.fromisoformat(at.decode()).tzinfo is None:
            raise Unusual("an instant is of no zone")
    records = [record for _, record, _ in rows]
    keys = [(record.key or b"").decode().partition("|") for record in records]
    values = [record.value or b"" for record in records]
    if not all(bar for _, bar, _ in keys) or not all(
        len(value) >= BEFORE_PAYLOAD and value[0] == MAGIC for value in values
    ):
        raise Unusual("a record has no key, or its value is not in the Confluent wire format")
    return FactColumns(
        pa.array([tenant for tenant, _, _ in keys], pa.string()),
        pa.array([stream for _, _, stream in keys], pa.string()),
        _microseconds(by_name["ce_time"]),
        np.array([position for position, _, _ in rows], np.int64),
        _payloads([value[BEFORE_PAYLOAD:] for value in values], type_, version),
        by_name["ce_id"],
        bytes.decode,
    )


def _payloads(raws: Sequence[bytes], type_: str, version: int) -> pa.RecordBatch:
    found = read_avro(raws, _schema(type_, version))
    sizes: Numbers = np.zeros(len(raws), np.int64)
    for field in payload_fields(type_, version):
        sizes += sizes_of(field["type"], found.column(field["name"]))
    if not np.array_equal(sizes, np.fromiter(map(len, raws), np.int64, len(raws))):
        raise Unusual("bytes are left over")
    return found


def _check_texts(raws: Sequence[Any]) -> None:
    """Raises: Unusual, ValueError, TypeError, one of them is no text, or an empty one."""
    lengths = pc.binary_length(pa.array(raws, pa.binary()).cast(pa.string()))
    if lengths.null_count or (len(lengths) and not pc.min(lengths).as_py()):
        raise Unusual("a header is empty")


def _microseconds(raws: Sequence[Any]) -> Numbers:
    """Return instants as our writers write them. Raises: Unusual, ValueError, TypeError."""
    texts = pa.array(raws, pa.binary()).cast(pa.string())
    if texts.null_count or not pc.all(pc.match_substring_regex(texts, _INSTANT), min_count=0).as_py():
        raise Unusual("an instant is not written as ours are")
    found: Numbers = texts.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    if not is_instant(found):
        raise Unusual("an instant is not of the years 1 to 9999")
    return found


@cache
def _schema(type_: str, version: int) -> str:
    return schema_text(payload_fields(type_, version))


@cache
def _known() -> frozenset[tuple[str, int]]:
    return frozenset((type_, version) for type_, version, _ in schema_files())
