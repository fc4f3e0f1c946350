"""What each event of the identity context sets in its documents."""

from projections.history import processes
from projections.identity import api_keys, organization_devices, organizations, tenants, users
from tests.examples.identity import (
    DEVICE_ADDED,
    DEVICE_REMOVED,
    INVITATION_EXPIRED,
    INVITATION_WITHDRAWN,
    KEY_ISSUED,
    KEY_REVOKED,
    KEY_ROTATED,
    ONBOARDING_STEP_DONE,
    ORGANIZATION_ARCHIVED,
    ORGANIZATION_CREATED,
    ORGANIZATION_UPDATED,
    QUOTA_SET,
    TENANT_CLOSED,
    TENANT_ONBOARDED,
    TENANT_REACTIVATED,
    TENANT_REGISTERED,
    TENANT_SUSPENDED,
    USER_INVITED,
    USER_JOINED,
)
from tests.projections.documents import HAPPENED, RECORDED, Case

CASES: list[Case] = [
    (
        tenants.PROJECTION,
        "acme",
        TENANT_REGISTERED,
        {"name": "Acme", "domain": "acme.example", "owner_id": "ann", "status": "ACTIVE", "registered_at": HAPPENED},
    ),
    (tenants.PROJECTION, "acme", TENANT_SUSPENDED, {"status": "SUSPENDED", "status_reason": "unpaid"}),
    (tenants.PROJECTION, "acme", TENANT_REACTIVATED, {"status": "ACTIVE", "status_reason": "paid"}),
    (
        tenants.PROJECTION,
        "acme",
        QUOTA_SET,
        {
            "quota": {
                "events_per_day": 1_000,
                "facts_per_day": 1_000_000,
                "live_streams": 5,
                "requests_per_minute": 600,
                "requests_per_hour": None,
                "requests_per_day": None,
            }
        },
    ),
    (tenants.PROJECTION, "acme", TENANT_CLOSED, {"status": "CLOSED", "status_reason": "moved away"}),
    (
        api_keys.PROJECTION,
        "k1",
        KEY_ISSUED,
        {
            "key_id": "k1",
            "tenant": "acme",
            "name": "ci",
            "scopes": ["devices:read", "commands:write"],
            "revoked": False,
            "issued_at": HAPPENED,
        },
    ),
    (api_keys.PROJECTION, "k1", KEY_ROTATED, {"rotated_at": HAPPENED}),
    (api_keys.PROJECTION, "k1", KEY_REVOKED, {"revoked": True, "revoked_at": HAPPENED}),
    (
        users.PROJECTION,
        "ann",
        USER_INVITED,
        {
            "status": "INVITED",
            "email": {"sealed": "ann@acme.example", "type": "user.invited", "subject": "user-ann"},
            "roles": ["ADMIN"],
            "invited_at": HAPPENED,
            "ended_at": "",
            "expires_at": "2026-02-07T08:30:00.250000Z",
            "status_reason": "",
        },
    ),
    (users.PROJECTION, "ann", USER_JOINED, {"status": "ACTIVE", "roles": ["ADMIN"], "joined_at": HAPPENED}),
    (
        users.PROJECTION,
        "ann",
        INVITATION_WITHDRAWN,
        {"status": "WITHDRAWN", "status_reason": "another one came", "ended_at": HAPPENED},
    ),
    (users.PROJECTION, "ann", INVITATION_EXPIRED, {"status": "EXPIRED", "ended_at": HAPPENED}),
    (
        processes.PROJECTION,
        "tenant_onboarding-acme",
        ONBOARDING_STEP_DONE,
        {"last_event": "onboarding.step.done", "updated_at": RECORDED, "step": "first_key"},
    ),
    (
        processes.PROJECTION,
        "tenant_onboarding-acme",
        TENANT_ONBOARDED,
        {"last_event": "tenant.onboarded", "updated_at": RECORDED},
    ),
    (
        organizations.PROJECTION,
        "org-1",
        ORGANIZATION_CREATED,
        {
            "name": "North",
            "category": "retail",
            "employees": 40,
            "contract_start": "2026-01-01",
            "status": "ACTIVE",
            "created_at": HAPPENED,
        },
    ),
    (organizations.PROJECTION, "org-1", ORGANIZATION_UPDATED, {"employees": 50}),
    (
        organizations.PROJECTION,
        "org-1",
        ORGANIZATION_ARCHIVED,
        {"status": "ARCHIVED", "status_reason": "contract ended"},
    ),
    (organization_devices.PROJECTION, "org-1", DEVICE_ADDED, {"devices": 1, "changed_at": HAPPENED}),
    (organization_devices.PROJECTION, "org-1", DEVICE_REMOVED, {"devices": 0, "changed_at": HAPPENED}),
]
