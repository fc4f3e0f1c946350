"""Rules and views are tested with values only: given past events, when something comes, then this."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import pytest

from domain.catalog import event_from
from domain.given import Given
from domain.message import Command, Decider, Event, Fact, FactRecord
from domain.process import (
    BEGUN,
    PROCESS_EVENTS,
    Action,
    Around,
    Process,
    ProcessAnswered,
    TimerFired,
    evolve_process,
)
from domain.rejection import CommandRejected, Kind
from projections.projection import Projection
from projections.rows import Row
from schemas.envelope import Actor, ActorType, StreamId
from tests.examples import Place, envelope_of
from tests.examples.moments import RECORDED_AT

ANN = Actor(ActorType.USER, "ann")
GIVEN = Given(now=RECORDED_AT, actor=ANN, made_by=ANN, streams={})
"""What rules are given that ask for nothing else: Ann, who began every stream, at the moment of the examples."""


@dataclass(frozen=True, slots=True)
class Rules:
    """`Rules(DEVICE).given(REGISTERED).when(RETIRE).then(RETIRED)`."""

    decider: Decider
    history: tuple[Event, ...] = ()
    command: Command | None = None
    beside: Given = GIVEN

    def given(self, *history: Event) -> Self:
        return type(self)(self.decider, history)

    def when(self, command: Command, given: Given = GIVEN) -> Self:
        assert type(command) in self.decider.commands
        assert command.stream.startswith(f"{self.decider.category}-")
        if self.decider.reads:
            assert set(self.decider.reads(command, given.actor)) >= given.streams.keys()
        return type(self)(self.decider, self.history, command, given)

    def then(self, *expected: Event) -> None:
        events = self._decide()
        assert events == expected
        self._state(self.history + events)

    def then_nothing(self) -> None:
        self.then()

    def then_refused(self, kind: Kind, reason: str) -> None:
        with pytest.raises(CommandRejected) as refused:
            self._decide()
        assert (refused.value.kind, refused.value.reason) == (kind, reason)

    def _decide(self) -> tuple[Event, ...]:
        return self.decider.decide(self.command, self._state(self.history), self.beside)

    def _state(self, events: Sequence[Event]) -> Any:
        state: Any = None
        for event in events:
            assert type(event) in self.decider.events
            state = self.decider.evolve(state, event)
        return state


@dataclass(frozen=True, slots=True)
class Runs:
    """`Runs(INVITATION_EXPIRY, "ann").given(TIMER_SET).when(USER_JOINED).then(Forget("expiry"))`.

    Shape: given are events of the process's own stream.
    """

    process: Process
    id: str
    history: tuple[Event, ...] = ()
    event: Event | None = None
    command: Command | None = None
    stream: StreamId | None = None

    def given(self, *history: Event) -> Self:
        return replace(self, history=history)

    def when(self, event: Event, command: Command | None = None, stream: str | None = None) -> Self:
        """Shape: `stream` is that of the event, where it is not the one of the examples."""
        own = isinstance(event, ProcessAnswered | TimerFired)
        assert own or type(event) in self.process.listens
        if not own:
            envelope = envelope_of(event)
            if stream is not None:
                envelope = envelope._replace(stream=StreamId(stream))
            assert self.process.route(event, envelope) == self.id
        return replace(self, event=event, command=command, stream=StreamId(stream) if stream else None)

    def then(self, *expected: Action) -> None:
        assert self.event is not None
        running = BEGUN
        for event in self.history:
            assert type(event) in (*self.process.events, *PROCESS_EVENTS)
            running = evolve_process(self.process, running, event)
        place = envelope_of(self.event)
        stream = self.stream or place.stream
        around = Around(RECORDED_AT, self.id, running.timers, running.attempts, self.command, stream, place.position)
        if isinstance(self.event, ProcessAnswered | TimerFired):
            running = evolve_process(self.process, running, self.event)
        assert tuple(self.process.react(running.state, self.event, around)) == expected


@dataclass(frozen=True, slots=True)
class Rows:
    """`Rows(devices.PROJECTION).when(REGISTERED).then(Patch(…))`."""

    projection: Projection
    event: Event | None = None
    place: Place | None = None

    def when(self, event: Event, place: Place | None = None) -> Self:
        return type(self)(self.projection, event, place)

    def then(self, *expected: Row) -> None:
        assert self.rows() == expected

    def rows(self) -> tuple[Row, ...]:
        first = self._project()
        assert all(type(row) is self.projection.layout.row for row in first)
        assert self._project() == first, "the same event again must give the same rows"
        return first

    def _project(self) -> tuple[Row, ...]:
        assert self.event is not None
        envelope = envelope_of(self.event, self.place)
        assert envelope.topic in self.projection.topics
        if self.projection.events is None:
            return tuple(self.projection.project(envelope, None))
        assert self.event.TYPE in {event.TYPE for event in self.projection.events}
        event = None if isinstance(self.event, Fact | FactRecord) else event_from(envelope)
        return tuple(self.projection.project(envelope, event))
