"""This connects to one ClickHouse database: the DSN says whether it is chDB in this process or a server."""

import re
from array import array
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from clickhouse_connect.driver import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DataError

from infra.clickhouse.tables import Table, columns_of, define, make
from projections.columns import Columns, Texts, ends_of, in_array, reals, whole
from projections.stores import StoreUnavailable, TooMuchAsked, WriteRefused
from schemas.values import MONEY_SCALE

_ARROW_TYPES: Mapping[type, pa.DataType] = {
    str: pa.string(),
    int: pa.uint64(),
    float: pa.float64(),
    datetime: pa.timestamp("us", "UTC"),
    Decimal: pa.decimal128(18, MONEY_SCALE),
}
_CODES: Mapping[type, str] = {int: "Q", float: "d", datetime: "q"}
"""How `array` holds what Arrow takes as it lies there."""

_SIGNED = 1 << 63
"""From here on a number does not fit 64 bits with a sign."""

_SETTINGS = {
    "async_insert": 0,  # an answered insert is on disk
    "max_insert_threads": 1,  # one batch, one block: all of it or nothing
    "optimize_move_to_prewhere_if_final": 0,  # replaced rows go before the filters look
}

_CODE = re.compile(r"\bcode:? (\d+)", re.IGNORECASE)
# Source: ErrorCodes.cpp of ClickHouse. What a value is refused for, whoever sends it again: CANNOT_PARSE_TEXT,
# CANNOT_PARSE_INPUT_ASSERTION_FAILED, TYPE_MISMATCH, ARGUMENT_OUT_OF_BOUND, CANNOT_CONVERT_TYPE, INCORRECT_DATA,
# TOO_LARGE_STRING_SIZE, CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN, DECIMAL_OVERFLOW, VIOLATED_CONSTRAINT.
_REFUSED = frozenset({6, 27, 53, 69, 70, 117, 131, 349, 407, 469})
# One question may take so long, so many rows, so much memory: TOO_MANY_ROWS, TIMEOUT_EXCEEDED, TOO_SLOW,
# MEMORY_LIMIT_EXCEEDED, TOO_MANY_BYTES, TOO_MANY_ROWS_OR_BYTES.
_TOO_MUCH = frozenset({158, 159, 160, 241, 307, 396})
_TABLE_ALREADY_EXISTS = 57

# An engine inside our process leaves the memory to others: small caches, nothing compiled, sorts and groups on disk.
_EMBEDDED_CACHES = {
    "mark_cache_size": 16 << 20,
    "primary_index_cache_size": 16 << 20,
    "index_mark_cache_size": 1 << 20,
    "query_condition_cache_size": 1 << 20,
}
_EMBEDDED_SETTINGS = {
    "max_threads": 2,
    "max_memory_usage": 256 << 20,
    "max_bytes_before_external_group_by": 64 << 20,
    "max_bytes_before_external_sort": 64 << 20,
    "compile_expressions": 0,
    "compile_aggregate_expressions": 0,
    "compile_sort_description": 0,
}

# No signal ends a query inside our process, so its own limit must.
_ANSWER = {"max_execution_time": 30}

_EMBEDDED = {"settings": _SETTINGS | _EMBEDDED_SETTINGS, "chdb_options": _EMBEDDED_CACHES}
_SERVER = {"settings": _SETTINGS, "autogenerate_session_id": False, "connect_timeout": 5, "send_receive_timeout": 20}

_EXACT = Context(prec=18, traps=[Inexact, InvalidOperation])
_LEAST = Decimal(1).scaleb(-MONEY_SCALE)


class AlreadyThere(StoreUnavailable):
    """Another made the table a moment before; look again, then retry."""


class Connection:
    """Lends clients, made when they are first needed; any thread may call any method.

    Shape: `dsn` is `chdb:///absolute/folder`, which one process at a time can open, or `clickhouse://user:password@
    host:port/database`, whose database exists. `tables` are there before anything is asked.
    """

    def __init__(self, dsn: str, tables: Sequence[Table]) -> None:
        self.embedded = dsn.startswith("chdb:")
        self._folder = Path(urlsplit(dsn).path) if self.embedded else None
        self._dsn = dsn
        self._tables = tables
        self._idle: deque[Client] = deque()
        self._clients: list[Client] = []
        self._closed = False

    def close(self) -> None:
        self._closed = True
        self._idle.clear()
        for client in self._clients:
            client.close()

    def query(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        with self.client() as client:
            rows: Sequence[Sequence[Any]] = client.query(sql, dict(parameters), settings=_ANSWER).result_rows
            return rows

    def insert(self, table: str, row: type, rows: Sequence[Any]) -> None:
        try:
            values = Columns.of(row, rows).values
            data = {
                name: _encode(type_, some) for (name, type_), some in zip(columns_of(row).items(), values, strict=True)
            }
        except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
            raise WriteRefused(f"a row does not fit {table}: {error}") from error
        with self.client() as client:
            try:
                done = client.insert_arrow(table, pa.table(data))
            except ClickHouseError as error:
                if isinstance(error, DataError) or _code(error) in _REFUSED:
                    raise WriteRefused(f"clickhouse refused rows of {table}: {str(error)[:500]}") from error
                raise
        # more where a materialized view is fed by the table
        if done.written_rows < len(rows):
            raise StoreUnavailable(
                f"clickhouse wrote {done.written_rows} of {len(rows)} rows that were sent to {table}"
            )

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Lend a client that nobody else uses meanwhile.

        Raises: StoreUnavailable, for whatever goes wrong with it; TooMuchAsked, where it is about this one question.
        """
        try:
            try:
                client = self._idle.pop()
            except IndexError:
                client = self._connect()
            try:
                yield client
            finally:
                self._idle.append(client)
        except (ClickHouseError, OSError) as error:
            raise _meaning(error) from error

    def make(self, table: Table) -> None:
        """Make the table, or give one of an earlier version what it lacks. Raises: StoreUnavailable."""
        with self.client() as client:
            make(client, table, self._folder)

    def define(self, statement: str, name: str) -> None:
        """Make or change what a name stands for. Raises: AlreadyThere; NoRoom; StoreUnavailable."""
        with self.client() as client:
            define(client, statement, name, self._folder)

    def _connect(self) -> Client:
        if self._closed:
            raise StoreUnavailable("clickhouse was closed; open it again")
        options: Mapping[str, Any] = _EMBEDDED if self.embedded else _SERVER
        client = clickhouse_connect.get_client(dsn=self._dsn, tz_mode="aware", **options)
        try:
            for table in self._tables:
                make(client, table, self._folder)
        except (ClickHouseError, StoreUnavailable):
            client.close()
            raise
        self._clients.append(client)
        return client


def _code(error: Exception) -> int | None:
    """Return the number that the engine gives its error, None for an error of the way there."""
    found = _CODE.search(str(error))
    return int(found[1]) if found else None


def _meaning(error: Exception) -> StoreUnavailable:
    said, code = str(error)[:500], _code(error)
    if code in _TOO_MUCH:
        return TooMuchAsked(f"clickhouse gave up: {said}")
    if code == _TABLE_ALREADY_EXISTS:
        return AlreadyThere(said)
    return StoreUnavailable(f"clickhouse did not answer: {said}")


def _as_they_lie(numbers: Sequence[Any]) -> "array[int]":
    """Return whole numbers in memory: signed or not, those that are not negative lie there in the same way."""
    if isinstance(numbers, array) and numbers.typecode == "q" and ends_of(numbers)[0] >= 0:
        return numbers
    return array("Q", numbers)


def _encode(type_: type, values: Sequence[Any]) -> pa.Array:
    """Return a column as it is sent, without loss.

    Raises: ValueError, TypeError, ArithmeticError, a value does not fit its column.
    """
    if type_ is Decimal:
        if not all(value.is_finite() for value in values):
            raise ValueError("an amount is not a finite number")
        values = [value.quantize(_LEAST, context=_EXACT) for value in values]
    if (code := _CODES.get(type_)) is not None:
        # Arrow's own way would take 1.5 for 1 where a whole number belongs
        numbers = _as_they_lie(values) if type_ is int else in_array(code, values)
        if type_ is float and not np.isfinite(np.frombuffer(numbers)).all():
            raise ValueError("a value is not a finite number")
        return pa.Array.from_buffers(_ARROW_TYPES[type_], len(numbers), [None, pa.py_buffer(numbers)])
    if isinstance(values, Texts):
        return pa.DictionaryArray.from_arrays(values.numbers, pa.array(values.words, pa.string())).dictionary_decode()
    column = pa.array(values, _ARROW_TYPES[type_])
    if column.null_count:
        raise TypeError("a value is missing")
    return column


def decode(type_: type, column: pa.Array) -> Sequence[Any]:
    """Return a column as `Columns` holds it. Units: instants were asked for as microseconds."""
    if type_ is str:
        try:
            return Texts.of(column)
        except UnicodeDecodeError:
            # what no writer of ours wrote
            return [raw.decode(errors="replace") for raw in column.cast(pa.binary()).to_pylist()]
    if type_ is float:
        return reals(column.to_numpy())
    if type_ is Decimal or (type_ is int and (pc.max(column).as_py() or 0) >= _SIGNED):
        values: list[Any] = column.to_pylist()
        return values
    return whole(column.to_numpy())
