"""A destroyed key makes every copy of its subject's fields unreadable and leaves every other byte as it was."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from infra.sqlite.key_store import SqliteKeyStore
from schemas.canonical_json import canonical_json
from schemas.envelope import StreamId, TenantId
from schemas.payload import decode_payload, encode_payload
from schemas.personal import ERASED, Origin, Subject, open_payload, personal_fields, seal_payload, subjects
from tests.infra.sqlite.test_key_store import opened, wrapped
from tests.schemas.marked import INVITED, SEEN, released

TENANTS = st.sampled_from([TenantId("acme"), TenantId("bolt")])
USERS = st.sampled_from(["user-ann", "user-ben", "user-eve"])
TEXT = st.text(st.characters(codec="utf-8"), max_size=30)


class Event(NamedTuple):
    origin: Origin
    data: Mapping[str, Any]


INVITATIONS = st.builds(
    Event,
    st.builds(Origin, TENANTS, USERS.map(StreamId), st.just("person.invited"), st.just(1)),
    st.fixed_dictionaries(
        {
            "user_id": USERS,
            "email": TEXT,
            "name": st.none() | TEXT,
            "manager": USERS,
            "manager_email": st.none() | TEXT,
            "roles": st.lists(TEXT, max_size=2),
        }
    ),
)
VISITS = st.builds(
    Event,
    st.builds(Origin, TENANTS, USERS.map(StreamId), st.just("person.seen"), st.just(1)),
    st.fixed_dictionaries({"ip": st.none() | TEXT, "agent": TEXT}),
)


def read(store: SqliteKeyStore, origin: Origin, stored: Mapping[str, Any]) -> dict[str, Any]:
    return open_payload(origin, stored, store.find(subjects(origin, stored)))


def without(event: Event, erased: Subject) -> dict[str, Any]:
    """Return what may still be read of an event."""
    origin, data = event
    left = dict(data)
    for name, named_by in personal_fields(origin.type, origin.schema_version).items():
        subject = origin.stream if named_by == "stream" else data[named_by]
        if data[name] is not None and (origin.tenant_id, subject) == erased:
            left[name] = ERASED
    return left


@settings(deadline=None, max_examples=40)
@given(st.lists(INVITATIONS | VISITS, min_size=1, max_size=6), st.tuples(TENANTS, USERS))
def test_destroying_a_key_erases_its_subject_everywhere_and_nothing_else(
    events: Sequence[Event], erased: Subject
) -> None:
    with (
        released(person_invited=INVITED, person_seen=SEEN),
        TemporaryDirectory() as folder,
        closing(opened(Path(folder))) as store,
    ):
        log: list[tuple[Origin, bytes]] = []
        for origin, data in events:
            sealed = seal_payload(origin, data, store.make(subjects(origin, data)))
            log.append((origin, encode_payload(origin.type, 1, sealed)))
        kept = wrapped(Path(folder))
        copies = [(origin, decode_payload(origin.type, 1, raw)) for origin, raw in log]
        texts = [canonical_json(copy) for _, copy in copies]
        assert [read(store, *copy) for copy in copies] == [event.data for event in events]

        store.destroy(erased)

        left = [without(event, erased) for event in events]
        again = [(origin, decode_payload(origin.type, 1, raw)) for origin, raw in log]
        assert [read(store, *copy) for copy in (*copies, *again)] == [*left, *left]
        assert [canonical_json(copy) for _, copy in copies] == texts
        assert wrapped(Path(folder)) == {**kept, erased: None}
