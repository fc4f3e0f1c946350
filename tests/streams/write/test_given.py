"""Rules are given the time, who asks, who began the stream, and the states of the streams that they name."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from domain import catalog
from domain.fleet.device import RETIRED, RegisterDevice, RetireDevice, UpdateDevice
from domain.given import Given
from domain.identity.api_key import ApiKey, IssueApiKey, RevokeApiKey, RotateApiKey
from domain.identity.organization import ArchiveOrganization, CreateOrganization
from domain.message import Command, Event
from domain.rejection import Kind, conflict
from infra.sqlite.event_log import SqliteEventLog
from schemas.envelope import Actor, ActorType, StreamId, StreamKey, TenantId
from schemas.key_ids import key_tag
from streams.ports import Reply, Submission, SystemClock
from streams.write.writer import Writer
from tests.examples.fleet import DEFINE_WATCH, REMOVE_WATCH
from tests.examples.identity import ISSUE_KEY, ROTATE_KEY
from tests.streams.kit import accepted, register, register_tenant, retire, submission, tag


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteEventLog]:
    with closing(SqliteEventLog(tmp_path)) as log:
        yield log


def retires_after_the_other(command: Command, state: object, given: Given) -> tuple[Event, ...]:
    """Refuse to retire web-1 before web-2: a rule over two streams."""
    assert isinstance(command, RetireDevice)
    other = given.streams.get(StreamId("device-web-2"))
    if command.device_id == "web-1" and other is not None and other.status not in RETIRED:
        raise conflict("web-2 comes first")
    return RULES.decide(command, state, given)


RULES = catalog.decider_of(RetireDevice)


def reads_the_other(command: RetireDevice, _actor: Actor) -> tuple[StreamId, ...]:
    if command.device_id == "web-9":
        raise ZeroDivisionError
    return (StreamId("device-web-2"),)


@pytest.fixture
def writer(log: SqliteEventLog, monkeypatch: pytest.MonkeyPatch) -> Writer:
    over_two = replace(RULES, decide=retires_after_the_other, reads=reads_the_other)
    monkeypatch.setitem(catalog._DECIDER_OF, RetireDevice, over_two)
    writer = Writer(log, SystemClock())
    writer.write([register_tenant("demo"), *(register(f"web-{n}") for n in (1, 2, 9))])
    return writer


def kinds(replies: list[Reply]) -> list[Kind | None]:
    return [reply.refusal.kind if reply.refusal else None for reply in replies]


def test_rule_over_two_streams_sees_what_was_decided_before_it_in_its_batch(writer: Writer) -> None:
    assert kinds(writer.write([retire("web-1"), retire("web-2"), retire("web-1")])) == [Kind.CONFLICT, None, None]


def test_streams_that_a_batch_names_are_read_together(
    writer: Writer, log: SqliteEventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    read_streams = log.read_streams

    def counting(keys: list[StreamKey]) -> object:
        asked.append(len(keys))
        return read_streams(keys)

    monkeypatch.setattr(log, "read_streams", counting)
    writer.forget()
    writer.write([retire("web-1"), tag("web-9", "a")])
    # both devices, the one that the rule names, and the tenant; then the webhooks of a tenant where something happened
    assert asked == [4, 1]


def test_named_stream_that_cannot_be_read_and_reads_that_fails_refuse_their_command_alone(
    writer: Writer, log: SqliteEventLog
) -> None:
    with log._events.transaction(commit=True) as c:
        c.execute("UPDATE stored_events SET state = x'00' WHERE originator_id = 'demo|device-web-2'")
    writer.forget()
    assert kinds(writer.write([retire("web-1"), retire("web-9"), tag("web-1", "a")])) == [
        Kind.NOT_NOW,
        Kind.NOT_NOW,
        None,
    ]


@pytest.mark.parametrize("forgets", [True, False])
def test_watch_is_removed_by_its_maker_or_a_key_of_all_scopes(log: SqliteEventLog, *, forgets: bool) -> None:
    writer = Writer(log, SystemClock())
    maker, lesser, admin = (
        Actor(ActorType.API_KEY, key_tag(TenantId("demo")) + name) for name in ("maker", "lesser", "admin")
    )
    scopes = {maker: ("fleet:write",), lesser: ("fleet:write",), admin: ("*",)}
    issued = [submission(replace(ISSUE_KEY, key_id=key.id, scopes=scopes[key])) for key in scopes]
    assert all(map(accepted, writer.write([register_tenant("demo"), *issued])))

    def asks(key: Actor, command: Command) -> bool:
        if forgets:
            writer.forget()
        return accepted(writer.write([submission(command, actor=key)])[0])

    assert asks(maker, DEFINE_WATCH)
    # whoever defines it again does not become its maker
    assert asks(lesser, replace(DEFINE_WATCH, severity="critical"))
    assert not asks(lesser, REMOVE_WATCH)
    assert asks(admin, REMOVE_WATCH)
    assert asks(maker, DEFINE_WATCH)
    assert asks(maker, REMOVE_WATCH)


def test_rule_has_the_same_state_of_a_key_in_one_batch_and_read_again(
    log: SqliteEventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret's hash is a credential and in no event: what the history cannot give, no state may hold."""
    rules = catalog.decider_of(RevokeApiKey)
    seen: list[object] = []

    def seeing(command: Command, state: object, given: Given) -> tuple[Event, ...]:
        seen.append(state)
        return rules.decide(command, state, given)

    for command in (IssueApiKey, RotateApiKey, RevokeApiKey):
        monkeypatch.setitem(catalog._DECIDER_OF, command, replace(rules, decide=seeing))
    writer = Writer(log, SystemClock())
    id_ = key_tag(TenantId("demo")) + "k"
    issue = submission(replace(ISSUE_KEY, key_id=id_))
    rotate = submission(replace(ROTATE_KEY, key_id=id_))
    assert all(map(accepted, writer.write([register_tenant("demo"), issue, rotate, rotate._replace(command_id="2")])))
    writer.forget()
    assert accepted(writer.write([submission(RevokeApiKey(key_id=id_))])[0])
    key = ApiKey(secret_sha256=None, scopes=ISSUE_KEY.scopes, revoked=False)
    assert seen == [None, key, key, key]


def test_organization_with_a_device_is_not_archived_until_the_device_is_gone(log: SqliteEventLog) -> None:
    def organized(device: str, organization: str) -> Submission:
        return submission(RegisterDevice(device_id=device, hostname=device, organization_id=organization))

    archive = ArchiveOrganization(organization_id="north")
    create = [submission(CreateOrganization(organization_id=name, name=name)) for name in ("north", "south")]
    writer = Writer(log, SystemClock())
    writer.write([register_tenant("demo"), *create, organized("web-1", "north"), organized("web-2", "north")])
    for _ in range(2):
        writer.forget()
        [refused] = writer.write([submission(archive)])
        assert refused.refusal is not None
        assert refused.refusal.reason == "organization north has 2 devices; retire or move them first"
    moved = submission(UpdateDevice(device_id="web-1", organization_id="south"))
    replies = writer.write([moved, retire("web-2"), submission(archive)])
    assert all(map(accepted, replies))
    writer.forget()
    late = [organized("web-3", "north"), submission(UpdateDevice(device_id="web-1", organization_id="north"))]
    assert [reply.refusal and reply.refusal.reason for reply in writer.write(late)] == [
        "organization north is archived"
    ] * 2
