"""These are the command, the event and the rules with which a person has a process try again what it failed on."""

from typing import Annotated, ClassVar

from pydantic import StringConstraints

from domain.given import Given
from domain.message import Command, Decider, Event, value
from domain.process import RETRY, Running
from domain.rejection import not_allowed, not_found
from schemas.envelope import Actor, StreamId

InstanceId = Annotated[str, StringConstraints(min_length=1, max_length=2_500, pattern=r"^[!-~]+$")]
"""The name of a process and the id of what it is about, as `/v1/processes` shows both.

Shape: an invoice's id has party and number in it, of 100 and 60 characters, each as up to twelve.
"""


@value
class RetryProcess(Command):
    """Have an instance of a process, named by its id in `/v1/processes`, try again now what its code failed on.

    Shape: by itself it does so after 10 s and then ever later, for five days. Send this once the code is mended; what
    it gave up is tried once.
    """

    process: InstanceId

    @property
    def stream(self) -> StreamId:
        return StreamId(f"process_retry-{self.process}")


@value
class ProcessRetryRequested(Event):
    """Shape: `events` is how many events the instance had failed on and is shown again."""

    TYPE: ClassVar = "process.retry.requested"
    process: str
    events: int


@value
class Retries:
    """Shape: how often somebody asked for it."""

    asked: int


def evolve_retries(state: Retries | None, _event: ProcessRetryRequested) -> Retries:
    return Retries(asked=1 + (state.asked if state else 0))


def decide_retry(command: RetryProcess, _state: Retries | None, given: Given) -> tuple[ProcessRetryRequested, ...]:
    running = given.streams.get(StreamId(command.process))
    if not isinstance(running, Running):
        raise not_found(f"process {command.process} is not known; GET /v1/processes lists them")
    waiting = sum(name.startswith(RETRY) for name in running.timers) + len(running.given_up)
    if not waiting:
        raise not_allowed(f"process {command.process} has nothing to try again")
    return (ProcessRetryRequested(process=command.process, events=waiting),)


def _process_of(command: RetryProcess, _actor: Actor) -> tuple[StreamId, ...]:
    return (StreamId(command.process),)


RETRIES = Decider(
    category="process_retry",
    commands=(RetryProcess,),
    events=(ProcessRetryRequested,),
    decide=decide_retry,
    evolve=evolve_retries,
    reads=_process_of,
)
