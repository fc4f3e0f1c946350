"""What each event of the sales context sets in its documents."""

from projections.history import processes
from projections.sales import customers, leads, quotes, representatives
from tests.examples.sales import (
    ACTIVITY_LOGGED,
    ASSIGNED,
    AVAILABILITY_CHANGED,
    CAPTURED,
    CONTACT,
    CONTACTED,
    CONVERTED,
    CUSTOMER,
    CUSTOMER_CREATED,
    CUSTOMER_UPDATED,
    DEAL_ADVANCED,
    DEAL_OPENED,
    ENRICHED,
    LEAD_ROUTED,
    LOST,
    NOTIFICATION_NOTED,
    QUALIFIED,
    QUOTE_ACCEPTED,
    QUOTE_DRAFTED,
    QUOTE_EXPIRED,
    QUOTE_ISSUED,
    QUOTE_VOIDED,
    QUOTED,
    REPRESENTATIVE_REGISTERED,
    SCORED,
    WIN_RECORDED,
)
from tests.projections.documents import HAPPENED, RECORDED, Case

OF_CONTACT = {
    name: {"sealed": value, "type": "lead.captured", "subject": "lead-l1"}
    for name, value in CONTACT.items()
    if value and name in ("contact_name", "email", "phone", "job_title")
}
OF_CUSTOMER = {
    name: {"sealed": CUSTOMER[name], "type": "customer.created", "subject": "customer-c1"}
    for name in ("contact_name", "email")
}

CASES: list[Case] = [
    (
        leads.PROJECTION,
        "l1",
        CAPTURED,
        {name: value for name, value in CONTACT.items() if value}
        | OF_CONTACT
        | {"status": "new", "captured_at": HAPPENED},
    ),
    (
        leads.PROJECTION,
        "l1",
        ENRICHED,
        {
            "phone": {"sealed": "+49 30 1234", "type": "lead.enriched", "subject": "lead-l1"},
            "company_size": 1200,
            "country": "DE",
        },
    ),
    (leads.PROJECTION, "l1", SCORED, {"score": 100, "tier": "hot", "factors": SCORED.factors}),
    (leads.PROJECTION, "l1", ASSIGNED, {"assigned_to": "bob", "assigned_reason": "knows finance"}),
    (
        leads.PROJECTION,
        "l1",
        ACTIVITY_LOGGED,
        {
            "last_activity": "call",
            "note": {"sealed": "asked for ten seats", "type": "lead.activity.logged", "subject": "lead-l1"},
            "last_activity_at": HAPPENED,
        },
    ),
    (leads.PROJECTION, "l1", CONTACTED, {"status": "contacted"}),
    (leads.PROJECTION, "l1", QUALIFIED, {"status": "qualified", "status_reason": "has a budget"}),
    (leads.PROJECTION, "l1", QUOTED, {"status": "quoted", "quote_id": "q1"}),
    (leads.PROJECTION, "l1", CONVERTED, {"status": "converted", "customer_id": "c1"}),
    (leads.PROJECTION, "l1", LOST, {"status": "lost", "status_reason": "no budget"}),
    (
        customers.PROJECTION,
        "c1",
        CUSTOMER_CREATED,
        {name: value for name, value in CUSTOMER.items() if value}
        | OF_CUSTOMER
        | {"lead_id": "l1", "created_at": HAPPENED},
    ),
    (customers.PROJECTION, "c1", CUSTOMER_UPDATED, {"name": "Acme Ltd"}),
    (
        quotes.PROJECTION,
        "q1",
        QUOTE_DRAFTED,
        {
            "lead_id": "l1",
            "customer_id": "c1",
            "status": "DRAFT",
            "lines": [
                {"product": "seat", "description": "a year", "quantity": "10.0000", "unit_price": "99.9000"},
                {"product": "discount", "description": "", "quantity": "0.5000", "unit_price": "-10.0001"},
            ],
            "net": "993.99995000",
            "tax": "189.8100",
            "total": "1183.80995000",
            "currency": "EUR",
            "country": "Germany",
            "valid_until": "2026-03-01T00:00:00.000000Z",
            "payment_days": 14,
            "drafted_at": HAPPENED,
        },
    ),
    (quotes.PROJECTION, "q1", QUOTE_ISSUED, {"status": "ISSUED", "issued_at": HAPPENED}),
    (
        quotes.PROJECTION,
        "q1",
        QUOTE_ACCEPTED,
        {"status": "ACCEPTED", "accepted_at": HAPPENED, "invoice_number": "Q-q1"},
    ),
    (quotes.PROJECTION, "q1", QUOTE_VOIDED, {"status": "VOIDED", "status_reason": "wrong price"}),
    (quotes.PROJECTION, "q1", QUOTE_EXPIRED, {"status": "EXPIRED"}),
    (
        representatives.PROJECTION,
        "bob",
        REPRESENTATIVE_REGISTERED,
        {"name": "bob", "expertise": ["finance", "retail"], "countries": ["DE"], "status": "AVAILABLE"},
    ),
    (representatives.PROJECTION, "bob", AVAILABILITY_CHANGED, {"status": "AWAY", "status_reason": "on holiday"}),
    (
        representatives.PROJECTION,
        "bob",
        LEAD_ROUTED,
        {"leads": 1, "last_lead_id": "l1", "last_lead_at": HAPPENED},
    ),
    (representatives.PROJECTION, "bob", WIN_RECORDED, {"wins": 1}),
    (
        processes.PROJECTION,
        "lead_intake-acme",
        NOTIFICATION_NOTED,
        {"last_event": "lead.notification.noted", "updated_at": RECORDED},
    ),
    (processes.PROJECTION, "lead_to_cash-acme", DEAL_OPENED, {"last_event": "deal.opened", "updated_at": RECORDED}),
    (
        processes.PROJECTION,
        "lead_to_cash-acme",
        DEAL_ADVANCED,
        {"last_event": "deal.advanced", "updated_at": RECORDED, "step": "paid"},
    ),
]
