"""Personal fields are sealed here before events are recorded, and opened where rules decide on what was recorded."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from projections.keys import KeyFinder, KeyMaker, KeysUnusable
from projections.personal import opened, origin_of
from projections.stores import StoreUnavailable
from schemas.envelope import Entry, Envelope, StreamId, StreamKey, TenantId, Topic, Undecodable
from schemas.payload import BadPayload, Encoded, encoded
from schemas.personal import Keys, personal_fields, seal_payload, subjects
from schemas.sealed import Tampered
from streams.ports import Answered, Batch, CommandKey, Due, EventLog, LogUnavailable


def sealed(events: Sequence[Envelope], keys: KeyMaker) -> Sequence[Envelope]:
    """Return the events as they are recorded, with keys for their subjects made where there were none.

    Shape: sealing gives other bytes each time, so it is done once for each event.
    Raises: LogUnavailable, safe to retry.
    """
    personal = [event for event in events if personal_fields(event.type, event.schema_version)]
    if not personal:
        return events
    with _key_errors():
        found = keys.make({subject for event in personal for subject in subjects(origin_of(event), event.data)})
    return [
        event._replace(data=_sealed(event, found)) if personal_fields(event.type, event.schema_version) else event
        for event in events
    ]


def _sealed(event: Envelope, keys: Keys) -> Encoded:
    apart = event.data.apart if isinstance(event.data, Encoded) else None
    return encoded(event.type, event.schema_version, seal_payload(origin_of(event), event.data, keys), apart)


def opened_all(entries: Iterable[Entry], keys: KeyFinder) -> Sequence[Entry]:
    """Return a history with its personal fields open; an event that does not open cannot be read.

    Raises: LogUnavailable, safe to retry.
    """
    with _key_errors():
        return [_opened(entry, keys) if isinstance(entry, Envelope) else entry for entry in entries]


def _opened(event: Envelope, keys: KeyFinder) -> Entry:
    try:
        return opened(event, keys)
    except (KeysUnusable, Tampered, BadPayload) as error:
        reason = f"its personal fields do not open: {error}"
        return Undecodable(*event.key, event.type, event.topic, event.partition, event.position, b"", reason)


@contextmanager
def _key_errors() -> Iterator[None]:
    try:
        yield
    except (StoreUnavailable, KeysUnusable) as error:
        raise LogUnavailable(f"the keys of personal fields did not answer: {error}") from error


class PersonalLog:
    """EventLog that records personal fields sealed, and gives the writer streams with them open.

    Shape: keys are durable before the events that need them. What others read of the log is sealed: they use the log
    itself.
    """

    def __init__(self, log: EventLog, keys: KeyMaker) -> None:
        self._log = log
        self._keys = keys

    def append(self, batch: Batch) -> None:
        self._log.append(batch._replace(events=sealed(batch.events, self._keys)))

    def read_streams(self, keys: Collection[StreamKey]) -> Mapping[StreamKey, Sequence[Entry]]:
        found = self._log.read_streams(keys)
        return {key: opened_all(entries, self._keys) for key, entries in found.items()}

    @property
    def partitions(self) -> int:
        return self._log.partitions

    def end(self, topic: Topic, partition: int) -> int:
        return self._log.end(topic, partition)

    def read(self, topic: Topic, partition: int, *, after: int, limit: int) -> Sequence[Entry]:
        return self._log.read(topic, partition, after=after, limit=limit)

    def wait(self, ends: Mapping[tuple[Topic, int], int], timeout_s: float) -> bool:
        return self._log.wait(ends, timeout_s)

    def read_stream(self, tenant_id: TenantId, stream: StreamId, *, after: int, limit: int) -> Sequence[Entry]:
        return opened_all(self._log.read_stream(tenant_id, stream, after=after, limit=limit), self._keys)

    def ends(self, topic: Topic) -> Sequence[int]:
        return self._log.ends(topic)

    def due(self, now: datetime, limit: int) -> Sequence[Due]:
        return self._log.due(now, limit)

    def next_due(self) -> datetime | None:
        return self._log.next_due()

    def tenants(self, partition: int) -> Sequence[TenantId]:
        return self._log.tenants(partition)

    def find_commands(self, keys: Collection[CommandKey]) -> Mapping[CommandKey, Answered]:
        return self._log.find_commands(keys)
