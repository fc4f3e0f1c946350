"""This connects to one keyspace of Cassandra, keeps many statements in flight, and translates errors."""

import logging
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from threading import Lock, Semaphore
from time import monotonic
from typing import Any

from cassandra import (
    ConsistencyLevel,
    DriverException,
    InvalidRequest,
    UnresolvableContactPoints,
)
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.concurrent import execute_concurrent
from cassandra.connection import ConnectionException
from cassandra.policies import ConstantReconnectionPolicy, DCAwareRoundRobinPolicy, TokenAwarePolicy
from cassandra.pool import NoConnectionsAvailable
from cassandra.protocol import IsBootstrappingErrorMessage, OverloadedErrorMessage, ServerError, TruncateError
from cassandra.query import SimpleStatement, tuple_factory

from projections.stores import StoreUnavailable, WriteRefused

REQUEST_TIMEOUT_S = 10.0
SCHEMA_TIMEOUT_S = 30.0
HEARTBEAT_S = 10
RECONNECT_S = 0.5
IN_FLIGHT = 128

_NOT_THERE = re.compile(r"unconfigured|does ?n.t exist|unknown keyspace", re.IGNORECASE)

_AHEAD = 64
"""How many partitions a long read asks for at once."""

_ERRORS = (
    DriverException,
    NoHostAvailable,
    ConnectionException,
    NoConnectionsAvailable,
    UnresolvableContactPoints,
    # what a server says of itself; other protocol errors are faults of ours
    ServerError,
    OverloadedErrorMessage,
    IsBootstrappingErrorMessage,
    TruncateError,
)

# the driver says each try to reach a host that is down; what matters of it is in StoreUnavailable
logging.getLogger("cassandra").setLevel(logging.ERROR)

_MIGRATIONS: Sequence[str] = (
    "CREATE TABLE IF NOT EXISTS {keyspace}.live (name text PRIMARY KEY, build int)",
    """
    CREATE TABLE IF NOT EXISTS {keyspace}.dead_letters (
        tenant_id text, "view" text, topic text, partition int, position bigint, stream text, type text, reason text,
        attempts int, parked_at bigint, PRIMARY KEY (tenant_id, "view", topic, partition, position)
    )
    """,
    "CREATE TABLE IF NOT EXISTS {keyspace}.holders (name text PRIMARY KEY, who text, until bigint)",
)
"""What the keyspace holds besides the views, a step a version. Frozen once released: a change is a further step."""


@dataclass(frozen=True)
class CassandraAddress:
    """Shape: `replication` is what CREATE KEYSPACE takes; it is used once, where there is no such keyspace yet."""

    contact_points: Sequence[tuple[str, int]]
    keyspace: str = "factline"
    replication: Mapping[str, str | int] = field(
        default_factory=lambda: {"class": "SimpleStrategy", "replication_factor": 1}
    )
    user: str | None = None
    password: str | None = field(default=None, repr=False)


class Connection:
    """Connects when it is first needed; any thread may use it. Every statement may be sent twice."""

    def __init__(self, address: CassandraAddress) -> None:
        self.keyspace = address.keyspace
        self._address = address
        self._opening = Lock()
        self._cluster: Cluster | None = None
        self._session: Session | None = None
        self._closed = False
        self._failed_at = 0.0
        self._prepared: dict[str, Any] = {}

    def close(self) -> None:
        with self._opening:
            self._closed = True
            if self._cluster is not None:
                self._cluster.shutdown()

    def migrate(self) -> None:
        """Make the keyspace and bring its own tables up to date; may be run again at any time.

        Raises: StoreUnavailable, safe to retry.
        """
        replication = dict(self._address.replication)
        self.define(f"CREATE KEYSPACE IF NOT EXISTS {self.keyspace} WITH replication = {replication}")
        self.define(f"CREATE TABLE IF NOT EXISTS {self.keyspace}.migrations (version int PRIMARY KEY)")
        done = {version for (version,) in self.ask(f"SELECT version FROM {self.keyspace}.migrations")}
        for version, statement in enumerate(_MIGRATIONS, 1):
            if version not in done:
                self.define(statement.format(keyspace=self.keyspace))
                self.ask(f"INSERT INTO {self.keyspace}.migrations (version) VALUES (?)", version)

    def define(self, statement: str) -> None:
        """Change the schema. Raises: StoreUnavailable."""
        with _errors():
            self._open().execute(statement, timeout=SCHEMA_TIMEOUT_S)

    def prepare(self, statement: str) -> Any:
        """Return the statement as the cluster knows it. Raises: StoreUnavailable."""
        prepared = self._prepared.get(statement)
        if prepared is None:
            with _errors():
                prepared = self._open().prepare(statement)
            prepared.is_idempotent = True
            self._prepared[statement] = prepared
        return prepared

    def ask(self, statement: str, *values: Any) -> Sequence[tuple[Any, ...]]:
        """Return all rows of an answer. Raises: StoreUnavailable."""
        prepared = self.prepare(statement)
        with _errors():
            return list(self._open().execute(prepared, values))

    def ask_all(self, statements: Iterable[str]) -> Sequence[Sequence[tuple[Any, ...]]]:
        """Return all rows of statements that take no values, asked at once. Raises: StoreUnavailable."""
        asked = [(SimpleStatement(statement, is_idempotent=True), ()) for statement in statements]
        return [list(_pages(rows)) for rows in self._run(asked)]

    def ask_each(
        self, statement: str, values: Iterable[Sequence[Any]], *, ahead: int = _AHEAD
    ) -> Iterator[Iterable[tuple[Any, ...]]]:
        """Yield the rows of one statement for each of many values, in their order, some asked for ahead.

        Shape: rows come in pages while they are read; `ahead` is where that begins, it doubles up to 64.
        Raises: StoreUnavailable.
        """
        prepared = self.prepare(statement)
        rest = iter(values)
        while some := list(islice(rest, ahead)):
            for rows in self._run([(prepared, one) for one in some]):
                yield _pages(rows)
            ahead = min(ahead * 2, _AHEAD)

    def replicas(self, statement: Any) -> Hashable:
        """Return something that is the same for all bound statements that go to the same hosts."""
        metadata = self._open().cluster.metadata
        hosts = metadata.all_hosts()
        return None if len(hosts) == 1 else tuple(metadata.get_replicas(self.keyspace, statement.routing_key))

    def write(self, statements: Iterable[Any]) -> None:
        """Run bound statements and batches, in any order, each as soon as it is made.

        Raises: StoreUnavailable, WriteRefused: some of them may be kept; none is under way any more.
        """
        free = Semaphore(IN_FLIGHT)
        failures: list[Exception] = []

        def done(_rows: Any) -> None:
            free.release()

        def failed(error: Exception) -> None:
            failures.append(error)
            free.release()

        with _errors():
            session = self._open()
            for statement in statements:
                free.acquire()
                if failures:
                    free.release()
                    break
                session.execute_async(statement).add_callbacks(done, failed)
            for _ in range(IN_FLIGHT):
                free.acquire()
            if refused := next(filter(_is_permanent, failures), None):
                raise WriteRefused(f"cassandra refused it: {str(refused)[:500]}") from refused
            if failures:
                raise failures[0]

    def _run(self, statements: Sequence[tuple[Any, Any]]) -> Sequence[Any]:
        with _errors():
            done = execute_concurrent(self._open(), statements, concurrency=IN_FLIGHT)
            return [rows for _, rows in done]

    def _open(self) -> Session:
        if self._session is not None and not self._closed:
            return self._session
        asked_at = monotonic()
        with self._opening:
            if self._closed:
                raise StoreUnavailable("cassandra was closed; open it again")
            if self._session is None:
                if self._failed_at > asked_at:
                    # who waited for another's try has the same answer, or many would wait one after the other
                    raise StoreUnavailable("cassandra did not answer")
                cluster = self._make()
                try:
                    self._session = cluster.connect()
                except BaseException:
                    self._failed_at = monotonic()
                    cluster.shutdown()
                    raise
                self._cluster = cluster
            return self._session

    def _make(self) -> Cluster:
        address = self._address
        profile = ExecutionProfile(
            load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy()),
            consistency_level=ConsistencyLevel.LOCAL_QUORUM,
            serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL,
            request_timeout=REQUEST_TIMEOUT_S,
            row_factory=tuple_factory,
        )
        return Cluster(
            list(address.contact_points),
            auth_provider=PlainTextAuthProvider(address.user, address.password) if address.user else None,
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
            # a host that comes back is found soon: waiting workers are what it should get
            reconnection_policy=ConstantReconnectionPolicy(RECONNECT_S, max_attempts=None),
            idle_heartbeat_interval=HEARTBEAT_S,
            idle_heartbeat_timeout=HEARTBEAT_S,
            connect_timeout=REQUEST_TIMEOUT_S,
            control_connection_timeout=REQUEST_TIMEOUT_S,
        )


def _is_permanent(error: Exception) -> bool:
    """Tell if a statement is refused for what it says, however often it is sent: a key or a row that is too large."""
    # a table that is not there is one that was dropped, or that another node does not know yet
    return isinstance(error, InvalidRequest) and not _NOT_THERE.search(str(error))


def _pages(rows: Any) -> Iterator[tuple[Any, ...]]:
    # further pages are asked for while one goes on
    with _errors():
        yield from rows


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except _ERRORS as error:
        raise StoreUnavailable(f"cassandra did not answer: {str(error)[:500]}") from error
