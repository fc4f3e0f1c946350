"""One valid example of every command and event of the sales context."""

from collections.abc import Mapping
from typing import Any

from domain.sales import lead

CONTACT: Mapping[str, Any] = {
    "source": "referral",
    "company": "Acme",
    "contact_name": "Ann",
    "email": "ann@acme.example",
    "phone": None,
    "industry": "finance",
    "company_size": 120,
    "job_title": "CTO",
}
CAPTURE_LEAD = lead.CaptureLead(lead_id="l1", **CONTACT)
SCORE_LEAD = lead.ScoreLead(lead_id="l1", similarity=5)
ASSIGN_LEAD = lead.AssignLead(lead_id="l1", to="bob", reason="knows finance")
LOSE_LEAD = lead.LoseLead(lead_id="l1", reason="no budget")

CAPTURED = lead.LeadCaptured(**CONTACT)
SCORED = lead.LeadScored(
    score=100,
    tier="hot",
    factors={
        "email": 10,
        "phone": 0,
        "company": 10,
        "job_title": 10,
        "industry_known": 5,
        "source": 25,
        "industry": 20,
        "size": 15,
        "similarity": 5,
    },
)
ASSIGNED = lead.LeadAssigned(to="bob", reason="knows finance")
LOST = lead.LeadLost(reason="no budget")
