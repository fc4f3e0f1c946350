"""Which tenant is this, and may it do anything?"""

from dataclasses import asdict
from typing import Any, assert_never

from domain.identity.tenant import (
    TENANT,
    TenantClosed,
    TenantEvent,
    TenantQuotaSet,
    TenantReactivated,
    TenantRegistered,
    TenantStatus,
    TenantSuspended,
)
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: TenantEvent) -> tuple[Patch]:
    return decided(envelope, _fields(envelope, event))


def _fields(envelope: Envelope, event: TenantEvent) -> dict[str, Any]:
    match event:
        case TenantRegistered():
            return {
                "name": event.name,
                "domain": event.domain,
                "owner_id": event.owner_id,
                "status": TenantStatus.ACTIVE.value,
                "registered_at": instant_text(envelope.happened_at),
            }
        case TenantSuspended():
            return {"status": TenantStatus.SUSPENDED.value, "status_reason": event.reason}
        case TenantReactivated():
            return {"status": TenantStatus.ACTIVE.value, "status_reason": event.reason}
        case TenantClosed():
            return {"status": TenantStatus.CLOSED.value, "status_reason": event.reason}
        case TenantQuotaSet():
            return {"quota": asdict(event)}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="tenants",
    layout=Documents(filters=("status",), sorts=("name", "registered_at")),
    topics=(Topic.EVENTS,),
    events=TENANT.events,
    project=project,
)
