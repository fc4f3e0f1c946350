"""The patches of the document views."""

from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from domain.catalog import CONTEXTS
from domain.message import Event, FactRecord
from projections.catalog import of_role
from projections.documents import sort_text
from projections.finance import invoices
from projections.fleet import devices
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch, Role
from tests.examples import ACME, Place
from tests.examples.finance import CATEGORISED, RECEIVED
from tests.examples.fleet import HEARTBEAT, HEARTBEAT_RECORD, LOG, LOG_RECORD, METRICS
from tests.given_when_then import Rows
from tests.projections.documents import RECORDED, Case

CASES: list[Case] = [
    case
    for name in (*(context.name for context in CONTEXTS), "agents", "vectors", "process")
    for case in import_module(f"tests.projections.documents.{name}").CASES
]


@pytest.mark.parametrize(("view", "id_", "event", "fields"), CASES, ids=[case[2].TYPE for case in CASES])
def test_event_sets_its_fields_in_the_order_of_its_version(
    view: Projection, id_: str, event: Event, fields: dict[str, Any]
) -> None:
    Rows(view).when(event, Place(version=3)).then(Patch(ACME, id_, "events", 3, fields))


def test_every_event_of_a_document_view_is_a_case() -> None:
    for view in of_role(Role.DOCUMENTS):
        decided = {event for event in view.events or () if not issubclass(event, FactRecord)}
        assert {type(event) for projection, _, event, _ in CASES if projection is view} == decided


@pytest.mark.parametrize(
    ("fact", "order"),
    [(HEARTBEAT, 9), (METRICS, 9), (LOG, 9), *((record, 2**40 + 9) for record in (HEARTBEAT_RECORD, LOG_RECORD))],
)
def test_any_fact_of_a_device_says_when_it_was_last_heard_of_in_the_order_of_the_log(fact: Event, order: int) -> None:
    Rows(devices.PROJECTION).when(fact, Place(position=9)).then(
        Patch(ACME, "42", "telemetry", order, {"last_seen_at": RECORDED})
    )


def test_fields_of_the_two_lanes_of_a_device_are_disjoint() -> None:
    decided = {name for projection, _, _, fields in CASES if projection is devices.PROJECTION for name in fields}
    assert "last_seen_at" not in decided


def test_what_is_not_known_is_left_out() -> None:
    received = replace(RECEIVED, due_date=None)
    (row,) = Rows(invoices.PROJECTION).when(received).rows()
    assert isinstance(row, Patch)
    assert "due_date" not in row.fields


def test_category_given_by_nobody_takes_the_name_of_the_earlier_one_away() -> None:
    (row,) = Rows(invoices.PROJECTION).when(replace(CATEGORISED, by=None)).rows()
    assert isinstance(row, Patch)
    assert row.fields["categorised_by"] == ""


NUMBER = some.integers(-(2**53), 2**53) | some.floats(allow_nan=False)


@given(one=NUMBER, other=NUMBER)
def test_texts_of_numbers_are_in_the_order_of_the_numbers(one: float, other: float) -> None:
    layout = Documents(sorts=("score",), numbers=("score",))
    texts = [sort_text(layout, "score", value) for value in (one, other)]
    assert (texts[0] < texts[1], texts[0] == texts[1]) == (one < other, one == other)
    assert "" == sort_text(layout, "score", None) < texts[0]
