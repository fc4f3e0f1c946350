"""These are the commands, the events, the state and the rules of a script, which may be run on devices."""

import hashlib
from enum import StrEnum
from typing import Annotated, ClassVar, assert_never

from pydantic import Field

from domain.given import Given
from domain.message import Command, Decider, Event, classes_of, filled, value
from domain.rejection import conflict, not_found
from schemas.envelope import StreamId
from schemas.values import Body, Id, Name

TimeoutS = Annotated[int, Field(strict=True, ge=1, le=86_400)]

USUAL_TIMEOUT_S = 480
"""With the two minutes that the watchdog adds, 600 s. Source: the domain model, ExecutionWatchdog."""


class Shell(StrEnum):
    BASH = "bash"
    POWERSHELL = "powershell"
    CMD = "cmd"
    PYTHON = "python"


def script_stream(script_id: str) -> StreamId:
    return StreamId(f"script-{script_id}")


def digest_of(body: str) -> str:
    """Return the SHA-256 of a script, by which the owner of a device can allow it; 64 hexadecimal digits."""
    return hashlib.sha256(body.encode()).hexdigest()


# --- commands


@value
class _OfScript(Command):
    script_id: Id

    @property
    def stream(self) -> StreamId:
        return script_stream(self.script_id)


@value
class CreateScript(_OfScript):
    """Units: `timeout_s` is in seconds; a device agent ends the script after it."""

    name: Name
    shell: Shell
    body: Body
    timeout_s: TimeoutS = USUAL_TIMEOUT_S


@value
class UpdateScript(_OfScript):
    """What is left out stays as it is."""

    name: Name | None = None
    shell: Shell | None = None
    body: Body | None = None
    timeout_s: TimeoutS | None = None


ScriptCommand = CreateScript | UpdateScript

# --- events


@value
class _Says(Event):
    name: str
    shell: str
    body: str
    digest: str
    timeout_s: int


@value
class ScriptCreated(_Says):
    TYPE: ClassVar = "script.created"


@value
class ScriptUpdated(_Says):
    """All that it says now."""

    TYPE: ClassVar = "script.updated"


ScriptEvent = ScriptCreated | ScriptUpdated

# --- state


@value
class Script:
    name: str
    shell: str
    body: str
    digest: str
    timeout_s: int


def evolve_script(_state: Script | None, event: ScriptEvent) -> Script:
    return filled(Script, event)


# --- rules


def decide_script(command: ScriptCommand, state: Script | None, _given: Given) -> tuple[ScriptEvent, ...]:
    match command:
        case CreateScript():
            if state is not None:
                raise conflict(f"script {command.script_id} is created already")
            return (filled(ScriptCreated, command, shell=command.shell.value, digest=digest_of(command.body)),)
        case UpdateScript():
            if state is None:
                raise not_found(f"script {command.script_id} is not known")
            updated = _updated(command, state)
            return () if filled(Script, updated) == state else (updated,)
        case _:
            assert_never(command)


def _updated(command: UpdateScript, state: Script) -> ScriptUpdated:
    body = command.body or state.body
    return ScriptUpdated(
        name=command.name or state.name,
        shell=(command.shell or Shell(state.shell)).value,
        body=body,
        digest=digest_of(body),
        timeout_s=command.timeout_s or state.timeout_s,
    )


SCRIPT = Decider(
    category="script",
    commands=classes_of(ScriptCommand),
    events=classes_of(ScriptEvent),
    decide=decide_script,
    evolve=evolve_script,
)
