"""These are the commands, the events, the state and the rules of the team that leads are given to.

All of a tenant's representatives are one stream: who gets a lead depends on all of them, and on nothing but what is
recorded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, assert_never

from pydantic import Field

from domain.given import Given
from domain.message import Command, Decider, Event, classes_of, filled, known, value
from domain.rejection import not_found, not_now
from domain.sales.lead import Lead, lead_stream
from schemas.envelope import Actor, StreamId
from schemas.values import Id, Name, Text

# --- commands


@value
class _OfTeam(Command):
    @property
    def stream(self) -> StreamId:
        return StreamId("sales_team-all")


_Names = Annotated[tuple[Name, ...], Field(max_length=100)]


@value
class RegisterRepresentative(_OfTeam):
    """Says, also again, what a representative knows and which countries are theirs."""

    representative_id: Id
    expertise: _Names = ()
    countries: _Names = ()


@value
class ChangeAvailability(_OfTeam):
    representative_id: Id
    is_available: bool
    reason: Text = ""


@value
class RouteLead(_OfTeam):
    """Chooses who gets a lead; a process sends it for each new one."""

    lead_id: Id


@value
class RecordWin(_OfTeam):
    """Counts a lead that became a customer; a process sends it."""

    representative_id: Id
    lead_id: Id


TeamCommand = RegisterRepresentative | ChangeAvailability | RouteLead | RecordWin

# --- events


@value
class RepresentativeRegistered(Event):
    TYPE: ClassVar = "representative.registered"
    representative_id: str
    expertise: tuple[str, ...]
    countries: tuple[str, ...]
    is_available: bool


@value
class AvailabilityChanged(Event):
    TYPE: ClassVar = "representative.availability.changed"
    representative_id: str
    is_available: bool
    reason: str


@value
class LeadRouted(Event):
    """Shape: `leads` is how many were given to the representative so far."""

    TYPE: ClassVar = "lead.routed"
    lead_id: str
    representative_id: str
    reason: str
    leads: int


@value
class WinRecorded(Event):
    TYPE: ClassVar = "representative.win.recorded"
    representative_id: str
    lead_id: str
    wins: int


TeamEvent = RepresentativeRegistered | AvailabilityChanged | LeadRouted | WinRecorded

# --- state


@value
class Representative:
    """Shape: `turn` is the number of the team's lead that they got last, 0 for none."""

    expertise: tuple[str, ...]
    countries: tuple[str, ...]
    is_available: bool
    leads: int = 0
    wins: int = 0
    turn: int = 0


@value
class SalesTeam:
    members: Mapping[str, Representative]
    routed: int = 0


def evolve_team(state: SalesTeam | None, event: TeamEvent) -> SalesTeam:
    team = state or SalesTeam(members={})
    id_ = event.representative_id
    before = team.members.get(id_)
    match event:
        case RepresentativeRegistered():
            if before is None:
                return _with(team, id_, filled(Representative, event))
            return _with(team, id_, replace(before, expertise=event.expertise, countries=event.countries))
        case AvailabilityChanged():
            return _with(team, id_, replace(known(before), is_available=event.is_available))
        case LeadRouted():
            routed = team.routed + 1
            return replace(_with(team, id_, replace(known(before), leads=event.leads, turn=routed)), routed=routed)
        case WinRecorded():
            return _with(team, id_, replace(known(before), wins=event.wins))
        case _:
            assert_never(event)


def _with(team: SalesTeam, id_: str, member: Representative) -> SalesTeam:
    return replace(team, members={**team.members, id_: member})


# --- rules


def team_reads(command: TeamCommand, _actor: Actor) -> tuple[StreamId, ...]:
    """Name the lead that is given to somebody."""
    return (lead_stream(command.lead_id),) if isinstance(command, RouteLead) else ()


def decide_team(command: TeamCommand, state: SalesTeam | None, given: Given) -> tuple[TeamEvent, ...]:
    if isinstance(command, RegisterRepresentative):
        return _register(command, state)
    if state is None:
        raise not_found("there is no representative; register one first")
    if isinstance(command, RouteLead):
        return _route(command, state, given)
    id_ = command.representative_id
    member = state.members.get(id_)
    match command:
        case ChangeAvailability():
            if member is None:
                raise not_found(f"representative {id_} is not known; register them first")
            return () if member.is_available == command.is_available else (filled(AvailabilityChanged, command),)
        case RecordWin():
            # a lead may be assigned to somebody who gets none from here
            return () if member is None else (filled(WinRecorded, command, wins=member.wins + 1),)
        case _:
            assert_never(command)


def _register(command: RegisterRepresentative, state: SalesTeam | None) -> tuple[TeamEvent, ...]:
    before = None if state is None else state.members.get(command.representative_id)
    if before is not None and (before.expertise, before.countries) == (command.expertise, command.countries):
        return ()
    is_available = before is None or before.is_available
    return (filled(RepresentativeRegistered, command, is_available=is_available),)


def _route(command: RouteLead, team: SalesTeam, given: Given) -> tuple[TeamEvent, ...]:
    lead: Lead | None = given.streams.get(lead_stream(command.lead_id))
    if lead is None:
        raise not_found(f"lead {command.lead_id} is not known")
    if lead.assigned_to is not None:
        return ()
    chosen, reason = choose(team, lead)
    member = team.members[chosen]
    return (LeadRouted(lead_id=command.lead_id, representative_id=chosen, reason=reason, leads=member.leads + 1),)


def choose(team: SalesTeam, lead: Lead) -> tuple[str, str]:
    """Return who gets a lead, and why. Source: docs/adr/0044, the domain model's order.

    Shape: of those who are available, who knows the lead's industry, then who wins as often as the others at least,
    then whose country it is; where nobody is left by one of these, it does not count. Of those who are left, who has
    waited longest.
    Raises: CommandRejected, nobody is available; try again later.
    """
    left = {id_: member for id_, member in team.members.items() if member.is_available}
    if not left:
        raise not_now("no representative is available")
    reasons: list[str] = []
    industry, country = lead.captured.industry, lead.country
    experts = [id_ for id_, member in left.items() if _has(member.expertise, industry)]
    left = _narrowed(left, experts, f"knows {industry}", reasons)
    left = _narrowed(left, _winners(left), "wins most", reasons)
    near = [id_ for id_, member in left.items() if _has(member.countries, country)]
    left = _narrowed(left, near, f"looks after {country}", reasons)
    chosen = min(left, key=lambda id_: (left[id_].turn, id_))
    if len(left) > 1:
        reasons.append("in turn")
    return chosen, ", ".join(reasons or ["alone available"])


def _has(names: Sequence[str], wanted: str | None) -> bool:
    return wanted is not None and wanted.casefold() in {name.casefold() for name in names}


def _narrowed(
    left: Mapping[str, Representative], fitting: Sequence[str], reason: str, reasons: list[str]
) -> dict[str, Representative]:
    """Return those who fit, or all where nobody does; a reason is one only where it left somebody out."""
    if not fitting or len(fitting) == len(left):
        return dict(left)
    reasons.append(reason)
    return {id_: left[id_] for id_ in fitting}


_KNOWN_AFTER = 5
"""Leads after which it counts how many of them somebody won; before, everybody is as good as the others."""


def _winners(left: Mapping[str, Representative]) -> Sequence[str]:
    """Return who wins at least as large a share of their leads as all of these together."""
    known_of = [member for member in left.values() if member.leads >= _KNOWN_AFTER]
    leads, wins = sum(one.leads for one in known_of), sum(one.wins for one in known_of)
    return [id_ for id_, one in left.items() if one.leads < _KNOWN_AFTER or one.wins * leads >= wins * one.leads]


SALES_TEAM = Decider(
    category="sales_team",
    commands=classes_of(TeamCommand),
    events=classes_of(TeamEvent),
    decide=decide_team,
    evolve=evolve_team,
    reads=team_reads,
)
