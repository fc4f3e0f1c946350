"""These are the commands, the events and the state of a lead."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, assert_never

from pydantic import Field

from domain.message import Command, Event, Personal, described, known, value
from domain.sales.quote import DraftQuote, QuoteId
from schemas.envelope import StreamId
from schemas.values import Id, Name, Text


def lead_stream(lead_id: str) -> StreamId:
    return StreamId(f"lead-{lead_id}")


# --- commands


@value
class _OfLead(Command):
    lead_id: Id

    @property
    def stream(self) -> StreamId:
        return lead_stream(self.lead_id)


@value
class CaptureLead(_OfLead):
    source: Name
    company: Name | None = None
    contact_name: Name | None = None
    email: Name | None = None
    phone: Name | None = None
    industry: Name | None = None
    company_size: Annotated[int, Field(strict=True, ge=1)] | None = None
    job_title: Name | None = None


@value
class EnrichLead(_OfLead):
    """Adds what was found out; what is left out stays as it is. A lead that has a score is scored anew."""

    company: Name | None = None
    contact_name: Name | None = None
    email: Name | None = None
    phone: Name | None = None
    industry: Name | None = None
    company_size: Annotated[int, Field(strict=True, ge=1)] | None = None
    job_title: Name | None = None
    country: Name | None = None


@value
class ScoreLead(_OfLead):
    """Units: `similarity` is 0 to 30, from outside."""

    similarity: Annotated[int, Field(strict=True, ge=0, le=30)] = 0


@value
class AssignLead(_OfLead):
    to: Id
    reason: Text = ""


@value
class LogActivity(_OfLead):
    """The first one that is no note makes a contacted lead of a new one."""

    kind: Literal["call", "email", "meeting", "note"]
    note: Text = ""


@value
class QualifyLead(_OfLead):
    """Shape: with an `offer`, that quote is drafted and issued to the lead at once."""

    note: Text = ""
    offer: DraftQuote | None = None


@value
class QuoteLead(_OfLead):
    quote_id: QuoteId


@value
class ConvertLead(_OfLead):
    """The customer is created, unless it is known already."""

    customer_id: Id


@value
class LoseLead(_OfLead):
    reason: Text = ""


CommandOfKnown = EnrichLead | ScoreLead | AssignLead | LogActivity | QualifyLead | QuoteLead | ConvertLead | LoseLead
LeadCommand = CaptureLead | CommandOfKnown

# --- events

_OfContact = Annotated[str | None, Personal()]
"""What belongs to the person whom the lead's stream stands for."""


@value
class LeadCaptured(Event):
    TYPE: ClassVar = "lead.captured"
    VERSION: ClassVar = 2
    source: str
    company: str | None
    contact_name: _OfContact
    email: _OfContact
    phone: _OfContact
    industry: str | None
    company_size: int | None
    job_title: _OfContact


@value
class LeadEnriched(Event):
    """Only what changed has a value."""

    TYPE: ClassVar = "lead.enriched"
    company: str | None
    contact_name: _OfContact
    email: _OfContact
    phone: _OfContact
    industry: str | None
    company_size: int | None
    job_title: _OfContact
    country: str | None


@value
class LeadScored(Event):
    TYPE: ClassVar = "lead.scored"
    score: int
    tier: str
    factors: Mapping[str, int]


@value
class LeadAssigned(Event):
    TYPE: ClassVar = "lead.assigned"
    to: str
    reason: str


@value
class LeadActivityLogged(Event):
    TYPE: ClassVar = "lead.activity.logged"
    kind: str
    note: Annotated[str, Personal()]


@value
class LeadContacted(Event):
    TYPE: ClassVar = "lead.contacted"
    kind: str


@value
class LeadQualified(Event):
    """Shape: `quote_id` is that of the offer, where there was one, and `customer_id` the customer that it names."""

    TYPE: ClassVar = "lead.qualified"
    note: str
    quote_id: str | None
    customer_id: str | None


@value
class LeadQuoted(Event):
    TYPE: ClassVar = "lead.quoted"
    quote_id: str


@value
class LeadConverted(Event):
    """Shape: `is_new` says that the customer was not known; what is known of it stands beside."""

    TYPE: ClassVar = "lead.converted"
    customer_id: str
    is_new: bool
    assigned_to: str | None
    company: str | None
    contact_name: _OfContact
    email: _OfContact
    phone: _OfContact
    industry: str | None
    country: str | None


@value
class LeadLost(Event):
    TYPE: ClassVar = "lead.lost"
    reason: str


LeadEvent = (
    LeadCaptured
    | LeadEnriched
    | LeadScored
    | LeadAssigned
    | LeadActivityLogged
    | LeadContacted
    | LeadQualified
    | LeadQuoted
    | LeadConverted
    | LeadLost
)


# --- state


class LeadStatus(StrEnum):
    NEW = "new"
    CONTACTED = "contacted"
    QUALIFIED = "qualified"
    QUOTED = "quoted"
    CONVERTED = "converted"
    LOST = "lost"


@value
class Lead:
    """Shape: `captured` holds what is known of it now, with what was found out later."""

    captured: LeadCaptured
    status: LeadStatus = LeadStatus.NEW
    country: str | None = None
    scored: LeadScored | None = None
    assigned_to: str | None = None
    quote_id: str | None = None
    customer_id: str | None = None


_AFTER = {
    LeadContacted: LeadStatus.CONTACTED,
    LeadQualified: LeadStatus.QUALIFIED,
    LeadLost: LeadStatus.LOST,
}


def evolve_lead(state: Lead | None, event: LeadEvent) -> Lead:
    if isinstance(event, LeadCaptured):
        return Lead(captured=event)
    lead = known(state)
    match event:
        case LeadEnriched():
            return enriched(lead, event)
        case LeadScored():
            return replace(lead, scored=event)
        case LeadAssigned():
            return replace(lead, assigned_to=event.to)
        case LeadActivityLogged():
            return lead
        case LeadQuoted():
            return replace(lead, status=LeadStatus.QUOTED, quote_id=event.quote_id)
        case LeadConverted():
            return replace(lead, status=LeadStatus.CONVERTED, customer_id=event.customer_id)
        case LeadContacted() | LeadQualified() | LeadLost():
            return replace(lead, status=_AFTER[type(event)])
        case _:
            assert_never(event)


def enriched(lead: Lead, event: LeadEnriched) -> Lead:
    found = described(event, LeadEnriched)
    country = found.pop("country", lead.country)
    return replace(lead, captured=replace(lead.captured, **found), country=country)


def known_of(lead: Lead) -> dict[str, Any]:
    """Return what is known of the fields that may be found out."""
    return {**asdict(lead.captured), "country": lead.country}
