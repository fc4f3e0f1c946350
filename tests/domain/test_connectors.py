"""What comes from systems outside: who may send, which record a change is of, and what tells changes apart."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from domain.given import Given
from domain.integration.change import CHANGE, IngestChange, Op
from domain.integration.connector import (
    CONNECTOR,
    Connector,
    ConnectorStatus,
    connector_stream,
)
from domain.integration.personal import LONGEST_PERSON, Naming, PersonalFields
from domain.integration.received import read_debezium, read_message
from domain.message import adapter
from domain.rejection import Kind
from schemas.json_text import json_text, json_value
from tests.examples.integration import (
    CHANGE_RECEIVED,
    CONNECTOR_CHANGES_REFUSED,
    CONNECTOR_PAUSED,
    CONNECTOR_PERSONAL_NAMED,
    CONNECTOR_REGISTERED,
    CONNECTOR_REMOVED,
    CONNECTOR_RESUMED,
    CONNECTOR_SECRET_ROTATED,
    INGEST_CHANGE,
    NAME_PERSONAL_FIELDS,
    NOTE_REFUSED_CHANGES,
    PAUSE_CONNECTOR,
    REGISTER_CONNECTOR,
    REMOVE_CONNECTOR,
    RESUME_CONNECTOR,
    ROTATE_CONNECTOR_SECRET,
)
from tests.given_when_then import GIVEN, Rules

connector, change = Rules(CONNECTOR), Rules(CHANGE)
ROW = {
    "op": "u",
    "before": {"id": 7, "status": "new"},
    "after": {"id": 7, "status": "paid"},
    "source": {"db": "shop", "schema": "public", "table": "orders", "lsn": 24023128, "ts_ms": 1},
    "ts_ms": 5,
}


def beside(state: Connector | None) -> Given:
    return GIVEN._replace(streams={connector_stream("crm"): state})


def test_connector_is_registered_once() -> None:
    assert CONNECTOR.decide(REGISTER_CONNECTOR, None, GIVEN) == (replace(CONNECTOR_REGISTERED, sealed="AQIDBA=="),)
    why = "connector crm is there already; take another connector_id"
    connector.given(CONNECTOR_REGISTERED).when(REGISTER_CONNECTOR).then_refused(Kind.CONFLICT, why)
    # what was removed is not another one later: its records are under this name
    removed = connector.given(CONNECTOR_REGISTERED, CONNECTOR_REMOVED)
    removed.when(REGISTER_CONNECTOR).then_refused(Kind.CONFLICT, why)


def test_connector_is_paused_resumed_and_removed() -> None:
    active = connector.given(CONNECTOR_REGISTERED)
    active.when(PAUSE_CONNECTOR).then(CONNECTOR_PAUSED)
    active.when(RESUME_CONNECTOR).then_nothing()
    active.when(REMOVE_CONNECTOR).then(CONNECTOR_REMOVED)
    paused = connector.given(CONNECTOR_REGISTERED, CONNECTOR_PAUSED)
    paused.when(PAUSE_CONNECTOR).then_nothing()
    paused.when(RESUME_CONNECTOR).then(CONNECTOR_RESUMED)
    removed = connector.given(CONNECTOR_REGISTERED, CONNECTOR_REMOVED)
    removed.when(REMOVE_CONNECTOR).then_nothing()


@pytest.mark.parametrize("command", [ROTATE_CONNECTOR_SECRET, PAUSE_CONNECTOR, RESUME_CONNECTOR, NOTE_REFUSED_CHANGES])
def test_connector_that_is_removed_or_unknown_takes_nothing(command: Any) -> None:
    removed = connector.given(CONNECTOR_REGISTERED, CONNECTOR_REMOVED)
    removed.when(command).then_refused(Kind.NOT_ALLOWED, "connector crm is removed; register another one")
    connector.when(command).then_refused(Kind.NOT_FOUND, "connector crm is not known")


def test_secrets_and_refused_changes_are_counted() -> None:
    rotated = CONNECTOR.decide(ROTATE_CONNECTOR_SECRET, Connector(tool_type="x"), GIVEN)
    assert rotated == (replace(CONNECTOR_SECRET_ROTATED, sealed="BQYHCA=="),)
    state = CONNECTOR.evolve(Connector(tool_type="x"), CONNECTOR_SECRET_ROTATED)
    assert state == Connector(tool_type="x", secrets=2)
    refused = CONNECTOR.decide(NOTE_REFUSED_CHANGES, Connector(tool_type="x", refused=3), GIVEN)
    assert refused == (CONNECTOR_CHANGES_REFUSED,)


def test_change_says_what_tool_it_is_of() -> None:
    known = beside(Connector(tool_type="postgresql", naming=2))
    change.when(INGEST_CHANGE, known).then(CHANGE_RECEIVED)
    change.given(CHANGE_RECEIVED).when(INGEST_CHANGE, known).then(CHANGE_RECEIVED)


def test_change_that_was_read_when_something_else_was_personal_is_read_again() -> None:
    why = "what is personal in what connector crm sends has just changed; send it again"
    for naming in (0, 1, 3):
        known = beside(Connector(tool_type="postgresql", naming=naming))
        change.when(INGEST_CHANGE, known).then_refused(Kind.NOT_NOW, why)


def test_record_is_a_person_by_itself_where_nobody_else_is_named() -> None:
    known = beside(Connector(tool_type="postgresql", naming=2))
    nobody = replace(INGEST_CHANGE, person="")
    change.when(nobody, known).then(replace(CHANGE_RECEIVED, person=str(nobody.stream)))
    change.when(replace(nobody, personal=None), known).then(replace(CHANGE_RECEIVED, person=None, personal=None))


def test_what_is_personal_is_said_when_a_connector_is_registered_and_anew_later() -> None:
    said = replace(REGISTER_CONNECTOR, personal_fields=("email", "name"), person_field="customer_id")
    registered, named = CONNECTOR.decide(said, None, GIVEN)
    assert registered == replace(CONNECTOR_REGISTERED, sealed="AQIDBA==")
    assert named == replace(CONNECTOR_PERSONAL_NAMED, number=1)
    # what is said is kept, also where nothing is personal yet
    _, early = CONNECTOR.decide(replace(said, personal_fields=()), None, GIVEN)
    assert early == replace(CONNECTOR_PERSONAL_NAMED, number=1, personal_fields=())
    connector.given(CONNECTOR_REGISTERED, named).when(NAME_PERSONAL_FIELDS).then(CONNECTOR_PERSONAL_NAMED)
    one = replace(NAME_PERSONAL_FIELDS, person_field="email")
    why = "email says whose the personal fields are, so it cannot be one of them"
    connector.given(CONNECTOR_REGISTERED).when(one).then_refused(Kind.NOT_ALLOWED, why)


def test_field_that_says_what_a_change_is_cannot_be_personal() -> None:
    with pytest.raises(ValidationError, match="says what a change is"):
        TypeAdapter(PersonalFields).validate_python(("email", "source"))


NAMING = Naming(frozenset({"email", "name"}), "customer_id", 2, b"secret")
PERSON = {**ROW, "before": {"id": 7, "email": None}, "after": {"id": 7, "customer_id": 42, "email": "ann@shop.example"}}


def test_personal_values_are_taken_out_of_a_change() -> None:
    command, _ = read_debezium("crm", PERSON, NAMING)
    assert json_value(command.payload) == {**PERSON, "after": {"id": 7, "customer_id": 42, "email": "[personal]"}}
    assert (command.personal, command.person) == ('{"/after/email":"ann@shop.example"}', "person-crm~42")
    assert command.naming == 2
    assert read_debezium("crm", ROW, NAMING)[0].personal is None
    assert read_debezium("crm", {"schema": {}, "payload": PERSON}, NAMING)[0] == command


def test_personal_values_are_taken_out_of_a_message_wherever_they_are() -> None:
    said = {"type": "order", "to": [{"name": {"first": "Ann"}, "a/b": {"email": "a@b.example"}}], "customer_id": True}
    command, _ = read_message("shop", said, None, NAMING)
    taken = [{"name": "[personal]", "a/b": {"email": "[personal]"}}]
    assert json_value(command.payload) == {**said, "to": taken}
    assert json_value(command.personal or "") == {"/to/0/name": {"first": "Ann"}, "/to/0/a~1b/email": "a@b.example"}
    # true is no name of a person
    assert command.person == ""


def test_newer_row_says_whose_values_they_are() -> None:
    rows = {"before": {"customer_id": 1, "name": "A"}, "after": {"customer_id": 2, "name": "B"}}
    assert read_debezium("crm", {**ROW, **rows}, NAMING)[0].person == "person-crm~2"
    assert read_debezium("crm", {**ROW, **rows, "after": None}, NAMING)[0].person == "person-crm~1"


def test_change_that_would_have_a_personal_value_in_the_open_is_refused() -> None:
    for key in ({"email": "ann@shop.example"}, {"payload": {"name": "Ann"}}):
        with pytest.raises(ValueError, match="in the key of its row"):
            read_debezium("crm", {"key": key, "payload": PERSON}, NAMING)
    with pytest.raises(ValueError, match="in the key of its row"):
        read_debezium("crm", PERSON, NAMING._replace(fields=frozenset({"id"})))
    with pytest.raises(ValueError, match="is no JSON object"):
        read_debezium("crm", {**ROW, "after": '{"email": "ann@shop.example"}'}, NAMING)


@pytest.mark.parametrize("key", ["ann@shop.example", '{"email": "ann@shop.example"}', ["ann@shop.example"], 7])
def test_key_whose_fields_have_no_names_is_refused_where_some_are_personal(key: Any) -> None:
    for message in ({"key": key, "payload": PERSON}, {**PERSON, "key": key}):
        with pytest.raises(ValueError, match="has a key that is no JSON object"):
            read_debezium("crm", message, NAMING)
        assert read_debezium("crm", message)[0].key


@pytest.mark.parametrize(
    "text",
    [
        '{"email": "ann@shop.example"}',
        ' [{"to": {"name": "Ann"}}]',
        # what changed of a document, as MongoDB says it, and a text within a text
        '{"contact.email": "ann@shop.example"}',
        json_text('{"email": "ann@shop.example"}'),
        "[" * 1_000 + '{"email": "ann@shop.example"}' + "]" * 1_000,
    ],
)
def test_text_that_is_json_with_a_personal_field_is_personal_as_a_whole(text: str) -> None:
    row = {"id": 7, "customer_id": 42, "profile": text}
    changed = {"updateDescription": {"updatedFields": text}}
    command, _ = read_debezium("crm", {**ROW, **changed, "before": None, "after": row}, NAMING)
    assert "ann@shop.example" not in command.payload
    taken = {"/after/profile": text, "/updateDescription/updatedFields": text}
    assert (json_value(command.personal or ""), command.person) == (taken, "person-crm~42")
    command, _ = read_message("crm", text, None, NAMING)
    assert (command.payload, json_value(command.personal or "")) == ('"[personal]"', {"": text})


@pytest.mark.parametrize("text", ['{"size": 7}', "{email", "an email", "[]", "[" * 2_000, '"email"'])
def test_text_without_a_personal_field_stays(text: str) -> None:
    command, _ = read_message("crm", {"said": text}, None, NAMING)
    assert (json_value(command.payload), command.personal) == ({"said": text}, None)


@pytest.mark.parametrize("value", [42, 42.0, "42"])
@pytest.mark.parametrize("inside", [False, True])
def test_person_is_found_however_the_row_says_it(value: Any, *, inside: bool) -> None:
    row = {"name": {"first": "Ann", "customer_id": value}} if inside else {"name": "Ann", "customer_id": value}
    assert read_debezium("crm", {**ROW, "after": row}, NAMING)[0].person == "person-crm~42"


def test_longest_person_of_the_longest_connector_is_taken_by_the_writer() -> None:
    connector_id = "c" * 60
    row = {"name": "Ann", "customer_id": "x" * LONGEST_PERSON}
    command, _ = read_debezium(connector_id, {**ROW, "after": row}, NAMING)
    assert command.person == f"person-{connector_id}~{'x' * LONGEST_PERSON}"
    assert adapter(IngestChange).validate_python(adapter(IngestChange).dump_python(command)) == command


def test_refusal_does_not_say_the_value() -> None:
    with pytest.raises(ValueError, match="needs more than 64 bits") as refused:
        read_debezium("crm", {**ROW, "after": {"name": 2**64 - 1}}, NAMING)
    assert str(2**64 - 1) not in str(refused.value)


def test_identity_tells_personal_values_apart_and_gives_none_away() -> None:
    def identity(email: str, secret: bytes = b"secret") -> str:
        message = {**PERSON, "after": {"id": 7, "email": email}}
        return read_debezium("crm", message, NAMING._replace(secret=secret)).identity

    assert identity("a@b.example") == identity("a@b.example")
    assert len({identity("a@b.example"), identity("c@b.example"), identity("a@b.example", b"another")}) == 3
    message = {"email": "a@b.example"}
    found = {read_message("shop", message, None, NAMING._replace(secret=one)).identity for one in (b"1", b"2")}
    assert len(found) == 2


@pytest.mark.parametrize(
    ("state", "kind", "why"),
    [
        (None, Kind.NOT_ALLOWED, "connector crm is not registered, or is removed"),
        (ConnectorStatus.REMOVED, Kind.NOT_ALLOWED, "connector crm is not registered, or is removed"),
        (ConnectorStatus.PAUSED, Kind.NOT_NOW, "connector crm is paused; send it again later"),
    ],
)
def test_change_of_a_connector_that_takes_none_is_refused(state: ConnectorStatus | None, kind: Kind, why: str) -> None:
    given = beside(None if state is None else Connector(tool_type="x", status=state))
    change.when(INGEST_CHANGE, given).then_refused(kind, why)


def test_change_of_a_row_is_read() -> None:
    command, _ = read_debezium("crm", ROW)
    assert (command.op, command.source_event_type) == (Op.UPDATED, "u")
    assert (command.database, command.schema_name, command.table) == ("shop", "public", "orders")
    assert (command.key, command.source_position) == ('{"id":7}', '{"lsn":24023128}')
    assert json_value(command.payload) == ROW
    assert command.stream.startswith("change-crm~orders~")


def test_changes_of_one_row_are_one_stream_and_those_of_others_are_not() -> None:
    def stream(message: Any, connector_id: str = "crm") -> str:
        return read_debezium(connector_id, message)[0].stream

    deleted = {**ROW, "op": "d", "after": None}
    assert stream(ROW) == stream(deleted)
    other_row = {**ROW, "after": {"id": 8}}
    other_table = {**ROW, "source": {**ROW["source"], "table": "orders.old"}}  # type: ignore[dict-item]
    other_schema = {**ROW, "source": {**ROW["source"], "schema": "test"}}  # type: ignore[dict-item]
    found = [stream(ROW), stream(other_row), stream(other_table), stream(other_schema), stream(ROW, "erp")]
    assert len(set(found)) == 5


def test_key_beside_the_change_names_the_row() -> None:
    key = {"schema": {}, "payload": {"number": "A-1"}}
    for message in ({**ROW, "key": {"number": "A-1"}}, {"key": key, "payload": ROW}):
        assert read_debezium("crm", message)[0].key == '{"number":"A-1"}'


def test_change_told_again_is_the_same_and_another_change_is_not() -> None:
    def identity(message: Any) -> str:
        return read_debezium("crm", message).identity

    assert identity({**ROW, "ts_ms": 9, "ts_us": 9_000}) == identity(ROW)
    assert identity({"schema": {"type": "struct"}, "payload": ROW}) == identity(ROW)
    later = {**ROW, "source": {**ROW["source"], "lsn": 24023129}}  # type: ignore[dict-item]
    assert identity(later) != identity(ROW)
    # without a source the moment tells them apart
    bare = {name: said for name, said in ROW.items() if name != "source"}
    assert identity({**bare, "ts_ms": 9}) != identity(bare)


@pytest.mark.parametrize("op", ["c", "r", "u", "d", "t", "m"])
def test_every_op_of_debezium_is_known(op: str) -> None:
    assert read_debezium("crm", {**ROW, "op": op})[0].op == op


@pytest.mark.parametrize("message", [{**ROW, "op": "x"}, {**ROW, "op": 7}, {"id": 7}, {}, None, 7, "text", []])
def test_what_is_unknown_is_kept_as_unknown(message: Any) -> None:
    command, identity = read_debezium("crm", message)
    assert command.op is Op.UNKNOWN
    assert json_value(command.payload) == message
    assert identity


def test_truncation_has_no_row() -> None:
    truncated = {"op": "t", "source": ROW["source"], "ts_ms": 5}
    command, _ = read_debezium("crm", truncated)
    assert (command.op, command.table, command.key) == (Op.TRUNCATED, "orders", "")


def test_message_is_told_from_others_by_its_id_or_by_what_it_says() -> None:
    paid = {"type": "order.paid", "data": {"order": 7}}
    command, identity = read_message("shop", paid, "msg_1")
    assert (command.op, command.source_event_type, json_value(command.payload)) == (Op.MESSAGE, "order.paid", paid)
    assert read_message("shop", {"type": "other"}, "msg_1").identity == identity
    assert read_message("shop", paid, "msg_2").identity != identity
    assert (
        read_message("shop", paid, None).identity == read_message("shop", dict(reversed(paid.items())), None).identity
    )
    assert read_message("shop", ["no", "type"], None).command.source_event_type == "UNKNOWN"


@pytest.mark.parametrize("read", [read_debezium, lambda one, message: read_message(one, message, None)])
def test_what_is_too_large_or_too_deep_is_refused(read: Any) -> None:
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    for message, why in (({"a": "x" * 65_536}, "is larger than 64 KiB as JSON"), (deep, "inside each other")):
        with pytest.raises(ValueError, match=why):
            read("crm", message)


def test_key_that_is_too_large_or_too_deep_is_refused() -> None:
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    for key in (deep, "x" * 5_000):
        with pytest.raises(ValueError, match=r"inside each other|larger than 4 KiB"):
            read_debezium("crm", {"key": key, "payload": ROW})


def test_names_are_one_line_of_a_bounded_length() -> None:
    source = {**ROW["source"], "table": "a\nb\0" + "x" * 500}  # type: ignore[dict-item]
    command, _ = read_debezium("crm", {**ROW, "source": source, "op": "u" * 500})
    assert command.table == "a b " + "x" * 196
    assert len(command.source_event_type) == 200
    assert len(command.stream) < 128
