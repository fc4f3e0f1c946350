"""These are the commands, the events, the state and the rules of a lead."""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, ClassVar, assert_never

from pydantic import Field

from domain.given import Given
from domain.message import Command, Decider, Event, Personal, classes_of, filled, known, value
from domain.rejection import conflict, not_allowed, not_found
from schemas.envelope import StreamId
from schemas.values import Id, Name, Text

# --- commands


@value
class _OfLead(Command):
    lead_id: Id

    @property
    def stream(self) -> StreamId:
        return StreamId(f"lead-{self.lead_id}")


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
class ScoreLead(_OfLead):
    """Units: `similarity` is 0 to 30, from outside."""

    similarity: Annotated[int, Field(strict=True, ge=0, le=30)] = 0


@value
class AssignLead(_OfLead):
    to: Id
    reason: Text = ""


@value
class LoseLead(_OfLead):
    reason: Text = ""


LeadCommand = CaptureLead | ScoreLead | AssignLead | LoseLead

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
class LeadLost(Event):
    TYPE: ClassVar = "lead.lost"
    reason: str


LeadEvent = LeadCaptured | LeadScored | LeadAssigned | LeadLost

# --- state


class LeadStatus(StrEnum):
    NEW = "new"
    LOST = "lost"


@value
class Lead:
    captured: LeadCaptured
    status: LeadStatus = LeadStatus.NEW
    scored: LeadScored | None = None
    assigned_to: str | None = None


def evolve_lead(state: Lead | None, event: LeadEvent) -> Lead:
    match event:
        case LeadCaptured():
            return Lead(captured=event)
        case LeadScored():
            return replace(known(state), scored=event)
        case LeadAssigned():
            return replace(known(state), assigned_to=event.to)
        case LeadLost():
            return replace(known(state), status=LeadStatus.LOST)
        case _:
            assert_never(event)


# --- rules

_SOURCES = {"referral": 25, "organic": 15, "paid": 10}
_INDUSTRIES = {"healthcare": 20, "finance": 20, "technology": 20, "manufacturing": 20, "medium": 10}
_SIZES = ((1_000, 25), (100, 15), (10, 5))
_HOT, _WARM = 70, 40


def decide_lead(command: LeadCommand, state: Lead | None, _given: Given) -> tuple[LeadEvent, ...]:
    if isinstance(command, CaptureLead):
        if state is not None:
            raise conflict(f"lead {command.lead_id} is captured already")
        return (filled(LeadCaptured, command),)
    if state is None:
        raise not_found(f"lead {command.lead_id} is not known")
    match command:
        case ScoreLead():
            _refuse_lost(command, state)
            scored = score(state.captured, command.similarity)
            return () if scored == state.scored else (scored,)
        case AssignLead():
            _refuse_lost(command, state)
            return () if command.to == state.assigned_to else (filled(LeadAssigned, command),)
        case LoseLead():
            return () if state.status is LeadStatus.LOST else (filled(LeadLost, command),)
        case _:
            assert_never(command)


def score(lead: LeadCaptured, similarity: int) -> LeadScored:
    """Source: the domain model's lead score."""
    size = lead.company_size or 0
    factors = {
        "email": 10 if lead.email else 0,
        "phone": 10 if lead.phone else 0,
        "company": 10 if lead.company else 0,
        "job_title": 10 if lead.job_title else 0,
        "industry_known": 5 if lead.industry else 0,
        "source": _SOURCES.get(lead.source, 5),
        "industry": _INDUSTRIES.get(lead.industry or "", 5),
        "size": next((points for least, points in _SIZES if size >= least), 0),
        "similarity": similarity,
    }
    points = min(100, sum(factors.values()))
    tier = "hot" if points >= _HOT else "warm" if points >= _WARM else "cold"
    return LeadScored(score=points, tier=tier, factors=factors)


def _refuse_lost(command: LeadCommand, state: Lead) -> None:
    if state.status is LeadStatus.LOST:
        raise not_allowed(f"lead {command.lead_id} is lost")


LEAD = Decider(
    category="lead",
    commands=classes_of(LeadCommand),
    events=classes_of(LeadEvent),
    decide=decide_lead,
    evolve=evolve_lead,
)
