"""These are the commands, the events, the state and the rules of a watch."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, assert_never, cast

from pydantic import Field

from domain.fleet.rules import FIELDS, KINDS, Level, Rule, at_limit, check_levels, check_rule, limit_of
from domain.fleet.values import Severity
from domain.given import Given
from domain.identity.api_key import ALL_SCOPES, ApiKey, api_key_stream
from domain.message import Command, Decider, Event, classes_of, filled, known, value
from domain.rejection import not_allowed, not_found
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
    what is recorded after it, and with `look_back_s` at what was recorded so many seconds before it too; defined again
    it begins anew, and what it had open is resolved. `levels` are further limits, each an alert of its own. An alert
    that somebody resolves while the rule holds is raised again after `again_s` seconds, left out after `quiet_s`. The
    alert that is raised for the `flap_count`th time in `flap_s` seconds stays open until it was quiet for `flap_s`; 0
    leaves that out.
    """

    name: Name
    severity: Severity
    rule: Annotated[Rule, Field(discriminator="kind")]
    device_id: Id | None = None
    quiet_s: Annotated[int, Field(strict=True, ge=1, le=86_400)] = 300
    levels: Annotated[tuple[Level, ...], Field(max_length=8)] = ()
    again_s: Annotated[int, Field(strict=True, ge=1, le=86_400)] | None = None
    flap_count: Annotated[int, Field(strict=True, ge=0, le=100)] = 5
    flap_s: Annotated[int, Field(strict=True, ge=1, le=86_400)] = 3_600
    look_back_s: Annotated[int, Field(strict=True, ge=0, le=7 * 86_400)] = 0


@value
class RemoveWatch(_OfWatch):
    """Its open alerts are resolved; for the watch's maker, or a key of all scopes."""

    reason: Text = ""


WatchCommand = DefineWatch | RemoveWatch

# --- events


@value
class WatchDefined(Event):
    """Shape: of the fields from `metric` to `after_s`, those of that kind of rule have a value.

    Those after it have one since version 2. `levels` are limits by severity.
    """

    TYPE: ClassVar = "watch.defined"
    VERSION: ClassVar = 2
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
    gap_s: int | None
    late_s: int | None
    after_s: int | None
    levels: Mapping[str, float] | None
    again_s: int | None
    flap_count: int | None
    flap_s: int | None
    look_back_s: int | None


@value
class WatchRemoved(Event):
    TYPE: ClassVar = "watch.removed"
    reason: str


WatchEvent = WatchDefined | WatchRemoved

# --- state


@value
class Watch:
    """Shape: a watch as it was before version 2 of its event has no levels and no guard against flapping."""

    name: str
    severity: str
    device_id: str | None
    quiet_s: int
    rule: Rule
    levels: tuple[Level, ...] = ()
    again_s: int | None = None
    flap_count: int = 0
    flap_s: int = 0
    look_back_s: int = 0
    removed: bool = False

    def at_level(self, number: int) -> "Watch":
        """Return the watch that looks for one level, from 1; 0 is the rule itself."""
        if not number:
            return replace(self, levels=())
        level = self.levels[number - 1]
        return replace(self, levels=(), severity=level.severity, rule=at_limit(self.rule, level.limit))


def evolve_watch(state: Watch | None, event: WatchEvent) -> Watch:
    match event:
        case WatchDefined():
            return watch_of(event)
        case WatchRemoved():
            return replace(known(state), removed=True)
        case _:
            assert_never(event)


def watch_of(event: WatchDefined) -> Watch:
    # before version 2 a late line counted as long as its window lasted
    late = {"late_s": event.late_s or 0} if event.kind == "failures" else {}
    rule = cast("Rule", filled(KINDS[event.kind], event, **late))
    levels = [Level(severity=severity, limit=limit) for severity, limit in (event.levels or {}).items()]
    return Watch(
        name=event.name,
        severity=event.severity,
        device_id=event.device_id,
        quiet_s=event.quiet_s,
        rule=rule,
        levels=tuple(sorted(levels, key=lambda level: abs(level.limit - (limit_of(rule) or 0)))),
        again_s=event.again_s,
        flap_count=event.flap_count or 0,
        flap_s=event.flap_s or 0,
        look_back_s=event.look_back_s or 0,
    )


# --- rules


def watch_reads(command: WatchCommand, actor: Actor) -> tuple[StreamId, ...]:
    """Name the key that asks, where its scopes matter."""
    return (api_key_stream(actor.id),) if isinstance(command, RemoveWatch) and actor.type is ActorType.API_KEY else ()


def decide_watch(command: WatchCommand, state: Watch | None, given: Given) -> tuple[WatchEvent, ...]:
    match command:
        case DefineWatch():
            return () if check_watch(command) == state else (_defined(command),)
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


def check_watch(command: DefineWatch) -> Watch:
    """Return the watch that a definition makes. Raises: CommandRejected, it says nothing."""
    check_rule(command.rule)
    check_levels(command.rule, command.levels)
    return watch_of(_defined(command))


def _defined(command: DefineWatch) -> WatchDefined:
    rule = command.rule
    of_kinds = {name: getattr(rule, name, None) for names in FIELDS.values() for name in names}
    levels = {level.severity: level.limit for level in command.levels}
    return filled(WatchDefined, command, kind=rule.kind, levels=levels, **of_kinds)


WATCH = Decider(
    category="watch",
    commands=classes_of(WatchCommand),
    events=classes_of(WatchEvent),
    decide=decide_watch,
    evolve=evolve_watch,
    reads=watch_reads,
)
