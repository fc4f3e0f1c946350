"""What a gateway sends arrives as it was sent, and what is no command is refused whatever it is."""

import orjson
import pytest

from domain.rejection import Kind
from schemas.envelope import Actor, ActorType, StreamId, TenantId
from schemas.partitioning import partition_of
from streams.ports import Recorded, Refusal, Reply
from streams.write.messages import (
    BadCommand,
    decode_asked,
    decode_reply,
    decode_submission,
    encode_inquiry,
    encode_reply,
    encode_submission,
)
from streams.write.outcomes import Inquiry
from tests.examples import COMMANDS
from tests.examples.moments import HAPPENED_AT
from tests.streams.kit import register, submission


def changed(**fields: object) -> bytes:
    """Return the message of a good command in which some fields are others."""
    return orjson.dumps(orjson.loads(encode_submission(register("web-2", tenant="acme", id_="changed"))) | fields)


NUL, SECRET = "x\0y", "4929-1234-5678"


@pytest.mark.parametrize(
    "fields",
    [
        {"id": ""},
        {"id": None},
        {"id": NUL},
        {"id": "x" * 201},
        {"tenant": 5},
        {"tenant": ""},
        {"tenant": "acme|device-1"},
        {"tenant": ["acme"]},
        {"body": {"device_id": SECRET, "hostname": [SECRET]}},
        {"body": [SECRET] * 10_000},
        {"actor": ["user", NUL]},
        {"actor": ["user", 7]},
        {"actor": [SECRET]},
        {"actor": "ab"},
        {"happened_at": 5},
        {"happened_at": "2026-01-01T00:00:00"},
        {"happened_at": "0001-01-01T00:00:00+02:00"},
        {"expected_version": "3"},
        {"expected_version": 1e308},
        {"expected_version": True},
        {"expected_version": -1},
        {"correlation_id": 5},
        {"correlation_id": NUL},
        {"traceparent": {}},
        {"traceparent": "a\nb"},
    ],
    ids=str,
)
def test_what_could_not_be_read_in_an_event_is_not_taken_from_a_message(fields: dict[str, object]) -> None:
    with pytest.raises(BadCommand) as bad:
        decode_submission(changed(**fields), partition=0, partitions=1)
    said = encode_reply(bad.value.reply)
    assert len(said) < 1_000
    assert SECRET.encode() not in said


def test_an_instant_with_an_offset_is_held_in_utc() -> None:
    raw = changed(happened_at="2026-01-01T00:00:00+02:00")
    found = decode_submission(raw, partition=0, partitions=1)
    assert str(found.happened_at) == "2025-12-31 22:00:00+00:00"


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: type(command).__name__)
def test_every_command_arrives_as_it_was_sent(command: object) -> None:
    sent = submission(command, tenant="acme", expected=3)._replace(  # type: ignore[arg-type]
        happened_at=HAPPENED_AT,
        traceparent="00-1-2-01",
        correlation_id="request-1",
        causation_id="event-1",
        command_hash=bytes(range(16)),
        deadline=HAPPENED_AT,
    )
    found = decode_submission(encode_submission(sent), partition=0, partitions=1)
    assert found._replace(name=sent.name) == sent


@pytest.mark.parametrize(
    "reply",
    [
        Reply("id", "refused", StreamId("device-1"), 3, refusal=Refusal(Kind.CONFLICT, "no", 3)),
        Reply("id", "accepted", StreamId("device-1"), 3, (Recorded("device.tagged", 3, "e"),), repeated=True),
    ],
)
def test_every_reply_arrives_as_it_was_sent(reply: Reply) -> None:
    assert decode_reply(encode_reply(reply)) == reply


ASKED = Inquiry("k-1", TenantId("acme"), Actor(ActorType.API_KEY, "k1"))


def test_question_about_a_command_arrives_as_it_was_sent() -> None:
    assert decode_asked(encode_inquiry(ASKED), partition=0, partitions=1) == ASKED
    sent = register("web-2", tenant="acme", id_="k")
    assert decode_asked(encode_submission(sent), partition=0, partitions=1) == decode_submission(
        encode_submission(sent), partition=0, partitions=1
    )


@pytest.mark.parametrize("fields", [{"id": NUL}, {"tenant": "a|b"}, {"actor": ["robot", "x"]}, {"actor": 5}], ids=str)
def test_question_that_is_none_is_refused(fields: dict[str, object]) -> None:
    raw = orjson.dumps(orjson.loads(encode_inquiry(ASKED)) | fields)
    with pytest.raises(BadCommand, match="no question"):
        decode_asked(raw, partition=0, partitions=1)


def test_question_is_asked_of_the_tenants_own_writer() -> None:
    home = partition_of(ASKED.tenant_id, 4)
    assert decode_asked(encode_inquiry(ASKED), partition=home, partitions=4) == ASKED
    with pytest.raises(BadCommand, match=f"belongs in partition {home}"):
        decode_asked(encode_inquiry(ASKED), partition=(home + 1) % 4, partitions=4)
