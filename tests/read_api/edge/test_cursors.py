"""A cursor is good for one tenant, one list, one question and one order."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from read_api.edge.cursors import Cursors
from read_api.edge.problems import Problem
from schemas.envelope import TenantId

SECRET = b"secret"
ACME = TenantId("acme")
LIST = Cursors(SECRET, ACME, "/v1/devices", {"filters": {"status": "ONLINE"}, "sort": "hostname"})


@given(st.lists(st.one_of(st.text(), st.integers(0, 2**53))))
def test_a_cursor_gives_back_its_place(place: list[str | int]) -> None:
    assert LIST.read(LIST.write(place)) == place


@pytest.mark.parametrize(
    "other",
    [
        Cursors(b"other", ACME, "/v1/devices", {"filters": {"status": "ONLINE"}, "sort": "hostname"}),
        Cursors(SECRET, TenantId("bolt"), "/v1/devices", {"filters": {"status": "ONLINE"}, "sort": "hostname"}),
        Cursors(SECRET, ACME, "/v1/alerts", {"filters": {"status": "ONLINE"}, "sort": "hostname"}),
        Cursors(SECRET, ACME, "/v1/devices", {"filters": {"status": "OFFLINE"}, "sort": "hostname"}),
        Cursors(SECRET, ACME, "/v1/devices", {"filters": {}, "sort": "hostname"}),
        Cursors(SECRET, ACME, "/v1/devices", {"filters": {"status": "ONLINE"}, "sort": "-hostname"}),
    ],
    ids=["secret", "tenant", "list", "filter value", "filters", "sort"],
)
def test_a_cursor_of_another_list_is_refused(other: Cursors) -> None:
    with pytest.raises(Problem):
        LIST.read(other.write(["web-1", "1"]))


@given(st.integers(0, 200), st.integers(1, 255))
def test_a_changed_byte_is_refused(index: int, flip: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(LIST.write(["web-1", "device-17"]) + "=="))
    raw[index % len(raw)] ^= flip
    with pytest.raises(Problem):
        LIST.read(base64.urlsafe_b64encode(raw).decode().rstrip("="))


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(Problem):
        LIST.read(text)
