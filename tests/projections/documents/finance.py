"""What each event of the finance context sets in its documents."""

from projections.finance import invoices
from tests.examples.finance import (
    APPROVED,
    CANCELLED,
    CATEGORISED,
    CORRECTED,
    DISPUTED,
    PAID_IN_PART,
    RECEIVED,
    REFUNDED,
    REJECTED,
)
from tests.projections.documents import HAPPENED, Case

CASES: list[Case] = [
    (
        invoices.PROJECTION,
        "17850:536365",
        RECEIVED,
        {
            "number": "536365",
            "party": "17850",
            "kind": "invoice",
            "direction": "out",
            "country": "United Kingdom",
            "currency": "GBP",
            "status": "RECEIVED",
            "issue_date": HAPPENED,
            "due_date": "2010-12-31T00:00:00.000000Z",
            "net": "13.60495000",
            "tax": "2.7200",
            "total": "16.32495000",
            "paid_total": "0.0000",
            "line_count": 2,
        },
    ),
    (
        invoices.PROJECTION,
        "17850:536365",
        CORRECTED,
        {
            "number": "536365",
            "party": "17850",
            "kind": "invoice",
            "direction": "out",
            "country": "United Kingdom",
            "currency": "GBP",
            "status": "RECEIVED",
            "status_reason": "another customer's lines",
            "issue_date": HAPPENED,
            "due_date": "",
            "net": "0.02084170835",
            "tax": "20.0000",
            "total": "20.02084170835",
            "line_count": 1,
        },
    ),
    (
        invoices.PROJECTION,
        "17850:536365",
        CATEGORISED,
        {"category": "sales", "categorised_by": "rule 7", "status": "CATEGORISED"},
    ),
    (invoices.PROJECTION, "17850:536365", APPROVED, {"status": "APPROVED", "status_reason": "checked"}),
    (invoices.PROJECTION, "17850:536365", REJECTED, {"status": "REJECTED", "status_reason": "not ours"}),
    (invoices.PROJECTION, "17850:536365", CANCELLED, {"status": "CANCELLED", "status_reason": "written twice"}),
    (invoices.PROJECTION, "17850:536365", DISPUTED, {"status": "DISPUTED", "status_reason": "wrong price"}),
    (invoices.PROJECTION, "17850:536365", PAID_IN_PART, {"status": "PART_PAID", "paid_total": "10.0000"}),
    (invoices.PROJECTION, "17850:536365", REFUNDED, {"status": "RECEIVED", "paid_total": "0.0000"}),
]
