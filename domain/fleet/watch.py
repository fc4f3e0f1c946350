"""These are the commands, the events, the state and the rules of a watch."""

from dataclasses import replace
from typing import Annotated, ClassVar, assert_never

from pydantic import Field

from domain.fleet.rules import FIELDS, KINDS, RateOfChange, Rule, Threshold
from domain.fleet.values import Severity
from domain.given import Given
from domain.identity.api_key import ALL_SCOPES, ApiKey, api_key_stream
from domain.message import Command, Decider, Event, classes_of, filled, known, value
from domain.rejection import invalid, not_allowed, not_found
from schemas.envelope import Actor, ActorType, StreamId
from schemas.values import Id, Name, Text

# --- commands


@value
class _OfWatch(Command):
    watch_id: Id

    @property
    def stream(self) -> StreamId:
        return StreamId(f"watch-{self.watch_id}")


@value
class DefineWatch(_OfWatch):
    """Raise an alert where the rule holds, and resolve it when it has not held for `quiet_s` seconds.

    Shape: `name` is what its alerts say; no `device_id` means each device of the tenant, by itself. A watch looks at
    what is recorded after it; defined again it begins anew, and what it had open is resolved.
    """

    name: Name
    severity: Severity
    rule: Annotated[Rule, Field(discriminator="kind")]
    device_id: Id | None = None
    quiet_s: Annotated[int, Field(ge=1, le=86_400)] = 300


@value
class RemoveWatch(_OfWatch):
    """Its open alerts are resolved; for the watch's maker, or a key of all scopes."""

    reason: Text = ""


WatchCommand = DefineWatch | RemoveWatch

# --- events


@value
class WatchDefined(Event):
    """Shape: of the fields after `kind`, those of that kind of rule have a value."""

    TYPE: ClassVar = "watch.defined"
    name: str
    severity: str
    device_id: str | None
    quiet_s: int
    kind: str
    metric: str | None
    above: float | None
    below: float | None
    clear: float | None
    for_s: int | None
    by: float | None
    within_s: int | None
    contains: str | None
    key_after: str | None
    count: int | None
    quantile: float | None


@value
class WatchRemoved(Event):
    TYPE: ClassVar = "watch.removed"
    reason: str


WatchEvent = WatchDefined | WatchRemoved

# --- state


@value
class Watch:
    name: str
    severity: str
    device_id: str | None
    quiet_s: int
    rule: Rule
    removed: bool = False


def evolve_watch(state: Watch | None, event: WatchEvent) -> Watch:
    match event:
        case WatchDefined():
            return watch_of(event)
        case WatchRemoved():
            return replace(known(state), removed=True)
        case _:
            assert_never(event)


def watch_of(event: WatchDefined) -> Watch:
    return filled(Watch, event, rule=filled(KINDS[event.kind], event))


# --- rules


def watch_reads(command: WatchCommand, actor: Actor) -> tuple[StreamId, ...]:
    """Name the key that asks, where its scopes matter."""
    return (api_key_stream(actor.id),) if isinstance(command, RemoveWatch) and actor.type is ActorType.API_KEY else ()


def decide_watch(command: WatchCommand, state: Watch | None, given: Given) -> tuple[WatchEvent, ...]:
    match command:
        case DefineWatch():
            _check_rule(command.rule)
            defined = _defined(command)
            return () if watch_of(defined) == state else (defined,)
        case RemoveWatch():
            if state is None:
                raise not_found(f"watch {command.watch_id} is not known")
            _check_remover(command, given)
            return () if state.removed else (WatchRemoved(reason=command.reason),)
        case _:
            assert_never(command)


def _check_remover(command: RemoveWatch, given: Given) -> None:
    key: ApiKey | None = given.streams.get(api_key_stream(given.actor.id))
    if given.actor != given.made_by and not (key and ALL_SCOPES in key.scopes):
        raise not_allowed(
            f"watch {command.watch_id} is removed by who made it, or with a key of the scope {ALL_SCOPES}"
        )


def _check_rule(rule: Rule) -> None:
    if isinstance(rule, RateOfChange) and rule.by == 0:
        raise invalid("a rate of change needs a `by` other than 0; a fall has a negative one")
    if not isinstance(rule, Threshold):
        return
    if (rule.above is None) == (rule.below is None):
        raise invalid("a threshold needs either `above` or `below`")
    if rule.clear is not None and (
        (rule.above is not None and rule.clear > rule.above) or (rule.below is not None and rule.clear < rule.below)
    ):
        raise invalid("`clear` must be on the good side of the limit")


def _defined(command: DefineWatch) -> WatchDefined:
    rule = command.rule
    of_kinds = {name: getattr(rule, name, None) for names in FIELDS.values() for name in names}
    return filled(WatchDefined, command, kind=rule.kind, **of_kinds)


WATCH = Decider(
    category="watch",
    commands=classes_of(WatchCommand),
    events=classes_of(WatchEvent),
    decide=decide_watch,
    evolve=evolve_watch,
    reads=watch_reads,
)
