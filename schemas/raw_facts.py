"""Many records of facts are read at once here, as columns of Arrow; one that is unusual is read by itself as ever."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from itertools import compress
from typing import Any, NamedTuple, Self, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyruhvro

from schemas.avro import UUID_BYTES, decode_uuid, encode_long, encode_text
from schemas.envelope import ActorType, Entry, TenantId, Topic
from schemas.fact_record import VERSION_1, decode_fact_record
from schemas.payload import schema_files

Numbers = npt.NDArray[np.int64]

_BEFORE_TYPE = len(VERSION_1) + UUID_BYTES

# Instants as numbers, and the payload without its bytes around it: so all of a record is of one schema.
_HEAD: Sequence[Mapping[str, Any]] = [
    {"name": "type", "type": "string"},
    {"name": "schema_version", "type": "long"},
    {"name": "stream", "type": "string"},
    {"name": "happened_at", "type": "long"},
    {"name": "recorded_at", "type": "long"},
    {"name": "actor_type", "type": "string"},
    {"name": "actor_id", "type": "string"},
    {"name": "request_id", "type": "string"},
    {"name": "size", "type": "long"},
]
_ACTORS = frozenset(ActorType)
_FIRST_US, _LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The first and the last microsecond that `datetime` knows."""

_BOUNDS = np.array([1 << 7 * bytes_ for bytes_ in range(1, 10)], np.uint64)
"""From which number on an Avro long takes one byte more."""


class Unusual(ValueError):  # noqa: N818
    """A record is not as most are; a retry gives the same answer, `decode_fact_record` says of each what it is."""


class FactColumns(NamedTuple):
    """Records of one type and version. Shape: `payload` has a column for each field. Units: microseconds since 1970."""

    tenants: pa.Array
    streams: pa.Array
    happened_us: Numbers
    positions: Numbers
    payload: pa.RecordBatch
    raw_ids: Sequence[bytes]
    decode_id: Callable[[bytes], str]

    @property
    def ids(self) -> Sequence[str]:
        return list(map(self.decode_id, self.raw_ids))


class RawFacts(Sequence[Entry], ABC):
    """Records of facts in their order, each decoded when it is looked at.

    Shape: a row begins with its position; what else it has is the log's own way to keep a record. The records are of
    one partition, but for those that were `joined`, which are only there for their columns.
    """

    topic = Topic.TELEMETRY

    def __init__(self, rows: Sequence[tuple[Any, ...]], partition: int, parts: Sequence[Self] = ()) -> None:
        """Shape: `parts` are those whose rows these are, if they were joined: what they know is not found out again."""
        self.rows = rows
        self.partition = partition
        self._parts = parts
        self._entries: list[Entry] | None = None

    @abstractmethod
    def columns(self, type_: str, version: int) -> FactColumns:
        """Return the records of a type, all of this version. Raises: Unusual, any record is not what it should be."""

    @abstractmethod
    def concerning(self, types: Collection[str]) -> Self:
        """Return the records of some types. Raises: Unusual, of a record it is not certain what it is."""

    @abstractmethod
    def _decoded(self, row: Any) -> Entry: ...

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Entry]:
        if self._entries is None:
            self._entries = list(map(self._decoded, self.rows))
        return iter(self._entries)

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> Self: ...
    def __getitem__(self, at: int | slice) -> Entry | Self:
        return self._with(self.rows[at]) if isinstance(at, slice) else self._decoded(self.rows[at])

    def after(self, position: int, *, without: Collection[int] = ()) -> Self:
        """Return the records with a greater position, but for those at some places."""
        if not without and (not self.rows or self.rows[0][0] > position):
            # what was found out about them is not found out again
            return self
        return self._with([row for row in self.rows if row[0] > position and row[0] not in without])

    def joined(self, others: Sequence[Self]) -> Self:
        """Return these records and those of other partitions, from which columns are made together."""
        parts = (self, *others)
        return type(self)([row for part in parts for row in part.rows], self.partition, parts) if others else self

    def _with(self, rows: Sequence[tuple[Any, ...]]) -> Self:
        return type(self)(rows, self.partition)


class EmbeddedFacts(RawFacts):
    """Records as the embedded log keeps them. Shape: a row is the position, the tenant and the bytes of a record."""

    def columns(self, type_: str, version: int) -> FactColumns:
        wanted = self._of_types({type_})
        chosen = list(compress((row[2] for row in self.rows), wanted))
        prefix = _prefix(type_, version)
        if not all(raw.startswith(prefix, _BEFORE_TYPE) for raw in chosen):
            raise Unusual("a record is of another version")
        rows = list(compress(self.rows, wanted))
        fields = _fields(type_, version)
        found = _checked(chosen, _schema(type_, version), fields)
        return FactColumns(
            pa.array([row[1] for row in rows], pa.string()),
            found.column("stream"),
            found.column("happened_at").to_numpy(),
            np.array([row[0] for row in rows], np.int64),
            found.select([field["name"] for field in fields[len(_HEAD) :]]),
            chosen,
            _id_of_record,
        )

    def concerning(self, types: Collection[str]) -> Self:
        return self._with(list(compress(self.rows, self._of_types(types))))

    def _of_types(self, types: Collection[str]) -> Sequence[bool]:
        """Tell which of the records are of some types, when the heads of the others were looked at. Raises: Unusual."""
        kinds = _prefixes()
        raws = [row[2] for row in self.rows]
        if not all(type(raw) is bytes and raw.startswith(VERSION_1) for raw in raws):
            raise Unusual("a record is of another version")
        of = [kinds.get(_kind(raw)) for raw in raws]
        if None in of:
            raise Unusual("a record is of a type or version that is not known")
        wanted = [type_ in types for type_ in of]
        rest = [raw for raw, is_wanted in zip(raws, wanted, strict=True) if not is_wanted]
        _checked(rest, _HEAD_SCHEMA, _HEAD)
        return wanted

    def _decoded(self, row: tuple[int, str, bytes]) -> Entry:
        position, tenant_id, raw = row
        return decode_fact_record(raw, tenant_id=TenantId(tenant_id), partition=self.partition, position=position)


def _id_of_record(raw: bytes) -> str:
    return decode_uuid(raw[len(VERSION_1) : _BEFORE_TYPE])


def read_avro(raws: Sequence[bytes], schema: str) -> pa.RecordBatch:
    """Return what Avro says; bytes that it leaves over are not noticed here. Raises: Unusual."""
    try:
        there = pyruhvro.deserialize_array(raws, schema)
        found = pa.RecordBatch.from_arrays(there.columns, names=there.schema.names)
        found.validate(full=True)
    except BaseException as error:
        # what Rust calls a panic is an exception of a class that nobody can import, and no Exception
        if isinstance(error, ValueError) or type(error).__name__ == "PanicException":
            raise Unusual(str(error)) from error
        raise
    return found


def _checked(raws: Sequence[bytes], schema: str, fields: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    """Return what the records hold, all of their bytes looked at. Raises: Unusual.

    The library takes no offence at bytes that are left over, nor at texts that are not UTF-8. No encoding is shorter
    than the one that is measured here, so that where it is as long as the record, nothing was left over.
    """
    found = read_avro([raw[_BEFORE_TYPE:] for raw in raws], schema)
    lengths = np.fromiter(map(len, raws), np.int64, len(raws)) - _BEFORE_TYPE
    sizes, payload = np.zeros(len(raws), np.int64), np.zeros(len(raws), np.int64)
    for at, field in enumerate(fields):
        taken = sizes_of(field["type"], found.column(field["name"]))
        (sizes if at < len(_HEAD) else payload)[:] += taken
    if not all(is_instant(found.column(name).to_numpy()) for name in ("happened_at", "recorded_at")):
        raise Unusual("an instant is not of the years 1 to 9999")
    if not _ACTORS.issuperset(found.column("actor_type").unique().to_pylist()):
        raise Unusual("somebody is of no known type")
    said = found.column("size").to_numpy()
    if len(fields) > len(_HEAD) and not np.array_equal(payload, said):
        raise Unusual("a payload is not as long as is said of it")
    if not np.array_equal(sizes + said, lengths):
        raise Unusual("bytes are left over")
    return found


def is_instant(numbers: Numbers) -> bool:
    return not len(numbers) or bool(numbers.min() >= _FIRST_US and numbers.max() <= _LAST_US)


def sizes_of(type_: Any, values: pa.Array) -> Numbers:
    """Return how many bytes Avro takes for each value."""
    if isinstance(type_, list):
        # null, or what follows it
        return np.where(values.is_valid().to_numpy(zero_copy_only=False), sizes_of(type_[1], values), 0) + 1
    if type_ == "string":
        lengths: Numbers = pc.binary_length(values).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        return lengths + _long_sizes(lengths)
    if isinstance(type_, str):
        return np.full(len(values), 8, np.int64) if type_ == "double" else _long_sizes(values.fill_null(0).to_numpy())
    if type_["type"] == "record":
        sizes = np.zeros(len(values), np.int64)
        for field in type_["fields"]:
            sizes += sizes_of(field["type"], values.field(field["name"]))
        return sizes
    offsets: Numbers = values.offsets.to_numpy().astype(np.int64)
    counts = np.diff(offsets)
    until = np.concatenate(([0], np.cumsum(sizes_of(type_["items"], values.values))))
    # items in one block, after their number, and the end of the blocks
    return until[offsets[1:]] - until[offsets[:-1]] + np.where(counts, _long_sizes(counts), 0) + 1


def _long_sizes(numbers: Numbers) -> Numbers:
    zigzag = ((numbers << 1) ^ (numbers >> 63)).view(np.uint64)
    return np.searchsorted(_BOUNDS, zigzag, side="right") + 1


def _kind(raw: bytes) -> bytes:
    """Return the bytes of a record's type and version, if the type is not long and the version small."""
    # a text's length is stored doubled
    return raw[_BEFORE_TYPE : _BEFORE_TYPE + raw[_BEFORE_TYPE] // 2 + 2] if len(raw) > _BEFORE_TYPE else b""


@cache
def _prefix(type_: str, version: int) -> bytes:
    return encode_text(type_) + encode_long(version)


@cache
def _prefixes() -> Mapping[bytes, str]:
    return {_prefix(type_, version): type_ for type_, version, _ in schema_files()}


@cache
def payload_fields(type_: str, version: int) -> Sequence[Mapping[str, Any]]:
    text = next(text for other, number, text in schema_files() if (other, number) == (type_, version))
    fields: Sequence[Mapping[str, Any]] = json.loads(text)["fields"]
    return fields


def _fields(type_: str, version: int) -> Sequence[Mapping[str, Any]]:
    return [*_HEAD, *payload_fields(type_, version)]


@cache
def _schema(type_: str, version: int) -> str:
    return schema_text(_fields(type_, version))


def schema_text(fields: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps({"type": "record", "name": "FactRecord", "fields": fields})


_HEAD_SCHEMA = schema_text(_HEAD)
