"""The rows of the timeline and event views."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest

from domain.message import Event, FactRecord
from projections.automation import execution_logs, model_usage, workflow_facts
from projections.automation.model_usage import ModelUseRow
from projections.automation.workflow_facts import ExecutionRow
from projections.finance import invoice_balances, invoice_facts
from projections.finance.invoice_facts import InvoiceLineRow
from projections.fleet import device_logs, device_metrics, metrics_5m
from projections.fleet.device_logs import LogRow
from projections.fleet.metric_rows import MetricRow
from projections.history import audit_trail, events, stream_history
from projections.history.event_rows import EventRow
from projections.identity import api_usage
from projections.identity.api_usage import UsageRow
from projections.sales import lead_funnel
from projections.sales.lead_funnel import StepRow
from schemas.canonical_json import canonical_json
from schemas.envelope import StreamId
from tests.examples import ACME, EVENTS, Place, stored
from tests.examples.automation import (
    NODE_COMPLETED,
    NODE_FAILED,
    NODE_STARTED,
    NODE_WAITING,
    WORKFLOW_CANCELLED,
    WORKFLOW_COMPLETED,
    WORKFLOW_FAILED,
    WORKFLOW_RETRIED,
)
from tests.examples.finance import CANCELLED, CORRECTED, PAID_IN_PART, RECEIVED, REFUNDED
from tests.examples.fleet import LOG, LOG_RECORD, METRICS, METRICS_RECORD, RETIRED
from tests.examples.moments import HAPPENED_AT, RECORDED_AT
from tests.examples.operations import SERVED_RECORD, TASK_MODEL_USED
from tests.examples.sales import (
    CAPTURED,
    CONTACTED,
    CONVERTED,
    LOST,
    QUALIFIED,
    QUOTE_ACCEPTED,
    QUOTE_ISSUED,
    QUOTED,
)
from tests.given_when_then import Rows

EVENT_ID = "01943b1e-7a00-7000-8000-000000000001"


TURN = 2**40


def at(microseconds: int) -> datetime:
    return HAPPENED_AT + timedelta(microseconds=microseconds)


def test_each_event_of_an_execution_is_a_step_of_its_log() -> None:
    step = execution_logs.StepRow(
        tenant_id=ACME,
        execution_id="e1",
        step=3,
        at=RECORDED_AT,
        event="workflow.node.completed",
        node_id="check",
        node_name="Check it",
        node_type="task",
        attempt=1,
        item=-1,
        data='{"status":200}',
        duration_ms=0,
        actor="ann",
        position=7,
    )
    log = Rows(execution_logs.PROJECTION)
    log.when(NODE_COMPLETED, Place(version=3)).then(step)
    failed = step._replace(event="workflow.node.failed", data="connection refused", item=2)
    log.when(replace(NODE_FAILED, item=2), Place(version=3)).then(failed)
    steps: list[Any] = [log.when(event).rows()[0] for event in (NODE_STARTED, NODE_WAITING, WORKFLOW_CANCELLED)]
    assert [one.data for one in steps] == ['{"url":"https://web-1.example"}', "approval", "not needed any more"]
    retried: Any = log.when(WORKFLOW_RETRIED).rows()[0]
    assert (retried.node_id, retried.attempt, retried.data) == ("", 0, "")


@pytest.mark.parametrize(
    ("event", "status"),
    [(WORKFLOW_COMPLETED, "COMPLETED"), (WORKFLOW_FAILED, "FAILED"), (WORKFLOW_CANCELLED, "CANCELLED")],
)
def test_end_of_an_execution_is_a_fact(event: Event, status: str) -> None:
    row = ExecutionRow(ACME, StreamId("execution-e1"), RECORDED_AT, "triage", status, 1_500, 7)
    Rows(workflow_facts.PROJECTION).when(event).then(row)


def test_use_of_a_model_is_a_fact() -> None:
    row = ModelUseRow(ACME, StreamId("task-check-web-1"), RECORDED_AT, "openai", "gpt-4o-mini", 120, 40, 7)
    Rows(model_usage.PROJECTION).when(TASK_MODEL_USED).then(row)


@pytest.mark.parametrize("view", [device_metrics, metrics_5m])
def test_each_reading_of_a_record_makes_a_row(view: ModuleType) -> None:
    Rows(view.PROJECTION).when(METRICS_RECORD).then(
        MetricRow(ACME, "42", "cpu.load", HAPPENED_AT, 0.75, "ratio", TURN + 7),
        MetricRow(ACME, "42", "cpu.load", at(2_000_000), -0.0, "ratio", TURN + 7),
        MetricRow(ACME, "42", "cpu.steal", at(1), 0.5, "ratio", TURN + 7),
    )


@pytest.mark.parametrize("view", [device_metrics, metrics_5m])
def test_readings_that_an_earlier_version_kept_make_the_rows_they_always_made(view: ModuleType) -> None:
    Rows(view.PROJECTION).when(METRICS).then(
        MetricRow(ACME, "42", "cpu.load", HAPPENED_AT, 0.75, "ratio", TURN - 7),
        MetricRow(ACME, "42", "cpu.steal", HAPPENED_AT, -0.0, "ratio", TURN - 7),
    )


@pytest.mark.parametrize(
    ("view", "fact", "record"),
    [(device_metrics, METRICS, METRICS_RECORD), (metrics_5m, METRICS, METRICS_RECORD), (device_logs, LOG, LOG_RECORD)],
)
def test_stores_keep_the_last_record_and_before_it_the_first_fact_of_earlier_versions(
    view: ModuleType, fact: Event, record: Event
) -> None:
    def order(event: Event, position: int) -> set[int]:
        rows: Any = Rows(view.PROJECTION).when(event, Place(position=position)).rows()
        return {row.position for row in rows}

    orders = [order(fact, 9), order(fact, 8), order(record, 1), order(record, 2)]
    assert [len(each) for each in orders] == [1] * 4
    assert [min(each) for each in orders] == sorted(min(each) for each in orders)
    assert len(set.union(*orders)) == 4


def test_each_count_of_a_record_makes_a_row_of_usage() -> None:
    Rows(api_usage.PROJECTION).when(SERVED_RECORD).then(
        UsageRow(ACME, "42", HAPPENED_AT, "k1", "GET /v1/devices/{id}", 200, 3, 12, TURN + 7),
        UsageRow(ACME, "42", at(5), "k2", "POST /v1/telemetry", 429, 1, 0, TURN + 7),
    )


def log_row(device_id: str, event_type: str, hostname: str, details: str) -> LogRow:
    return LogRow(
        tenant_id=ACME,
        happened_at=HAPPENED_AT,
        fact_id=EVENT_ID,
        device_id=device_id,
        severity="error",
        event_type=event_type,
        hostname=hostname,
        summary="Failed password for root",
        details=details,
        position=TURN - 7,
    )


def test_two_equal_lines_of_a_record_are_two_rows_and_a_line_with_an_id_is_known_by_it() -> None:
    first = log_row("43", "login.failed", "LabSZ", "from 173.234.31.186 port 38926 ssh2")
    tick = log_row("42", "", "", "")._replace(
        happened_at=at(5), severity="info", summary="tick", fact_id=f"{EVENT_ID}.1", position=TURN + 7
    )
    Rows(device_logs.PROJECTION).when(LOG_RECORD).then(
        first._replace(fact_id="6f1d3c5e-0000-5000-8000-000000000001", position=TURN + 7),
        tick,
        tick._replace(fact_id=f"{EVENT_ID}.2"),
    )


def test_log_line_makes_a_row_of_the_device_it_names() -> None:
    Rows(device_logs.PROJECTION).when(LOG).then(
        log_row("43", "login.failed", "LabSZ", "from 173.234.31.186 port 38926 ssh2")
    )


def test_log_line_that_names_no_device_is_about_the_one_that_sent_it() -> None:
    bare = replace(LOG, device_id=None, event_type=None, hostname=None, details="")
    Rows(device_logs.PROJECTION).when(bare).then(log_row("42", "", "", ""))


@pytest.mark.parametrize("view", [audit_trail, stream_history, events])
def test_decided_event_makes_one_row_with_its_payload_as_json(view: ModuleType) -> None:
    Rows(view.PROJECTION).when(RETIRED, Place(version=3, position=9)).then(
        EventRow(
            tenant_id=ACME,
            stream=StreamId("device-42"),
            version=3,
            partition=0,
            position=9,
            event_id=EVENT_ID,
            type="device.retired",
            schema_version=1,
            happened_at=HAPPENED_AT,
            recorded_at=RECORDED_AT,
            actor_type="user",
            actor_id="ann",
            correlation_id="request-1",
            causation_id="command-1",
            data='{"reason":"replaced"}',
        )
    )


@pytest.mark.parametrize("view", [audit_trail, stream_history, events])
def test_every_decided_event_has_its_row(view: ModuleType) -> None:
    for event in EVENTS.values():
        if not isinstance(event, FactRecord):
            (row,) = Rows(view.PROJECTION).when(event).rows()
            assert isinstance(row, EventRow)
            assert (row.type, row.data) == (event.TYPE, canonical_json(stored(event)))


def line(number: int, at: datetime, product: str, description: str, amounts: tuple[str, str]) -> InvoiceLineRow:
    return InvoiceLineRow(
        tenant_id=ACME,
        stream=StreamId("invoice-17850:536365"),
        line=number,
        invoiced_at=at,
        number="536365",
        kind="invoice",
        direction="out",
        party="17850",
        country="United Kingdom",
        product=product,
        description=description,
        quantity=Decimal(amounts[0]),
        unit_price=Decimal(amounts[1]),
        currency="GBP",
        position=7,
    )


def test_received_invoice_makes_a_row_for_each_line_at_its_own_time_or_the_invoices() -> None:
    Rows(invoice_facts.PROJECTION).when(RECEIVED).then(
        line(1, HAPPENED_AT, "85123A", "WHITE HANGING HEART T-LIGHT HOLDER", ("6", "2.55")),
        line(2, RECORDED_AT, "71053", "", ("-0.5", "3.3901")),
    )


def test_price_that_four_decimals_do_not_hold_stands_whole_beside_the_cut_one() -> None:
    (row, _) = Rows(invoice_facts.PROJECTION).when(CORRECTED).rows()
    assert isinstance(row, InvoiceLineRow)
    assert (row.unit_price, row.exact_price) == (Decimal(0), "0.000016666700")


def test_lines_that_a_correction_took_away_belong_to_no_direction() -> None:
    corrected = replace(CORRECTED, replaced_lines=3)
    (_, second, third) = Rows(invoice_facts.PROJECTION).when(corrected, Place(version=2, position=9)).rows()
    gone = line(2, HAPPENED_AT, "", "", ("0", "0"))._replace(kind="removed", direction="", position=9)
    assert (second, third) == (gone, gone._replace(line=3))


def test_correction_with_more_lines_takes_none_away() -> None:
    (row,) = Rows(invoice_facts.PROJECTION).when(replace(CORRECTED, replaced_lines=1)).rows()
    assert isinstance(row, InvoiceLineRow)
    assert row.direction == "out"


def test_every_event_of_an_invoice_says_how_it_stands() -> None:
    found = {
        type(event): Rows(invoice_balances.PROJECTION).when(event).rows()[0][4:]
        for event in (RECEIVED, CORRECTED, PAID_IN_PART, REFUNDED, CANCELLED)
    }
    due = datetime(2010, 12, 31, tzinfo=UTC)
    content = ("invoice", "out", "17850", "GBP", HAPPENED_AT)
    nothing = ("", "", "", "", "", HAPPENED_AT, HAPPENED_AT, "")
    assert found == {
        type(RECEIVED): ("content", "RECEIVED", "536365", *content, due, "16.32495000", "", 7),
        type(CORRECTED): ("content", "RECEIVED", "536365", *content, HAPPENED_AT, "20.02084170835", "", 7),
        type(PAID_IN_PART): ("payment", "PART_PAID", *nothing, "10.0000", 7),
        type(REFUNDED): ("payment", "RECEIVED", *nothing, "0.0000", 7),
        type(CANCELLED): ("status", "CANCELLED", *nothing, "", 7),
    }


def test_every_step_of_a_lead_and_its_quotes_is_a_row_of_the_funnel() -> None:
    steps: dict[Any, tuple[Any, ...]] = {
        CAPTURED: ("lead-l1", 3, "l1", "captured", HAPPENED_AT, "referral", "", "", 7),
        CONTACTED: ("lead-l1", 3, "l1", "contacted", HAPPENED_AT, "", "", "", 7),
        QUALIFIED: ("lead-l1", 3, "l1", "qualified", HAPPENED_AT, "", "", "", 7),
        QUOTED: ("lead-l1", 3, "l1", "quoted", HAPPENED_AT, "", "", "", 7),
        CONVERTED: ("lead-l1", 3, "l1", "converted", HAPPENED_AT, "", "", "", 7),
        LOST: ("lead-l1", 3, "l1", "lost", HAPPENED_AT, "", "", "", 7),
        QUOTE_ISSUED: ("quote-q1", 3, "l1", "issued", HAPPENED_AT, "", "EUR", "1183.80995000", 7),
        QUOTE_ACCEPTED: ("quote-q1", 3, "l1", "accepted", HAPPENED_AT, "", "EUR", "1183.80995000", 7),
        replace(QUOTE_ISSUED, lead_id=None): ("quote-q1", 3, "", "issued", HAPPENED_AT, "", "EUR", "1183.80995000", 7),
    }
    for event, row in steps.items():
        Rows(lead_funnel.PROJECTION).when(event, Place(version=3)).then(StepRow(ACME, *row))
