"""This holds what one watch knows of one device while it is shown facts, and what follows from it."""

from datetime import datetime

from domain.catalog import name_of
from domain.fleet.alert import RaiseAlert
from domain.fleet.definitions import CHANGED, Defined
from domain.fleet.follow import Told
from domain.fleet.observe import close_all, missed_at, observe, pass_time
from domain.fleet.seen import NOTHING_SEEN, Sample, Seen, Subject, ended
from schemas.envelope import Actor, ActorType, Envelope, TenantId
from streams.correlate.kept import Kept, Unsent, key_of, known_state
from streams.identifiers import system_id
from streams.ports import AnomalyScorer, Submission, WatchState

_WHOLE_RECORD = 1 << 32


class Known:
    """What one watch knows of one device; `unsent` are the commands that are not known to be answered."""

    __slots__ = ("awaited", "defined", "key", "of", "place", "position", "scorer", "seen", "tenant_id", "unsent")

    def __init__(
        self, tenant_id: TenantId, of: Subject, defined: Defined | None, scorer: AnomalyScorer | None, kept: Kept | None
    ) -> None:
        self.tenant_id = tenant_id
        self.of = of
        self.defined = defined
        self.scorer = scorer
        self.position = kept.position if kept else 0
        # of the last fact in the record at that position: what is kept was made of whole records
        self.place = _WHOLE_RECORD
        self.seen = kept.seen if kept else NOTHING_SEEN
        self.unsent = kept.unsent if kept else ()
        self.key = key_of(tenant_id, of)
        self.awaited = False

    def state(self) -> WatchState:
        learned = None if self.scorer is None else self.scorer.dump()
        return known_state(Kept(self.tenant_id, self.of, self.position, self.seen, learned, self.unsent))

    def show(self, seen: Seen, sample: Sample, fact: Envelope) -> tuple[Told, ...]:
        """Take a sample that matters, and return what it leads to."""
        assert self.defined is not None  # noqa: S101 - only what is defined is shown anything
        if self.scorer is not None:
            sample = sample._replace(bound=self.scorer.beyond(sample.value, sample.at))
        self.seen, told = observe(self.of, self.defined.watch, seen, sample)
        self.position, self.place = fact.position, fact.place
        if told:
            # an alert never happens after what it is about was recorded, whatever the clock of a device says
            self._tell(told, min(self.seen.at or sample.at, fact.recorded_at))
        return told

    def missed_at(self) -> datetime | None:
        return None if self.defined is None else missed_at(self.defined.watch, self.seen)

    def pass_time(self, now: datetime) -> tuple[Told, ...]:
        """Learn that nothing more was heard up to an instant, and return what that leads to."""
        missed = self.missed_at()
        if self.defined is None or missed is None or missed > now:
            return ()
        self.seen, told = pass_time(self.of, self.defined.watch, self.seen, now)
        self._tell(told, missed)
        return told

    def end(self, alert_id: str, at: datetime) -> None:
        """Learn that somebody resolved an alert that is open."""
        self.seen = ended(self.seen, alert_id, at)

    def close(self, at: datetime) -> None:
        self._tell(close_all(self.seen, CHANGED), at)

    def _tell(self, told: tuple[Told, ...], at: datetime) -> None:
        self.unsent += tuple(Unsent(command, at) for command in told)

    def submissions(self) -> list[Submission]:
        return [_submission(self, unsent) for unsent in self.unsent]


def raised_by(told: tuple[Told, ...]) -> list[str]:
    return [command.alert_id for command in told if isinstance(command, RaiseAlert)]


def _submission(known: Known, unsent: Unsent) -> Submission:
    command = unsent.command
    return Submission(
        command_id=system_id("correlation", type(command).__name__, command.alert_id),
        tenant_id=known.tenant_id,
        name=name_of(type(command)),
        command=command,
        actor=Actor(ActorType.SYSTEM, f"watch-{known.of.watch_id}"),
        happened_at=unsent.at,
    )
