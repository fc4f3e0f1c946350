"""Many records of facts are read at once here, as columns of Arrow; one that is unusual is read by itself as ever."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from itertools import compress
from typing import Any, NamedTuple, overload

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
    raws: Sequence[bytes]

    @property
    def ids(self) -> Sequence[str]:
        return [decode_uuid(raw[len(VERSION_1) : _BEFORE_TYPE]) for raw in self.raws]


class RawFacts(Sequence[Entry]):
    """Records of facts of one partition in their order, each decoded when it is looked at.

    Shape: a row is the position, the tenant and the bytes of a record.
    """

    topic = Topic.TELEMETRY

    def __init__(self, rows: Sequence[tuple[int, str, bytes]], partition: int) -> None:
        self._rows = rows
        self.partition = partition
        self._entries: list[Entry] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Entry]:
        if self._entries is None:
            self._entries = list(map(self._decoded, self._rows))
        return iter(self._entries)

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> "RawFacts": ...
    def __getitem__(self, at: int | slice) -> "Entry | RawFacts":
        return RawFacts(self._rows[at], self.partition) if isinstance(at, slice) else self._decoded(self._rows[at])

    def after(self, position: int, *, without: Collection[int] = ()) -> "RawFacts":
        """Return the records with a greater position, but for those at some places."""
        return RawFacts([row for row in self._rows if row[0] > position and row[0] not in without], self.partition)

    def columns(self, type_: str, version: int) -> FactColumns:
        """Return the records of a type, all of this version. Raises: Unusual, any record is not what it should be."""
        prefix, others = _prefix(type_, version), _prefixes_without(type_)
        raws = [row[2] for row in self._rows]
        if not all(type(raw) is bytes for raw in raws):
            raise Unusual("a record is of another type than bytes")
        wanted = [raw.startswith(prefix, _BEFORE_TYPE) for raw in raws]
        rest = [raw for raw, is_wanted in zip(raws, wanted, strict=True) if not is_wanted]
        if not all(raw.startswith(VERSION_1) for raw in raws) or not all(_kind(raw) in others for raw in rest):
            raise Unusual("a record is of another version, or of a type that is not known")
        _checked(rest, _HEAD_SCHEMA, _HEAD)
        rows = list(compress(self._rows, wanted))
        fields = _fields(type_, version)
        chosen = list(compress(raws, wanted))
        found = _checked(chosen, _schema(type_, version), fields)
        return FactColumns(
            pa.array([row[1] for row in rows], pa.string()),
            found.column("stream"),
            found.column("happened_at").to_numpy(),
            np.array([row[0] for row in rows], np.int64),
            found.select([field["name"] for field in fields[len(_HEAD) :]]),
            chosen,
        )

    def _decoded(self, row: tuple[int, str, bytes]) -> Entry:
        position, tenant_id, raw = row
        return decode_fact_record(raw, tenant_id=TenantId(tenant_id), partition=self.partition, position=position)


def _checked(raws: Sequence[bytes], schema: str, fields: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    """Return what the records hold, all of their bytes looked at. Raises: Unusual.

    The library takes no offence at bytes that are left over, nor at texts that are not UTF-8. No encoding is shorter
    than the one that is measured here, so that where it is as long as the record, nothing was left over.
    """
    try:
        there = pyruhvro.deserialize_array([raw[_BEFORE_TYPE:] for raw in raws], schema)
        found = pa.RecordBatch.from_arrays(there.columns, names=there.schema.names)
        found.validate(full=True)
    except BaseException as error:
        # what Rust calls a panic is an exception of a class that nobody can import, and no Exception
        if isinstance(error, ValueError) or type(error).__name__ == "PanicException":
            raise Unusual(str(error)) from error
        raise
    lengths = np.fromiter(map(len, raws), np.int64, len(raws)) - _BEFORE_TYPE
    sizes, payload = np.zeros(len(raws), np.int64), np.zeros(len(raws), np.int64)
    for at, field in enumerate(fields):
        taken = _sizes(field["type"], found.column(field["name"]))
        (sizes if at < len(_HEAD) else payload)[:] += taken
    if not all(_is_instant(found.column(name).to_numpy()) for name in ("happened_at", "recorded_at")):
        raise Unusual("an instant is not of the years 1 to 9999")
    if not _ACTORS.issuperset(found.column("actor_type").unique().to_pylist()):
        raise Unusual("somebody is of no known type")
    said = found.column("size").to_numpy()
    if len(fields) > len(_HEAD) and not np.array_equal(payload, said):
        raise Unusual("a payload is not as long as is said of it")
    if not np.array_equal(sizes + said, lengths):
        raise Unusual("bytes are left over")
    return found


def _is_instant(numbers: Numbers) -> bool:
    return not len(numbers) or bool(numbers.min() >= _FIRST_US and numbers.max() <= _LAST_US)


def _sizes(type_: Any, values: pa.Array) -> Numbers:
    """Return how many bytes Avro takes for each value."""
    if isinstance(type_, list):
        # null, or what follows it
        return np.where(values.is_valid().to_numpy(zero_copy_only=False), _sizes(type_[1], values), 0) + 1
    if type_ == "string":
        lengths: Numbers = pc.binary_length(values).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        return lengths + _long_sizes(lengths)
    if isinstance(type_, str):
        return np.full(len(values), 8, np.int64) if type_ == "double" else _long_sizes(values.fill_null(0).to_numpy())
    if type_["type"] == "record":
        sizes = np.zeros(len(values), np.int64)
        for field in type_["fields"]:
            sizes += _sizes(field["type"], values.field(field["name"]))
        return sizes
    offsets: Numbers = values.offsets.to_numpy().astype(np.int64)
    counts = np.diff(offsets)
    until = np.concatenate(([0], np.cumsum(_sizes(type_["items"], values.values))))
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
def _prefixes_without(type_: str) -> frozenset[bytes]:
    return frozenset(_prefix(other, version) for other, version, _ in schema_files() if other != type_)


@cache
def _fields(type_: str, version: int) -> Sequence[Mapping[str, Any]]:
    text = next(text for other, number, text in schema_files() if (other, number) == (type_, version))
    return [*_HEAD, *json.loads(text)["fields"]]


@cache
def _schema(type_: str, version: int) -> str:
    return _text(_fields(type_, version))


def _text(fields: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps({"type": "record", "name": "FactRecord", "fields": fields})


_HEAD_SCHEMA = _text(_HEAD)
