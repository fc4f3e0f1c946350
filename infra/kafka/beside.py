"""What is written beside the events of a batch, in their transaction: answers without events, and keys."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timedelta

from confluent_kafka import Message

from infra.master_key import MasterKey
from infra.sqlite.beside import BesideEvents, Noted
from infra.sqlite.command_index import answered_by_marks, command_name, mark_row
from projections.instants import to_microseconds
from projections.keys import KeysUnusable
from schemas.envelope import TenantId
from schemas.personal import Keys, Subject
from schemas.sealed import Tampered, new_key
from streams.ports import MARK_DAYS, Answered, CommandKey, Mark
from streams.topics import Beside

DESTROYED = b"\x00"
"""Stands for a key that was destroyed, so that no other is made. Kafka's null would be forgotten after a while."""

MARKS_FOR_MS = timedelta(days=MARK_DAYS) // timedelta(milliseconds=1)


def noted(message: Message) -> Noted | None:
    """Return the record of a topic beside the events; one without a key or a value is not of our writers."""
    key, value = message.key(), message.value()
    return Noted(key, value, message.timestamp()[1]) if isinstance(key, bytes) and isinstance(value, bytes) else None


def start_of(known: int, first: int, end: int) -> int:
    """Return where such a topic is read on: at its first record where what is known of it is not there any more."""
    return known if first <= known <= end else first


def noted_mark(mark: Mark) -> Noted:
    tenant, command, at_us, raw = mark_row(mark)
    return Noted(f"{tenant}|{command}".encode(), raw, at_us // 1000)


def find_marks(beside: BesideEvents, keys: Iterable[CommandKey]) -> Mapping[CommandKey, Answered]:
    wanted = [f"{tenant_id}|{command_name(actor, command_id)}".encode() for tenant_id, actor, command_id in keys]
    rows = []
    for key, raw in beside.find(Beside.MARKS, wanted).items():
        tenant, _, command = key.decode().partition("|")
        rows.append((tenant, command, raw))
    return answered_by_marks(rows)


def forget_marks(beside: BesideEvents, mark: Mark) -> None:
    """Forget those that are too old when this one is given."""
    beside.forget_before(Beside.MARKS, to_microseconds(mark.recorded_at) // 1000 - MARKS_FOR_MS)


def key_name(subject: Subject) -> bytes:
    # a tenant's name has no such bar
    return "|".join(subject).encode()


def subject_of(name: bytes) -> Subject:
    """Return what `key_name` made a name of."""
    tenant_id, _, id_ = name.decode().partition("|")
    return TenantId(tenant_id), id_


class WriterKeys:
    """KeyMaker of a command worker: its new keys are durable with the events that need them, or forgotten.

    Shape: `new` are the wrapped keys that the transaction at hand has to write.
    """

    def __init__(self, master: MasterKey, beside: Callable[[TenantId], BesideEvents]) -> None:
        self.new: dict[Subject, bytes] = {}
        self._master = master
        self._beside = beside

    def find(self, subjects: Collection[Subject]) -> Mapping[Subject, bytes]:
        return {subject: key for subject, key in self._known(subjects).items() if key is not None}

    def make(self, subjects: Collection[Subject]) -> Keys:
        found = dict(self._known(subjects))
        for subject in subjects:
            if subject not in found:
                key = found[subject] = new_key()
                self.new[subject] = self._master.wrap(subject, key)
        return found

    def _known(self, subjects: Collection[Subject]) -> Keys:
        found: dict[Subject, bytes | None] = {}
        of_tenants: dict[TenantId, dict[bytes, Subject]] = defaultdict(dict)
        for subject in subjects:
            of_tenants[subject[0]][key_name(subject)] = subject
        for tenant_id, own in of_tenants.items():
            kept = self._beside(tenant_id).find(Beside.KEYS, own)
            found |= {own[name]: opened_key(self._master, own[name], raw) for name, raw in kept.items()}
        for subject in subjects:
            if subject in self.new:
                found[subject] = self._master.unwrap(subject, self.new[subject])
        return found


def opened_key(master: MasterKey, subject: Subject, raw: bytes) -> bytes | None:
    """Return the key of a record, None where it was destroyed. Raises: KeysUnusable."""
    if raw == DESTROYED:
        return None
    try:
        return master.unwrap(subject, raw)
    except Tampered:
        raise KeysUnusable(
            "a key of a personal field does not open: FACTLINE_MASTER_KEY_FILE names another master key than the one"
            " the log was written with, or the record was changed; put the right file back"
        ) from None
