"""A key that is used again is the same command again and gets its first answer, or it is refused."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.rejection import Kind
from infra.sqlite.event_log import SqliteEventLog
from schemas.envelope import Actor, ActorType, TenantId, Topic
from streams.ports import MARK_DAYS, Reply, Submission
from streams.write.answers import fingerprint
from streams.write.outcomes import Inquiry
from streams.write.writer import Writer
from tests.streams.kit import accepted, register, register_tenant, retire, tag

Write = Callable[..., list[Reply]]
OTHER = Actor(ActorType.API_KEY, "other")


class Hands:
    """A clock that stands where it was put."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 31, 8, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture(params=[False, True], ids=["one server", "restarted before each batch"])
def write(request: pytest.FixtureRequest, tmp_path: Path, hands: Hands) -> Iterator[Write]:
    """Give what writes a batch."""
    kept: list[SqliteEventLog] = []

    def write(*asked: Submission | Inquiry) -> list[Reply]:
        if request.param:
            with closing(SqliteEventLog(tmp_path)) as log:
                return Writer(log, hands).write(asked)
        kept.append(kept[0] if kept else SqliteEventLog(tmp_path))
        return Writer(kept[0], hands).write(asked)

    write(register_tenant("demo"), register_tenant("acme"), register("web-1"), register("web-1", tenant="acme"))
    yield write
    if kept:
        kept[0].close()


def kind(reply: Reply) -> Kind | None:
    return reply.refusal.kind if reply.refusal else None


@pytest.mark.parametrize("together", [True, False])
def test_key_of_another_command_is_refused_and_the_command_is_not_done(write: Write, *, together: bool) -> None:
    first, other = register("es-1", id_="k", hash_=b"1"), register("es-2", id_="k", hash_=b"2")
    replies = write(first, other, first) if together else [*write(first), *write(other), *write(first)]
    assert accepted(replies[0])
    assert kind(replies[1]) is Kind.REUSED
    assert replies[2] == replies[0]._replace(repeated=True)
    [tagged] = write(tag("es-2", "a"))
    assert kind(tagged) is Kind.NOT_FOUND


def test_command_that_changed_nothing_is_not_done_later(write: Write) -> None:
    first, late = tag("web-1", "a"), tag("web-1", "a", id_="late", hash_=b"1")
    [_, nothing] = write(first, late)
    assert (accepted(nothing), nothing.events, nothing.version) == (True, (), 2)
    write(tag("web-1", "b"))
    [again] = write(late)
    assert again == nothing._replace(repeated=True)
    assert kind(write(late._replace(command_hash=b"2"))[0]) is Kind.REUSED
    [last] = write(tag("web-1", "c"))
    assert last.version == 4


def test_refused_command_is_refused_again_when_it_would_be_accepted(write: Write) -> None:
    refused = tag("web-9", "a", id_="early", hash_=b"1")
    stale = tag("web-1", "a", id_="stale", expected=7)
    first = write(refused, stale)
    assert [kind(reply) for reply in first] == [Kind.NOT_FOUND, Kind.CONFLICT]
    write(register("web-9"))
    assert write(refused, stale) == [reply._replace(repeated=True) for reply in first]


def test_answer_belongs_to_one_tenant_and_one_actor(write: Write) -> None:
    write(register("web-2", id_="k", hash_=b"1"), retire("web-9", id_="r", hash_=b"1"))
    others = [
        register("web-2", id_="k", hash_=b"2", tenant="acme"),
        register("web-3", id_="k", hash_=b"2", actor=OTHER),
        retire("web-1", id_="r", hash_=b"2", tenant="acme"),
        retire("web-1", id_="r", hash_=b"2", actor=OTHER),
    ]
    assert [(accepted(reply), reply.repeated) for reply in write(*others)] == [(True, False)] * 4
    assert [(accepted(reply), reply.repeated) for reply in write(*others)] == [(True, True)] * 4


def test_answer_without_events_is_known_for_the_days_that_are_promised(write: Write, hands: Hands) -> None:
    late = tag("web-9", "a", id_="late")
    write(late)
    write(register("web-9"))
    hands.at += timedelta(days=MARK_DAYS)
    write(retire("web-8"))
    assert kind(write(late)[0]) is Kind.NOT_FOUND
    hands.at += timedelta(hours=2)
    write(retire("web-8"))
    assert accepted(write(late)[0])


def of(submission: Submission) -> Inquiry:
    return Inquiry(submission.command_id, submission.tenant_id, submission.actor)


@pytest.mark.parametrize("together", [True, False])
def test_outcome_of_a_command_is_its_first_answer(write: Write, *, together: bool) -> None:
    sent = [register("es-1", id_="new"), retire("es-9", id_="refused"), tag("es-1", "a", id_="t", expected=7)]
    asked = [of(one) for one in sent]
    replies = write(*sent, *asked) if together else [*write(*sent), *write(*asked)]
    assert [kind(reply) for reply in replies[:3]] == [None, Kind.NOT_FOUND, Kind.CONFLICT]
    assert replies[3:] == [reply._replace(repeated=True) for reply in replies[:3]]


def test_outcome_is_known_to_its_actor_alone_and_asking_for_it_records_nothing(write: Write) -> None:
    sent = register("es-1", id_="new")
    asked = [of(sent), of(sent._replace(actor=OTHER)), of(sent._replace(tenant_id=TenantId("acme")))]
    for _ in range(2):
        assert [(reply.repeated, kind(reply)) for reply in write(*asked)] == [(False, Kind.NOT_FOUND)] * 3
    [reply] = write(sent)
    assert accepted(reply)
    assert [one.repeated for one in write(*asked)] == [True, False, False]


def test_what_an_unknown_tenant_is_refused_may_be_sent_again(write: Write) -> None:
    early = register("web-1", tenant="later", id_="early")
    assert kind(write(early)[0]) is Kind.NOT_FOUND
    write(register_tenant("later"))
    assert accepted(write(early)[0])


def test_not_now_is_no_answer_that_is_kept(tmp_path: Path, hands: Hands) -> None:
    with closing(SqliteEventLog(tmp_path)) as log:
        Writer(log, hands).write([register_tenant("demo"), register("web-1")])
        with log._events.transaction(commit=True) as c:
            c.execute("SELECT state FROM stored_events WHERE originator_id = 'demo|device-web-1'")
            [state] = c.fetchone()
            c.execute("UPDATE stored_events SET state = x'00' WHERE originator_id = 'demo|device-web-1'")
        assert kind(Writer(log, hands).write([tag("web-1", "a", id_="t")])[0]) is Kind.NOT_NOW
        with log._events.transaction(commit=True) as c:
            c.execute("UPDATE stored_events SET state = ? WHERE originator_id = 'demo|device-web-1'", (state,))
        assert accepted(Writer(log, hands).write([tag("web-1", "a", id_="t")])[0])


def test_event_of_an_earlier_version_answers_whatever_the_fingerprint(tmp_path: Path, hands: Hands) -> None:
    with closing(SqliteEventLog(tmp_path)) as log:
        Writer(log, hands).write([register_tenant("demo"), register("web-1", id_="old")])
        [again] = Writer(log, hands).write([register("web-1", id_="old", hash_=b"1")])
        assert again.repeated
        assert log.end(Topic.EVENTS, 0) == 2


def test_mark_that_cannot_be_read_is_no_answer(tmp_path: Path, hands: Hands) -> None:
    with closing(SqliteEventLog(tmp_path)) as log:
        Writer(log, hands).write([register_tenant("demo"), tag("web-1", "a", id_="t")])
        with log._events.transaction(commit=True) as c:
            c.execute("UPDATE marks SET mark = x'00'")
        [_, again] = Writer(log, hands).write([register("web-1"), tag("web-1", "a", id_="t")])
        assert accepted(again)


def test_fingerprint_is_of_what_is_asked_and_not_of_how_it_is_written() -> None:
    one = fingerprint("fleet.TagDevice", {"device_id": "1", "key": "k"}, 3, key=b"key")
    assert (len(one), one[:1]) == (17, b"\x01")
    assert one == fingerprint("fleet.TagDevice", {"key": "k", "device_id": "1"}, 3, key=b"key")
    others = [
        fingerprint("fleet.Other", {"device_id": "1", "key": "k"}, 3, key=b"key"),
        fingerprint("fleet.TagDevice", {"device_id": "1", "key": "l"}, 3, key=b"key"),
        fingerprint("fleet.TagDevice", {"device_id": "1", "key": "k"}, 4, key=b"key"),
        fingerprint("fleet.TagDevice", {"device_id": "1", "key": "k"}, None, key=b"key"),
        fingerprint("fleet.TagDevice", {"device_id": "1", "key": "k"}, 3, key=b"another key"),
    ]
    assert len({one, *others}) == 6


def test_fingerprint_of_an_earlier_version_is_not_taken_for_another_command(write: Write) -> None:
    command = register("web-1", id_="old", hash_=bytes(16))
    write(command)
    [again] = write(command._replace(command_hash=b"\x01" + bytes(16)))
    assert again.repeated
    [reused] = write(command._replace(command_hash=b"\x01" * 16))
    assert kind(reused) is Kind.REUSED
