"""A world of one endpoint, its process and its tasks: events are recorded, sent and lost as people and servers will."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from domain import catalog
from domain.given import Given
from domain.integration import webhook_endpoint as of
from domain.integration.decide_webhook import WEBHOOK_ENDPOINT
from domain.message import Command, Event
from domain.operations.delivery import SENDER, delivery_of
from domain.operations.task import TASK, ClaimTask, CompleteTask, FailTask, TaskRequested
from domain.process import (
    BEGUN,
    Around,
    Ask,
    Forget,
    Note,
    ProcessAnswered,
    ProcessAsked,
    Running,
    TimerFired,
    Wait,
    evolve_process,
)
from domain.rejection import CommandRejected
from schemas.envelope import StreamId
from schemas.json_text import json_value
from tests.examples.fleet import RETIRED
from tests.examples.moments import RECORDED_AT

SHOP = of.endpoint_stream("shop")
_NOWHERE: Mapping[str, Any] = {"standing": "", "next_timer": None, "next_due_at": None}


class World:
    """Shape: `log` holds what was recorded, in order; `taken` are the positions that the endpoint has answered well."""

    def __init__(self) -> None:
        self.process = catalog.PROCESS_BY_NAME["outbound_webhooks"]
        self.log: list[tuple[StreamId, Event]] = []
        self.states: dict[StreamId, Any] = {}
        self.running: Running[Any] = BEGUN
        self.now: datetime = RECORDED_AT
        self.offered: set[int] = set()
        self.taken: set[int] = set()
        self.asks_fail = False
        self.say(of.RegisterWebhook(endpoint_id="shop", url="https://a.example", types=(RETIRED.TYPE,), sealed="AQ=="))

    @property
    def endpoint(self) -> of.Webhook:
        state: of.Webhook = self.states[SHOP]
        return state

    @property
    def task(self) -> str | None:
        """Return the id of a task that a worker may do now."""
        for stream, state in self.states.items():
            if stream != SHOP and not state.is_over:
                return stream.removeprefix("task-")
        return None

    def say(self, command: Command) -> None:
        """Raises: CommandRejected."""
        decider = WEBHOOK_ENDPOINT if command.stream == SHOP else TASK
        reads = decider.reads(command, SENDER) if decider.reads else ()
        given = Given(self.now, SENDER, None, {stream: self.states.get(stream) for stream in reads})
        for event in decider.decide(command, self.states.get(command.stream), given):
            self.states[command.stream] = decider.evolve(self.states.get(command.stream), event)
            self._record(command.stream, event)

    def event(self) -> None:
        self.offered.add(len(self.log) + 1)
        self._record(StreamId("device-d1"), RETIRED)

    def end(self, *, well: bool, most: int, lost: bool = False) -> None:
        """Let a worker do the task that there is: it sends what there is, up to `most` events where not all go well."""
        if (task_id := self.task) is None:
            return
        state = self.states[StreamId(f"task-{task_id}")]
        self.now = max(self.now, state.ready_at or self.now)
        self.say(ClaimTask(task_id=task_id, worker="w"))
        attempt = state.attempt + 1
        wanted = json_value(state.requested.input)
        output, rows = self._looked(task_id, wanted), [*wanted["redo"]]
        behind = output.pop("rows")
        sent = 0
        for at in [*rows, *behind]:
            if not well and sent == most:
                if lost:
                    self.say(FailTask(task_id=task_id, attempt=attempt, error="lost", retryable=False))
                    return
                output |= {"stopped": {"position": at, "event_id": "e", "type": RETIRED.TYPE, "error": "answered 503"}}
                output |= {"looked_to": behind[sent - len(rows) - 1] if sent > len(rows) else wanted["after"]}
                break
            self.taken.add(at)
            sent += 1
        output |= {"events": sent, "redone": min(sent, len(rows))}
        self.say(CompleteTask(task_id=task_id, attempt=attempt, output=output))

    def _looked(self, task_id: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        rows: list[int] = []
        if wanted["after"] is None:
            return {"rows": rows, "looked_to": None, "more": False}
        for at, (stream, event) in enumerate(self.log[wanted["after"] :], wanted["after"] + 1):
            if isinstance(event, TaskRequested) and stream == f"task-{task_id}":
                return {"rows": rows, "looked_to": at, "more": False}
            if event.TYPE in wanted["types"]:
                if len(rows) == 3:
                    return {"rows": rows, "looked_to": at - 1, "more": True}
                rows.append(at)
        raise AssertionError("a task is behind all that it has to send")

    def pass_time(self, by: timedelta) -> None:
        self.now += by
        for name in [name for name, due_at in self.running.timers.items() if due_at <= self.now]:
            fired = TimerFired(name=name, due_at=self.now, **_NOWHERE)
            self._note(fired)
            self._react(fired, StreamId("outbound_webhooks-all"), len(self.log))

    def settle(self) -> None:
        """Let all go well from now on, until nothing is to be done."""
        for _ in range(1_000):
            if self.task is not None:
                self.end(well=True, most=0)
            elif self.running.timers:
                self.pass_time(timedelta(hours=1))
            else:
                return
        raise AssertionError("it comes to no end")

    def _record(self, stream: StreamId, event: Event) -> None:
        self.log.append((stream, event))
        own = stream.startswith("task-") and delivery_of(stream.removeprefix("task-")) is None
        if isinstance(event, self.process.listens) and not own:
            self._react(event, stream, len(self.log))

    def _note(self, event: Event) -> None:
        self.log.append((StreamId("outbound_webhooks-all"), event))
        self.running = evolve_process(self.process, self.running, event)

    def _react(self, event: Event, stream: StreamId, position: int) -> None:
        around = Around(self.now, "all", self.running.timers, self.running.attempts, None, stream, position)
        for action in self.process.react(self.running.state, event, around):
            match action:
                case Note():
                    self._note(action.event)
                case Wait():
                    timers = {**self.running.timers, action.name: action.due_at}
                    self.running = replace(self.running, timers=timers)
                case Forget():
                    timers = {name: due for name, due in self.running.timers.items() if name != action.name}
                    self.running = replace(self.running, timers=timers)
                case Ask():
                    self._ask(action)

    def _ask(self, ask: Ask) -> None:
        attempt = self.running.attempts.get(ask.step, 0) + 1
        known: dict[str, Any] = {
            "step": ask.step,
            "attempt": attempt,
            "command_id": f"{ask.step} {attempt}",
            **_NOWHERE,
        }
        self._note(ProcessAsked(command=type(ask.command).__name__, message=None, **known))
        reason = "cannot be read now" if self.asks_fail else None
        if reason is None:
            try:
                self.say(ask.command)
            except CommandRejected as error:
                reason = error.reason
        said: dict[str, Any] = {"kind": "not_now" if reason else None, "reason": reason, "stream": ask.command.stream}
        answered = ProcessAnswered(outcome="", version=1, **said, **known)
        self._note(answered)
        self._react(answered, self.process.stream("all"), len(self.log))
