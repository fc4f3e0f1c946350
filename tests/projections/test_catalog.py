"""What holds for every projection."""

import json
import re
from datetime import datetime
from itertools import chain
from typing import Any

import pytest

from domain.catalog import EVENTS
from domain.finance.usual_amounts import AmountNoted
from domain.identity.sign_in import UserAuthenticated, UserLoginFailed
from domain.message import FactRecord
from domain.operations.retry import ProcessRetryRequested
from projections.catalog import PROJECTIONS, of_role
from projections.documents import sort_text
from projections.fields import instant_text
from projections.history.event_rows import EventRow
from projections.projection import Projection
from projections.question import Choice, Question
from projections.rows import Patch, Role
from schemas.envelope import Topic
from tests.examples import EVENTS as EXAMPLES
from tests.given_when_then import Rows

BY_NAME = {projection.name: projection for projection in PROJECTIONS}


def patches(view: Projection) -> list[Patch]:
    rows = [row for event in view.events or () for row in Rows(view).when(EXAMPLES[event]).rows()]
    return [row for row in rows if isinstance(row, Patch)]


def test_names_are_different_and_in_the_order_of_the_roles() -> None:
    assert len(BY_NAME) == len(PROJECTIONS)
    assert [projection for role in Role for projection in of_role(role)] == list(PROJECTIONS)


@pytest.mark.parametrize("view", PROJECTIONS, ids=BY_NAME)
def test_topics_are_those_of_the_events(view: Projection) -> None:
    if view.events is None:
        assert (view.topics, view.layout.row) == ((Topic.EVENTS,), EventRow)
        return
    observed = {issubclass(event, FactRecord) for event in view.events}
    assert set(view.topics) == {Topic.TELEMETRY if fact else Topic.EVENTS for fact in observed}
    assert set(view.events) <= set(EVENTS.values())


# who had a process tried again is a question for the audit; what came of it stands in the process's own stream
# what a party's amounts were is kept for the rule alone, and stands in its invoices and transactions
# who signed in through a provider stands in the list of sessions too, but how they did, and who did not, does not
_FOR_THE_AUDIT_ALONE = {ProcessRetryRequested, AmountNoted, UserAuthenticated, UserLoginFailed}


def test_every_event_and_fact_is_seen_by_some_view() -> None:
    wanted = {event for view in PROJECTIONS for event in view.events or ()}
    assert wanted == set(EVENTS.values()) - _FOR_THE_AUDIT_ALONE


@pytest.mark.parametrize("view", of_role(Role.DOCUMENTS), ids=lambda view: view.name)
def test_fields_of_documents_are_json_like(view: Projection) -> None:
    for patch in patches(view):
        assert json.loads(json.dumps(patch.fields, allow_nan=False)) == patch.fields


@pytest.mark.parametrize("view", of_role(Role.DOCUMENTS), ids=lambda view: view.name)
def test_lists_filter_and_sort_by_fields_that_documents_have(view: Projection) -> None:
    fields: dict[str, Any] = {name: value for patch in patches(view) for name, value in patch.fields.items()}
    layout = view.documents
    filters, sorts, numbers, instants = layout.filters, layout.sorts, layout.numbers, layout.instants
    assert {*filters, *sorts, *layout.search} <= set(fields)
    assert sorts
    # stores make columns and paths of these names
    assert all(name.isidentifier() for name in (*filters, *sorts))
    assert {*numbers, *instants} <= set(sorts)
    assert set(numbers).isdisjoint(instants)
    assert all(isinstance(fields[name], str) for name in (*filters, *sorts, *layout.search) if name not in numbers)
    assert all(sort_text(layout, name, fields[name]) for name in numbers)
    for name in instants:
        values = [patch.fields[name] for patch in patches(view) if patch.fields.get(name)]
        assert values == [instant_text(datetime.fromisoformat(value)) for value in values]
    # what is sealed in the log is not written down in the open beside it
    assert view.personal.isdisjoint({*filters, *sorts, *layout.search})


@pytest.mark.parametrize("view", of_role(Role.DOCUMENTS), ids=lambda view: view.name)
def test_parameters_of_a_list_have_names_of_their_own(view: Projection) -> None:
    layout = view.documents
    ends = [f"{field}_{end}" for field in layout.ranges for end in ("from", "before")]
    names = [*layout.filters, *ends, "q", "sort", "limit", "cursor"]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("view", of_role(Role.DOCUMENTS), ids=lambda view: view.name)
def test_a_listed_view_says_all_that_its_routes_need(view: Projection) -> None:
    layout = view.documents
    if not layout.example:
        assert (layout.scope, layout.default_sort) == ("", "")
        return
    fields = {name for patch in patches(view) for name in patch.fields}
    assert set(layout.example) <= {"id", "version", *fields}
    assert layout.scope
    assert layout.filters
    assert layout.default_sort.removeprefix("-") in layout.sorts


COLUMNAR = [view for view in PROJECTIONS if view.project_columns is not None]


@pytest.mark.parametrize("view", COLUMNAR, ids=lambda view: view.name)
def test_only_facts_of_known_types_are_projected_in_columns(view: Projection) -> None:
    # of decided events the streams that are parked would have to be left out
    assert view.topics == (Topic.TELEMETRY,)
    assert view.events
    assert view.role is not Role.DOCUMENTS


QUESTIONS = [question for view in of_role(Role.ANALYTICS) for question in view.analytics.questions]


def test_questions_have_different_names_and_belong_to_the_view_that_they_read() -> None:
    assert len({question.name for question in QUESTIONS}) == len(QUESTIONS)
    for view in of_role(Role.ANALYTICS):
        assert {question.view for question in view.analytics.questions} <= {view.name}
        beside = {name for question in view.analytics.questions for name in question.beside}
        assert beside <= {other.name for other in of_role(Role.ANALYTICS)} - {view.name}
        assert view.layout.scope


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_a_question_reads_its_own_views_alone_and_leaves_the_tenant_to_the_store(question: Question[Any]) -> None:
    # the store puts the tenant's own rows in front, under the name of each view: WITH <view> AS (…)
    assert question.sql.split()[0] == "SELECT"
    assert set(re.findall(r"\b(?:FROM|JOIN|IN)\s+([^\s(]+)", question.sql, re.IGNORECASE)) == set(question.views)
    assert not any(re.search(rf"\bFROM {view}\s*,", question.sql) for view in question.views)
    assert "tenant_id" not in question.sql


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_a_question_uses_the_parameters_that_it_declares(question: Question[Any]) -> None:
    choices = {name for name, kind in question.parameters.items() if isinstance(kind, Choice)}
    assert set(re.findall(r"\{(\w+)\}", question.sql)) == choices
    assert set(re.findall(r"\{(\w+):\w+\}", question.sql)) | choices == set(question.parameters)
    for name in choices:
        assert question.parameters[name].default in question.parameters[name].sql


@pytest.mark.parametrize("view", of_role(Role.TIMELINE), ids=lambda view: view.name)
def test_a_timeline_layout_names_columns_of_its_rows_and_of_the_right_type(view: Projection) -> None:
    layout = view.timeline
    cuts = [cut for cut in (layout.bucket, layout.shards, layout.noted) if cut]
    texts = {*layout.series, *layout.filters, *([layout.search] if layout.search else [])}
    named = {*layout.key, *layout.order, *texts, *(cut.of for cut in cuts), *chain.from_iterable(layout.indexes)}
    assert named <= set(layout.columns)
    assert {layout.columns[column] for column in texts} <= {str}
    assert layout.columns["position"] is int
    assert layout.value is None or layout.columns[layout.value] is float
    assert layout.day is None or layout.columns[layout.day] is datetime
    # what stores add beside them
    assert {"slice", *(cut.column for cut in cuts)}.isdisjoint(layout.columns)


@pytest.mark.parametrize("view", of_role(Role.TIMELINE), ids=lambda view: view.name)
def test_a_timeline_layout_can_be_asked_by_range(view: Projection) -> None:
    layout = view.timeline
    assert layout.key[0] == "tenant_id"
    assert layout.bucket.of == layout.order[0]
    assert set(layout.filters).isdisjoint({*layout.order, *layout.series})
    assert layout.day not in layout.order[1:]
    assert layout.value is None or layout.order[0] == layout.day
    assert (layout.noted is None) or (layout.noted.of == layout.day != layout.order[0])
    assert layout.scope
    assert layout.example
