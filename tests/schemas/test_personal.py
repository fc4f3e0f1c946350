"""Marked fields are stored encrypted, opened with their subject's key, and gone for good without it."""

import secrets
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import StreamId, TenantId
from schemas.payload import BadPayload, decode_payload, encode_payload, schema_files
from schemas.personal import (
    ERASED,
    BadMark,
    Erased,
    Keys,
    Origin,
    open_payload,
    personal_fields,
    seal_payload,
    subjects,
)
from schemas.sealed import Tampered, new_key
from tests.schemas.marked import INVITED, MAYBE, SEEN, released

ACME, BOLT = TenantId("acme"), TenantId("bolt")
ANN, BEN = (ACME, "user-ann"), (ACME, "user-ben")
INVITATION = Origin(ACME, StreamId("invitation-1"), "person.invited", 1)
VISIT = Origin(ACME, StreamId("user-ann"), "person.seen", 1)
DATA = {
    "user_id": "user-ann",
    "email": "ann@example.com",
    "name": None,
    "manager": "user-ben",
    "manager_email": "ben@example.com",
    "roles": ["admin"],
}
ALONE = {**DATA, "manager_email": None}
"""With no other field that could be at fault."""

KEY = bytes.fromhex("a1" * 32)
KEYS: Keys = {ANN: KEY, BEN: bytes.fromhex("b2" * 32)}
GOLDEN = "AQABAgMEBQYHCAkKC81FZ7eCJ0KGesPHb2oWaa-70b9zikyb8yprYBbBKwo"
"""The address of Ann, sealed with KEY and the nonce 00 01 02 ... 0b; it may never change."""


@pytest.fixture(autouse=True, scope="module")
def schemas() -> Iterator[None]:
    with released(person_invited=INVITED, person_seen=SEEN):
        yield


def test_marked_fields_are_found_with_what_names_their_subject() -> None:
    assert personal_fields("person.invited", 1) == {"email": "user_id", "name": "user_id", "manager_email": "manager"}
    assert personal_fields("person.seen", 1) == {"ip": "stream"}


def test_mark_of_every_released_schema_can_be_followed() -> None:
    assert all(personal_fields(type_, version) is not None for type_, version, _ in schema_files())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ([{"name": "a", "type": "long", "personal": "stream"}], "a is marked but is not a text"),
        ([{"name": "a", "type": {"type": "array", "items": "string"}, "personal": "stream"}], "is not a text"),
        ([{"name": "a", "type": "string", "personal": "b"}], "to be of b, which is no text"),
        ([{"name": "a", "type": "string", "personal": "b"}, {"name": "b", "type": "long"}], "of b, which is no text"),
        ([{"name": "a", "type": "string", "personal": "a"}], "to be of a, which is no text that stays open"),
        (
            [
                {
                    "name": "a",
                    "type": {
                        "type": "array",
                        "items": {
                            "type": "record",
                            "name": "Inside",
                            "fields": [{"name": "b", "type": MAYBE, "personal": "stream"}],
                        },
                    },
                }
            ],
            "a mark stands inside a field",
        ),
    ],
)
def test_mark_that_cannot_be_followed_is_refused(fields: list[Mapping[str, Any]], words: str) -> None:
    with released(person_bad=fields), pytest.raises(BadMark, match=words):
        personal_fields("person.bad", 1)


def test_subjects_are_those_whose_fields_have_a_value() -> None:
    assert subjects(INVITATION, DATA) == {ANN, BEN}
    assert subjects(INVITATION, {**DATA, "manager_email": None}) == {ANN}
    assert subjects(VISIT, {"ip": "192.0.2.7", "agent": "x"}) == {ANN}
    assert subjects(VISIT, {"ip": None, "agent": "x"}) == frozenset()
    assert subjects(INVITATION, seal_payload(INVITATION, DATA, KEYS)) == {ANN, BEN}


def test_only_marked_fields_with_a_value_are_sealed_and_the_schema_takes_them() -> None:
    sealed = seal_payload(INVITATION, DATA, KEYS)
    assert {name for name in DATA if sealed[name] != DATA[name]} == {"email", "manager_email"}
    raw = encode_payload("person.invited", 1, sealed)
    assert b"example.com" not in raw
    assert open_payload(INVITATION, decode_payload("person.invited", 1, raw), KEYS) == DATA


def test_event_without_marks_is_left_alone() -> None:
    origin = Origin(ACME, StreamId("device-1"), "device.retired", 1)
    assert (
        seal_payload(origin, {"reason": "old"}, {}) == open_payload(origin, {"reason": "old"}, {}) == {"reason": "old"}
    )
    assert subjects(origin, {"reason": "old"}) == frozenset()


def test_stored_form_is_that_of_its_release(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_payload(INVITATION, {**ALONE, "email": GOLDEN}, KEYS)["email"] == DATA["email"]
    monkeypatch.setattr(secrets, "token_bytes", lambda count: bytes(range(count)))
    assert seal_payload(INVITATION, DATA, KEYS)["email"] == GOLDEN, "changed what was released: add a version"


@given(st.text(st.characters(codec="utf-8"), max_size=100), st.text(st.characters(codec="utf-8"), max_size=100))
def test_any_text_is_opened_as_it_was(email: str, name: str) -> None:
    data = {**DATA, "email": email, "name": name}
    assert open_payload(INVITATION, seal_payload(INVITATION, data, KEYS), KEYS) == data


@pytest.mark.parametrize("keys", [{BEN: KEYS[BEN]}, {ANN: None, BEN: KEYS[BEN]}])
def test_field_without_its_key_is_erased_and_all_others_are_as_they_were(keys: Keys) -> None:
    opened = open_payload(INVITATION, seal_payload(INVITATION, DATA, KEYS), keys)
    assert opened == {**DATA, "email": ERASED}
    assert isinstance(opened["email"], Erased)


def test_erased_is_told_apart_from_a_text_that_says_so() -> None:
    data = {**DATA, "email": "[erased]"}
    assert not isinstance(open_payload(INVITATION, seal_payload(INVITATION, data, KEYS), KEYS)["email"], Erased)


def test_value_of_a_subject_that_was_erased_before_is_never_stored() -> None:
    sealed = seal_payload(INVITATION, DATA, {**KEYS, ANN: None})
    assert sealed["email"] == "AA"
    assert open_payload(INVITATION, sealed, {BEN: KEYS[BEN]}) == {**DATA, "email": ERASED}


def test_key_that_was_not_given_is_no_reason_to_drop_a_value() -> None:
    with pytest.raises(LookupError, match="the key for email was not given"):
        seal_payload(INVITATION, DATA, {BEN: KEYS[BEN]})


@pytest.mark.parametrize("user", [None, ""])
def test_field_of_nobody_is_refused_and_its_value_not_told(user: str | None) -> None:
    for use in (seal_payload, open_payload):
        with pytest.raises(BadPayload, match="email is of user_id, which is empty") as refused:
            use(INVITATION, {**DATA, "user_id": user}, KEYS)
        assert "ann@example.com" not in str(refused.value)


@pytest.mark.parametrize(
    ("origin", "name", "user"),
    [
        (INVITATION._replace(tenant_id=BOLT), "email", "user-ann"),
        (INVITATION._replace(type="person.welcomed"), "email", "user-ann"),
        (INVITATION, "name", "user-ann"),
        (INVITATION, "email", "user-ben"),
    ],
    ids=["tenant", "type", "field", "subject"],
)
def test_sealed_text_that_was_moved_is_found_also_when_the_key_is_the_same(
    origin: Origin, name: str, user: str
) -> None:
    sealed = seal_payload(INVITATION, DATA, KEYS)["email"]
    data = {"user_id": user, "email": None, "name": None, name: sealed}
    same = {(tenant, who): KEY for tenant in (ACME, BOLT) for who in ("user-ann", "user-ben")}
    with (
        released(person_invited=INVITED, person_welcomed=INVITED),
        pytest.raises(Tampered, match=f"{origin.type}: {name}: the sealed bytes were changed or moved"),
    ):
        open_payload(origin, data, same)


@given(st.data())
def test_any_other_text_in_place_of_the_sealed_one_is_found(data: st.DataObject) -> None:
    sealed = seal_payload(INVITATION, DATA, KEYS)["email"]
    at = data.draw(st.integers(0, len(sealed) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda char: char != sealed[at]))
    for text in (
        sealed[:at] + other + sealed[at + 1 :],
        sealed[:at],
        sealed + other,
        sealed[:at] + other + sealed[at:],
    ):
        with pytest.raises(Tampered):
            open_payload(INVITATION, {**ALONE, "email": text}, KEYS)


@pytest.mark.parametrize("text", [f"{GOLDEN[:-1]}p", f"{GOLDEN}=", f"!{GOLDEN}", f"{GOLDEN[:9]}\n{GOLDEN[9:]}"])
def test_text_that_base64_reads_as_the_same_bytes_is_found(text: str) -> None:
    assert urlsafe_b64decode(f"{text}==") == urlsafe_b64decode(f"{GOLDEN}==")
    with pytest.raises(Tampered):
        open_payload(INVITATION, {**ALONE, "email": text}, KEYS)


@pytest.mark.parametrize("text", ["", "AA", "ann@example.com", "=", "ä"])
def test_text_that_was_never_sealed_is_not_taken_for_a_value(text: str) -> None:
    with pytest.raises(Tampered, match=r"person\.invited: email"):
        open_payload(INVITATION, {**ALONE, "email": text}, KEYS)


def test_same_payload_is_sealed_as_other_texts_each_time() -> None:
    keys = {ANN: new_key(), BEN: new_key()}
    one, two = (seal_payload(INVITATION, DATA, keys) for _ in range(2))
    assert one["email"] != two["email"]
