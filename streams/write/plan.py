"""What one instance of a process does in answer to one event is planned here, before any of it is recorded."""

from dataclasses import replace
from typing import Any

from domain import catalog
from domain.message import Command, Event
from domain.process import (
    NOWHERE,
    RETRY,
    Ask,
    Forget,
    Note,
    Process,
    ProcessAsked,
    Running,
    TimerForgotten,
    TimerSet,
    Wait,
    evolve_process,
    standing_of,
)
from schemas.envelope import StreamId
from streams.identifiers import system_id
from streams.ports import Submission
from streams.write.draft import Origin
from streams.write.messages import encode_submission


class Plan:
    """What an instance does in answer to one event: the events of its stream, and the commands it asks now."""

    def __init__(self, process: Process, stream: StreamId, running: Running[Any], origin: Origin, left: int) -> None:
        self.running = running
        self.events: list[Event] = []
        self.asked: list[tuple[ProcessAsked, Submission]] = []
        self._process = process
        self._stream = stream
        self._origin = origin
        self._left = left

    def take(self, action: Any) -> None:
        timers = self.running.timers
        match action:
            case Ask(step, command):
                self._ask(step, command)
            case Wait(name, due_at):
                if not name or " " in name or name.startswith(RETRY):
                    # by spaces it differs from a command's id
                    raise ValueError(f"a timer's name has no spaces and does not begin with {RETRY}")
                if timers.get(name) != due_at:
                    self._add(TimerSet(name=name, due_at=due_at, **NOWHERE))
            case Forget(name):
                if name in timers:
                    self._add(TimerForgotten(name=name, **NOWHERE))
            case Note(event):
                if type(event) not in self._process.events:
                    raise TypeError(f"{type(event).__name__} is not among the events of process {self._process.name}")
                self._add(event)
            case _:
                raise TypeError(f"{type(action).__name__} is no action")

    def _ask(self, step: str, command: Command) -> None:
        attempt = self.running.attempts.get(step, 0) + 1
        origin, name = self._origin, catalog.name_of(type(command))
        submission = Submission(
            command_id=asked_id(self._stream, step, attempt),
            tenant_id=origin.tenant_id,
            name=name,
            command=command,
            actor=origin.actor,
            happened_at=origin.happened_at,
            correlation_id=origin.correlation_id,
            traceparent=origin.traceparent,
            causation_id=origin.causation_id,
        )
        now = len(self.asked) < self._left
        message = None if now else encode_submission(submission).decode()
        asked = ProcessAsked(
            step=step, attempt=attempt, command=name, command_id=submission.command_id, message=message, **NOWHERE
        )
        self._add(asked)
        if now:
            self.asked.append((asked, submission))

    def _add(self, event: Event) -> None:
        self.running = evolve_process(self._process, self.running, event)
        standing = {} if type(event) in self._process.events else standing_of(self.running)
        self.events.append(replace(event, **standing))  # type: ignore[type-var]


def asked_id(stream: StreamId, step: str, attempt: int) -> str:
    """Return the id of the command that an instance asks for a step: the same whoever sends it for the instance."""
    return system_id(stream, step, str(attempt))
