"""Where are events sent, how did it go last, and what was given up?"""

from typing import Any, assert_never

from domain.integration.decide_webhook import WEBHOOK_ENDPOINT
from domain.integration.webhook_endpoint import (
    WebhookChanged,
    WebhookDelivered,
    WebhookDeliveryStarted,
    WebhookEvent,
    WebhookFailed,
    WebhookPaused,
    WebhookRedriven,
    WebhookRegistered,
    WebhookRemoved,
    WebhookResumed,
    WebhookSecretRotated,
    WebhookStatus,
    WebhookWoken,
)
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: WebhookEvent) -> tuple[Patch]:
    return decided(envelope, _fields(instant_text(envelope.happened_at), event))


def _fields(at: str, event: WebhookEvent) -> dict[str, Any]:
    match event:
        case WebhookWoken():
            return {"waiting": True}
        case WebhookDeliveryStarted():
            return {"waiting": True, "deliveries": event.delivery, "retry_at": ""}
        case WebhookDelivered():
            well = {"failing_since": "", "attempt": 0}
            sent = {"delivered_at": at} if event.events else {}
            return {"waiting": event.more, "delivered": event.total, **sent, **well}
        case WebhookFailed():
            return _failure(at, event)
        case WebhookRedriven():
            return {"waiting": True, "given_up": 0}
        case _:
            return {**_managed(at, event), "changed_at": at}


def _failure(at: str, event: WebhookFailed) -> dict[str, Any]:
    return {
        "waiting": True,
        "failed_at": at,
        "failing_since": instant_text(event.failing_since),
        "attempt": event.attempt,
        "last_error": event.error,
        "last_status": event.status or 0,
        "last_event_id": event.event_id or "",
        "last_event_type": event.event_type or "",
        "given_up": event.unsent,
        "retry_at": "" if event.retry_at is None else instant_text(event.retry_at),
    }


def _managed(
    at: str,
    event: WebhookRegistered | WebhookChanged | WebhookSecretRotated | WebhookPaused | WebhookResumed | WebhookRemoved,
) -> dict[str, Any]:
    match event:
        case WebhookRegistered():
            said = {"url": event.url, "types": list(event.types), "registered_at": at}
            # what was said of one that was removed under this id
            anew = {"status_reason": "", "failing_since": "", "attempt": 0, "retry_at": ""}
            begun = {"status": WebhookStatus.ACTIVE.value, "waiting": False, "delivered": 0, "given_up": 0}
            return {**begun, **said, **anew}
        case WebhookChanged():
            return {"url": event.url, "types": list(event.types)}
        case WebhookSecretRotated():
            return {"secret_number": event.number, "secret_rotated_at": at}
        case WebhookPaused():
            return {"status": WebhookStatus.PAUSED.value, "status_reason": event.reason, "retry_at": ""}
        case WebhookResumed():
            return {"status": WebhookStatus.ACTIVE.value, "status_reason": "", "failing_since": "", "attempt": 0}
        case WebhookRemoved():
            return {"status": WebhookStatus.REMOVED.value, "status_reason": event.reason, "retry_at": ""}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="webhook_endpoints",
    layout=Documents(
        filters=("status",),
        values={"status": WebhookStatus},
        sorts=("registered_at", "delivered_at", "failed_at", "given_up"),
        numbers=("given_up",),
        instants=("registered_at", "delivered_at", "failed_at"),
        default_sort="-registered_at",
        search=("url",),
        scope="webhook_endpoints",
        example={
            "id": "shop",
            "version": 9,
            "status": "ACTIVE",
            "url": "https://shop.example/hooks",
            "types": ["payment.recorded"],
            "registered_at": "2026-01-31T08:30:00.250000Z",
            "waiting": False,
            "deliveries": 3,
            "delivered": 41,
            "delivered_at": "2026-01-31T09:30:00.250000Z",
            "given_up": 0,
            "failed_at": "2026-01-31T09:00:00.250000Z",
            "last_error": "https://shop.example/hooks answered 503",
            "last_status": 503,
        },
    ),
    topics=(Topic.EVENTS,),
    events=WEBHOOK_ENDPOINT.events,
    project=project,
)
