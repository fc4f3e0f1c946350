"""These are the processes of a lead: a new one is scored and given to somebody, a converted one becomes a customer."""

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

from domain.backoff import backoff
from domain.message import Event, value
from domain.process import Action, Around, Ask, Forget, Note, Process, ProcessAnswered, TimerFired, Wait, same_id
from domain.rejection import Kind
from domain.sales.customer import CreateCustomer
from domain.sales.lead import (
    AssignLead,
    EnrichLead,
    LeadAssigned,
    LeadCaptured,
    LeadConverted,
    LeadLost,
    ScoreLead,
)
from domain.sales.sales_team import LeadRouted, RecordWin, RouteLead
from schemas.envelope import Envelope, id_of

# --- a lead is enriched, scored, given to somebody, and it is noted that they are to be told

_ROUTE = "route"
_FIRST_RETRY = timedelta(minutes=5)


@value
class NotificationNoted(Event):
    """Somebody is to be told of a lead; whoever sends messages finds here to whom."""

    TYPE: ClassVar = "lead.notification.noted"
    to: str
    reason: str


_OfIntake = LeadCaptured | LeadRouted | LeadAssigned | LeadLost | LeadConverted


def _lead_of(event: _OfIntake, envelope: Envelope) -> str:
    return event.lead_id if isinstance(event, LeadRouted) else id_of(envelope.stream)


def react_intake(_state: None, event: _OfIntake | ProcessAnswered | TimerFired, around: Around) -> Sequence[Action]:
    route = Ask(_ROUTE, RouteLead(lead_id=around.id))
    match event:
        case LeadCaptured():
            country = country_of(event.email or "")
            enrich = [] if country is None else [Ask("enrich", EnrichLead(lead_id=around.id, country=country))]
            return [*enrich, Ask("score", ScoreLead(lead_id=around.id)), route]
        case LeadRouted():
            assign = AssignLead(lead_id=around.id, to=event.representative_id, reason=event.reason)
            return [Ask("assign", assign)]
        case LeadAssigned():
            return [Forget(_ROUTE), Note(NotificationNoted(to=event.to, reason=event.reason))]
        case LeadLost() | LeadConverted():
            return [Forget(_ROUTE)]
        case TimerFired():
            return [route]
        case ProcessAnswered(step="route", kind=Kind.NOT_NOW):
            # where there is no team at all, leads are given to people by hand
            return [Wait(_ROUTE, around.now + backoff(_FIRST_RETRY, around.attempts[_ROUTE]))]
        case ProcessAnswered():
            return []


_NO_COUNTRY = frozenset(["ac", "ai", "cc", "co", "eu", "fm", "gg", "io", "ly", "me", "sh", "su", "to", "tv", "ws"])
"""Endings of two letters that are used everywhere, or are no country's."""


def country_of(email: str) -> str | None:
    """Return the country whose ending an address has, None where that says nothing. Source: ISO 3166, RFC 1591."""
    _, _, domain = email.lower().rpartition("@")
    _, dot, ending = domain.rpartition(".")
    if not dot or len(ending) != 2 or not ending.isascii() or not ending.isalpha() or ending in _NO_COUNTRY:  # noqa: PLR2004
        return None
    return "GB" if ending == "uk" else ending.upper()


LEAD_INTAKE = Process(
    name="lead_intake",
    listens=(LeadCaptured, LeadRouted, LeadAssigned, LeadLost, LeadConverted),
    route=_lead_of,
    events=(NotificationNoted,),
    react=react_intake,
)

# --- a converted lead becomes a customer, and counts for whoever won it


def react_conversion(_state: None, event: LeadConverted | ProcessAnswered, around: Around) -> Sequence[Action]:
    if isinstance(event, ProcessAnswered):
        return []
    won = event.assigned_to
    win = [] if won is None else [Ask("win", RecordWin(representative_id=won, lead_id=around.id))]
    customer = CreateCustomer(
        customer_id=event.customer_id,
        name=event.company or event.customer_id,
        contact_name=event.contact_name,
        email=event.email,
        phone=event.phone,
        industry=event.industry,
        country=event.country,
        lead_id=around.id,
    )
    return [*win, Ask("customer", customer)] if event.is_new else win


LEAD_CONVERSION = Process(
    name="lead_conversion",
    listens=(LeadConverted,),
    route=same_id,
    react=react_conversion,
)
