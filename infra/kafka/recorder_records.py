"""This turns events of the eventsourcing library into records of Kafka and back."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from eventsourcing.persistence import StoredEvent, Tracking

Headers = list[tuple[str, str | bytes | None]]


class Record(NamedTuple):
    """Shape: the key is the originator's id, or the name of the tracked application.

    Source: CloudEvents 1.0, Kafka binding, binary mode.
    """

    key: bytes
    value: bytes
    headers: Headers

    def at(self, position: int) -> Headers:
        return [*self.headers, ("ce_position", b"%d" % position)]


class Positioned(NamedTuple):
    position: int
    event: StoredEvent


def encode_event(source: str, event: StoredEvent) -> Record:
    """Return the record of an event, its position left open.

    Raises: TypeError, AttributeError: a field is not of its type.
    """
    # the id as the library's own tables have it
    originator = event.originator_id.hex if isinstance(event.originator_id, UUID) else event.originator_id
    version = b"%d" % event.originator_version
    key = originator.encode()
    headers: Headers = [
        *_common(source, key + b"/" + version, event.topic, key),
        # what it holds is the mapper's business: JSON, compressed, encrypted
        ("content-type", b"application/octet-stream"),
        ("ce_streamversion", version),
    ]
    return Record(key, bytes(memoryview(event.state)), headers)


def encode_tracking(source: str, tracking: Tracking) -> Record:
    """Return the record that says how far another application's notifications were processed. It has no position."""
    key = tracking.application_name.encode()
    notification_id = b"%d" % tracking.notification_id
    id_ = b"tracking/" + key + b"/" + notification_id
    return Record(key, b"", [*_common(source, id_, _TRACKING, key), (_TRACKED, notification_id)])


def decode(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, Any]] | None) -> Positioned | Tracking:
    """Return what a record says. Raises: ValueError, it is not of a recorder."""
    of = dict(headers or ())
    try:
        if _TRACKED in of:
            return Tracking(application_name=of["ce_subject"].decode(), notification_id=int(of[_TRACKED]))
        event = StoredEvent(
            originator_id=of["ce_subject"].decode(),
            originator_version=int(of["ce_streamversion"]),
            topic=of["ce_type"].decode(),
            state=value or b"",
        )
        return Positioned(int(of["ce_position"]), event)
    except (KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"the record of {key!r} lacks a header: {error}") from error


_TRACKING = "eventsourcing.tracking"
_TRACKED = "ce_notificationid"


def _common(source: str, id_: bytes, type_: str, subject: bytes) -> Headers:
    return [
        ("ce_specversion", b"1.0"),
        ("ce_source", source.encode()),
        ("ce_id", id_),
        ("ce_type", type_.encode()),
        ("ce_subject", subject),
    ]
