"""What each event of the identity context sets in its documents."""

from projections.identity import api_keys, tenants
from tests.examples.identity import (
    KEY_ISSUED,
    KEY_REVOKED,
    KEY_ROTATED,
    TENANT_CLOSED,
    TENANT_REACTIVATED,
    TENANT_REGISTERED,
    TENANT_SUSPENDED,
)
from tests.projections.documents import HAPPENED, Case

CASES: list[Case] = [
    (
        tenants.PROJECTION,
        "acme",
        TENANT_REGISTERED,
        {"name": "Acme", "domain": "acme.example", "owner_id": "ann", "status": "ACTIVE", "registered_at": HAPPENED},
    ),
    (tenants.PROJECTION, "acme", TENANT_SUSPENDED, {"status": "SUSPENDED", "status_reason": "unpaid"}),
    (tenants.PROJECTION, "acme", TENANT_REACTIVATED, {"status": "ACTIVE", "status_reason": "paid"}),
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
]
