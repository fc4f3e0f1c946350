"""What each event of the sales context sets in its documents."""

from projections.sales import leads
from tests.examples.sales import ASSIGNED, CAPTURED, CONTACT, LOST, SCORED
from tests.projections.documents import HAPPENED, Case

OF_CONTACT = {
    name: {"sealed": value, "type": "lead.captured", "subject": "lead-l1"}
    for name, value in CONTACT.items()
    if value and name in ("contact_name", "email", "phone", "job_title")
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
    (leads.PROJECTION, "l1", SCORED, {"score": 100, "tier": "hot", "factors": SCORED.factors}),
    (leads.PROJECTION, "l1", ASSIGNED, {"assigned_to": "bob", "assigned_reason": "knows finance"}),
    (leads.PROJECTION, "l1", LOST, {"status": "lost", "status_reason": "no budget"}),
]
