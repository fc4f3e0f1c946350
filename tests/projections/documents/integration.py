"""What each event of the integration context sets in its documents."""

from typing import Any

from domain.message import Event
from projections.history import processes
from projections.integration import connectors, received_changes, webhook_endpoints
from schemas.envelope import id_of
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
    WEBHOOK_CHANGED,
    WEBHOOK_DELIVERED,
    WEBHOOK_DELIVERY_STARTED,
    WEBHOOK_FAILED,
    WEBHOOK_NEWS_NOTED,
    WEBHOOK_PAUSED,
    WEBHOOK_REDRIVEN,
    WEBHOOK_REGISTERED,
    WEBHOOK_REMOVED,
    WEBHOOK_RESUMED,
    WEBHOOK_SECRET_ROTATED,
    WEBHOOK_TYPES_NOTED,
    WEBHOOK_WOKEN,
)
from tests.projections.documents import HAPPENED, RECORDED, Case


def _endpoint(event: Event, **fields: Any) -> Case:
    return (webhook_endpoints.PROJECTION, "shop", event, fields)


def _managed(event: Event, **fields: Any) -> Case:
    return _endpoint(event, **fields, changed_at=HAPPENED)


def _connector(event: Event, **fields: Any) -> Case:
    return (connectors.PROJECTION, "crm", event, fields)


def _noted(event: Event, type_: str) -> Case:
    return (processes.PROJECTION, "outbound_webhooks-acme", event, {"last_event": type_, "updated_at": RECORDED})


CASES: list[Case] = [
    _managed(
        WEBHOOK_REGISTERED,
        status="ACTIVE",
        url="https://shop.example/hooks",
        types=["payment.recorded", "invoice.approved"],
        registered_at=HAPPENED,
        waiting=False,
        delivered=0,
        given_up=0,
        status_reason="",
        failing_since="",
        attempt=0,
        retry_at="",
    ),
    _managed(WEBHOOK_CHANGED, url="https://shop.example/new", types=["payment.recorded"]),
    _managed(WEBHOOK_SECRET_ROTATED, secret_number=2, secret_rotated_at=HAPPENED),
    _managed(WEBHOOK_PAUSED, status="PAUSED", status_reason="the shop moves", retry_at=""),
    _managed(WEBHOOK_RESUMED, status="ACTIVE", status_reason="", failing_since="", attempt=0),
    _managed(WEBHOOK_REMOVED, status="REMOVED", status_reason="the shop is closed", retry_at=""),
    _endpoint(WEBHOOK_WOKEN, waiting=True),
    _endpoint(WEBHOOK_DELIVERY_STARTED, waiting=True, deliveries=1, retry_at=""),
    _endpoint(WEBHOOK_DELIVERED, waiting=False, delivered=3, delivered_at=HAPPENED, failing_since="", attempt=0),
    _endpoint(
        WEBHOOK_FAILED,
        waiting=True,
        failed_at=HAPPENED,
        failing_since=HAPPENED,
        attempt=1,
        last_error="https://shop.example/hooks answered 503",
        last_status=503,
        last_event_id="01943b1e-7a00-7000-8000-000000000041",
        last_event_type="payment.recorded",
        given_up=0,
        retry_at=RECORDED,
    ),
    _endpoint(WEBHOOK_REDRIVEN, waiting=True, given_up=0),
    _noted(WEBHOOK_TYPES_NOTED, "outbound_webhooks.types.noted"),
    _noted(WEBHOOK_NEWS_NOTED, "outbound_webhooks.news.noted"),
    _connector(
        CONNECTOR_REGISTERED,
        status="ACTIVE",
        tool_type="postgresql",
        format="debezium",
        registered_at=HAPPENED,
        changed_at=HAPPENED,
        refused=0,
    ),
    _connector(CONNECTOR_SECRET_ROTATED, secret_number=2, secret_rotated_at=HAPPENED, changed_at=HAPPENED),
    _connector(CONNECTOR_PAUSED, status="PAUSED", status_reason="the database moves", changed_at=HAPPENED),
    _connector(CONNECTOR_RESUMED, status="ACTIVE", status_reason="the database has moved", changed_at=HAPPENED),
    _connector(CONNECTOR_REMOVED, status="REMOVED", status_reason="the database is closed", changed_at=HAPPENED),
    _connector(
        CONNECTOR_PERSONAL_NAMED,
        personal_fields=["email", "name"],
        person_field="customer_id",
        changed_at=HAPPENED,
    ),
    _connector(CONNECTOR_CHANGES_REFUSED, refused=5, refused_at=HAPPENED, last_error="is larger than 64 KiB as JSON"),
    (
        received_changes.PROJECTION,
        id_of(INGEST_CHANGE.stream),
        CHANGE_RECEIVED,
        {
            "connector_id": "crm",
            "tool_type": "postgresql",
            "source_event_type": "u",
            "op": "u",
            "database": "shop",
            "schema_name": "public",
            "table": "orders",
            "key": '{"id":7}',
            "source_position": '{"lsn":24023128}',
            "received_at": HAPPENED,
        },
    ),
]
