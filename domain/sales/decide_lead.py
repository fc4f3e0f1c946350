"""These are the rules for leads: which commands are accepted, and what follows."""

from typing import assert_never

from domain.given import Given
from domain.message import Decider, changed, classes_of, filled
from domain.rejection import conflict, invalid, not_allowed, not_found
from domain.sales.customer import customer_stream
from domain.sales.lead import (
    AssignLead,
    CaptureLead,
    CommandOfKnown,
    ConvertLead,
    EnrichLead,
    Lead,
    LeadActivityLogged,
    LeadAssigned,
    LeadCaptured,
    LeadCommand,
    LeadContacted,
    LeadConverted,
    LeadEnriched,
    LeadEvent,
    LeadLost,
    LeadQualified,
    LeadQuoted,
    LeadScored,
    LeadStatus,
    LogActivity,
    LoseLead,
    QualifyLead,
    QuoteLead,
    ScoreLead,
    enriched,
    evolve_lead,
    known_of,
)
from domain.sales.quote import PARTY_CHARACTERS
from schemas.envelope import Actor, StreamId

_SOURCES = {"referral": 25, "organic": 15, "paid": 10}
_INDUSTRIES = {"healthcare": 20, "finance": 20, "technology": 20, "manufacturing": 20, "medium": 10}
_SIZES = ((1_000, 25), (100, 15), (10, 5))
_HOT, _WARM = 70, 40

_UNQUALIFIED = (LeadStatus.NEW, LeadStatus.CONTACTED)


def lead_reads(command: LeadCommand, _actor: Actor) -> tuple[StreamId, ...]:
    """Name the stream of the customer that a lead becomes: it may be there already."""
    return (customer_stream(command.customer_id),) if isinstance(command, ConvertLead) else ()


def decide_lead(command: LeadCommand, state: Lead | None, given: Given) -> tuple[LeadEvent, ...]:
    if isinstance(command, CaptureLead):
        if state is not None:
            raise conflict(f"lead {command.lead_id} is captured already")
        return (filled(LeadCaptured, command),)
    if state is None:
        raise not_found(f"lead {command.lead_id} is not known")
    return _go_on(command, state, given)


def _go_on(command: CommandOfKnown, state: Lead, given: Given) -> tuple[LeadEvent, ...]:
    match command:
        case EnrichLead():
            return _enrich(command, state)
        case ScoreLead():
            _refuse_over(command, state)
            scored = score(state.captured, command.similarity)
            return () if scored == state.scored else (scored,)
        case AssignLead():
            _refuse_over(command, state)
            return () if command.to == state.assigned_to else (filled(LeadAssigned, command),)
        case LogActivity():
            _refuse_over(command, state)
            is_first = state.status is LeadStatus.NEW and command.kind != "note"
            contacted = (LeadContacted(kind=command.kind),) if is_first else ()
            return (filled(LeadActivityLogged, command), *contacted)
        case QualifyLead():
            return _qualify(command, state)
        case QuoteLead():
            _refuse_over(command, state)
            _refuse_unqualified(command, state)
            return () if command.quote_id == state.quote_id else (LeadQuoted(quote_id=command.quote_id),)
        case ConvertLead():
            return _convert(command, state, given)
        case LoseLead():
            if state.status is LeadStatus.CONVERTED:
                raise not_allowed(f"lead {command.lead_id} is converted")
            return () if state.status is LeadStatus.LOST else (filled(LeadLost, command),)
        case _:
            assert_never(command)


def _enrich(command: EnrichLead, state: Lead) -> tuple[LeadEvent, ...]:
    _refuse_over(command, state)
    news = changed(LeadEnriched, command, known_of(state))
    if not news or state.scored is None:
        return news
    scored = score(enriched(state, *news).captured, state.scored.factors["similarity"])
    return news if scored == state.scored else (*news, scored)


def _qualify(command: QualifyLead, state: Lead) -> tuple[LeadEvent, ...]:
    _refuse_over(command, state)
    offer = command.offer
    if offer is not None and offer.lead_id not in {None, command.lead_id}:
        raise invalid(f"the offer is for lead {offer.lead_id}; leave its lead_id out")
    if offer is not None and len(command.lead_id) > PARTY_CHARACTERS:
        raise invalid(f"lead {command.lead_id} gets no quote: its id has more than {PARTY_CHARACTERS} letters")
    if state.status in _UNQUALIFIED:
        quote_id, customer_id = (None, None) if offer is None else (offer.quote_id, offer.customer_id)
        return (LeadQualified(note=command.note, quote_id=quote_id, customer_id=customer_id),)
    if offer is not None:
        raise conflict(f"lead {command.lead_id} is qualified already; draft its quote with DraftQuote")
    return ()


def _convert(command: ConvertLead, state: Lead, given: Given) -> tuple[LeadEvent, ...]:
    if state.status is LeadStatus.CONVERTED:
        if command.customer_id == state.customer_id:
            return ()
        raise conflict(f"lead {command.lead_id} is converted already, into customer {state.customer_id}")
    _refuse_over(command, state)
    _refuse_unqualified(command, state)
    is_new = given.streams.get(customer_stream(command.customer_id)) is None
    converted = filled(
        LeadConverted,
        state.captured,
        customer_id=command.customer_id,
        is_new=is_new,
        assigned_to=state.assigned_to,
        country=state.country,
    )
    return (converted,)


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


def _refuse_over(command: CommandOfKnown, state: Lead) -> None:
    if state.status in (LeadStatus.LOST, LeadStatus.CONVERTED):
        raise not_allowed(f"lead {command.lead_id} is {state.status}")


def _refuse_unqualified(command: CommandOfKnown, state: Lead) -> None:
    if state.status in _UNQUALIFIED:
        raise not_allowed(f"lead {command.lead_id} is {state.status}; qualify it first")


LEAD = Decider(
    category="lead",
    commands=classes_of(LeadCommand),
    events=classes_of(LeadEvent),
    decide=decide_lead,
    evolve=evolve_lead,
    reads=lead_reads,
)
