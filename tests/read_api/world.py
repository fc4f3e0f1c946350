"""Two tenants with real embedded stores are served over HTTP here, as users reach them."""

import hashlib
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from infra.clickhouse.analytics import ClickHouseAnalytics
from infra.serve.http import Server
from infra.sqlite.documents import SqliteDocuments
from infra.sqlite.timeline import SqliteTimeline
from projections.catalog import of_role
from projections.operations import DeadLetter, PartitionLag, ProjectionStatus, WorkerStatus
from projections.rows import Checkpoint, Patch, Role, Row, View
from projections.stores import ViewWriter
from read_api.app import Answers, create_app
from schemas.envelope import Actor, ActorType, Envelope, Position, StreamId, TenantId, Topic
from schemas.personal import Keys, Subject
from schemas.sealed import new_key
from tests.read_api.keys import ASKING, KeysOfDocuments
from tests.serving import NO_TLS, Prompt, address_of

ACME = TenantId("acme")
BOLT = TenantId("bolt")
TENANTS = (ACME, BOLT)
NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


LAGS = [PartitionLag(Topic.EVENTS, 0, 3, 1.5), PartitionLag(Topic.EVENTS, 1, 0, 0.0)]


def at(minutes: float) -> datetime:
    return NOW - timedelta(hours=10) + timedelta(minutes=minutes)


class Stores:
    """The three embedded stores, with the first build of every view live."""

    def __init__(self, folder: Path) -> None:
        self.timeline = SqliteTimeline(folder / "timeline.db", of_role(Role.TIMELINE))
        self.documents = SqliteDocuments(folder / "documents.db", [*of_role(Role.DOCUMENTS), ASKING])
        self.analytics = ClickHouseAnalytics(f"chdb://{folder / 'analytics'}", of_role(Role.ANALYTICS))
        self.writers: Mapping[Role, ViewWriter] = {
            Role.TIMELINE: self.timeline,
            Role.DOCUMENTS: self.documents,
            Role.ANALYTICS: self.analytics,
        }
        self.role_of = {projection.name: role for role in Role for projection in of_role(role)}
        self.role_of[ASKING.name] = Role.DOCUMENTS
        for name, role in self.role_of.items():
            self.writers[role].create(View(name, 1))
            self.writers[role].switch(View(name, 1))

    def write(self, view: str, rows: Sequence[Row]) -> None:
        self.writers[self.role_of[view]].apply(View(view, 1), rows)

    def put(self, view: str, tenant_id: TenantId, id_: str, order: int = 1, **fields: Any) -> None:
        self.write(view, [Patch(tenant_id, id_, "events", order, fields)])

    def issue_key(
        self, tenant_id: TenantId, key_id: str, *scopes: str, order: int = 1, secret: str | None = None, **more: Any
    ) -> str:
        secret = secret or f"secret-of-{tenant_id}-{key_id}"
        digest = hashlib.sha256(secret.encode()).hexdigest()
        fields = {"key_id": key_id, "secret_sha256": digest, "scopes": list(scopes), "revoked": False, **more}
        self.write(ASKING.name, [Patch(tenant_id, key_id, "events", order, fields)])
        return f"ak_{key_id}.sk_{secret}"

    def close(self) -> None:
        self.timeline.close()
        self.documents.close()
        self.analytics.close()


class Reached:
    """Progress as far as a test says."""

    waits = False

    def __init__(self) -> None:
        self.position = 7
        self.letters: list[DeadLetter] = []
        self._moved = threading.Condition()

    def move(self, position: int) -> None:
        with self._moved:
            self.position = position
            self._moved.notify_all()

    def reached(self, view: str) -> Sequence[Checkpoint]:
        return [Checkpoint(Topic.EVENTS, 0, self.position, NOW), Checkpoint(Topic.EVENTS, 1, 3, NOW)]

    def wait_for(self, views: Sequence[str], position: Position, timeout_s: float) -> bool:
        with self._moved:
            return self._moved.wait_for(lambda: self.position >= position.position, timeout_s)

    def missing(self, view: str, tenant_id: TenantId, position: Position) -> DeadLetter | None:
        return next(
            (letter for letter in self.letters if letter.tenant_id == tenant_id and letter[1:4] == position), None
        )


class Operating:
    """Operations as a test says."""

    def __init__(self) -> None:
        self.parts = {"log": "ok", "timeline": "ok"}
        self.letters: list[DeadLetter] = []

    def projections(self) -> Sequence[ProjectionStatus]:
        reached = [Checkpoint(Topic.EVENTS, 0, 7, NOW)]
        view = View("devices", 2)
        return [
            ProjectionStatus(
                "devices", Role.DOCUMENTS, view, [View("devices", 1), view], "live", reached, 3, 1.5, LAGS, 2, 5, None
            )
        ]

    def workers(self) -> Sequence[WorkerStatus]:
        lag = PartitionLag(Topic.TELEMETRY, 0, 7, 2.5)
        return [
            WorkerStatus("commands", 2, None, None, (), "the broker does not answer"),
            WorkerStatus("correlate", 1, 7, 2.5, [lag], None),
        ]

    def dead_letters(
        self, tenant_id: TenantId, *, table: str | None, after: tuple[str, Position] | None, limit: int
    ) -> Sequence[DeadLetter]:
        mine = [letter for letter in self.letters if letter.tenant_id == tenant_id and table in (None, letter.view)]
        return [
            letter
            for letter in mine
            if after is None or (letter.view, (letter.topic, letter.partition, letter.position)) > after
        ][:limit]

    def health(self) -> Mapping[str, str]:
        return self.parts


class Records:
    """A feed over a list: one partition, both topics. Shape: it says that it ends at `longer_than` at least."""

    def __init__(self) -> None:
        self._records: dict[Topic, list[Envelope]] = {topic: [] for topic in Topic}
        self._grown = threading.Condition()
        self.waiting = 0
        self.longer_than = 0

    def add(
        self,
        tenant_id: TenantId,
        type_: str,
        stream: str,
        topic: Topic = Topic.EVENTS,
        data: Mapping[str, Any] | None = None,
    ) -> Envelope:
        with self._grown:
            position = len(self._records[topic]) + 1
            envelope = Envelope(
                event_id=f"{topic.value}-{position}",
                type=type_,
                schema_version=1,
                tenant_id=tenant_id,
                stream=StreamId(stream),
                version=0 if topic is Topic.TELEMETRY else 1,
                topic=topic,
                partition=0,
                position=position,
                happened_at=NOW,
                recorded_at=NOW,
                actor=Actor(ActorType.SYSTEM, "test"),
                correlation_id="c",
                causation_id="c",
                data=data or {"n": position},
            )
            self._records[topic].append(envelope)
            self._grown.notify_all()
            return envelope

    def ends(self, tenant_id: TenantId, about: StreamId | None = None) -> Sequence[Position]:
        return [Position(topic, 0, max(len(records), self.longer_than)) for topic, records in self._records.items()]

    def since(self, tenant_id: TenantId, after: Position, *, limit: int) -> tuple[Sequence[Envelope], Position]:
        looked_at = self._records[after.topic][after.position : after.position + limit]
        mine = [record for record in looked_at if record.tenant_id == tenant_id]
        return mine, after._replace(position=after.position + len(looked_at))

    def wait(self, after: Sequence[Position], timeout_s: float) -> bool:
        with self._grown:
            self.waiting += 1
            try:
                return self._grown.wait_for(
                    lambda: any(len(self._records[place.topic]) > place.position for place in after), timeout_s
                )
            finally:
                self.waiting -= 1


class MemoryKeys:
    """The keys of personal fields, as a test makes them."""

    def __init__(self) -> None:
        self.keys: dict[Subject, bytes | None] = {}

    def find(self, subjects: Collection[Subject]) -> Mapping[Subject, bytes]:
        return {subject: key for subject in subjects if (key := self.keys.get(subject))}

    def make(self, subjects: Collection[Subject]) -> Keys:
        return {subject: self.keys.setdefault(subject, new_key()) for subject in subjects}

    def destroy(self, subject: Subject) -> None:
        self.keys[subject] = None


@dataclass
class World:
    stores: Stores
    keys: MemoryKeys = field(default_factory=MemoryKeys)
    progress: Reached = field(default_factory=Reached)
    operations: Operating = field(default_factory=Operating)
    feed: Records = field(default_factory=Records)

    def answers(self, **more: Any) -> Answers:
        return Answers(
            timeline=self.stores.timeline,
            analytics=self.stores.analytics,
            documents=self.stores.documents,
            credentials=KeysOfDocuments(self.stores.documents),
            personal=self.keys,
            progress=self.progress,
            operations=self.operations,
            feed=self.feed,
            partitions=2,
            **{"cursor_secret": b"a secret for cursors", "now": lambda: NOW, "log": "", **more},
        )


class _Served(Prompt, Server):
    """The server of the product, as the tests stop it."""


@contextmanager
def served(answers: Answers) -> Iterator[str]:
    """Serve the answers on a free port of the loopback and give their address."""
    with address_of(_Served(create_app(answers))) as address:
        try:
            yield address
        finally:
            answers.stop()


class Caller:
    """One API key's client."""

    def __init__(self, address: str, key: str | None) -> None:
        self.http = httpx.Client(
            base_url=address, headers={"X-API-Key": key} if key else {}, timeout=30, trust_env=False, verify=NO_TLS
        )

    def get(self, path: str, headers: Mapping[str, str] | None = None, **query: Any) -> httpx.Response:
        return self.http.get(path, params=query, headers=headers)

    def table(self, path: str, **query: Any) -> dict[str, Any]:
        response = self.get(path, **query)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def rows(self, path: str, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.table(path, **query)["rows"]
        return found

    def pages(self, path: str, **query: Any) -> Iterable[list[dict[str, Any]]]:
        cursor: dict[str, str] = {}
        while True:
            page = self.table(path, **query, **cursor)
            yield page["rows"]
            if page["next"] is None:
                return
            cursor = {"cursor": page["next"]}

    def all_rows(self, path: str, **query: Any) -> list[dict[str, Any]]:
        return [row for page in self.pages(path, **query) for row in page]


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["title"]
    return body
