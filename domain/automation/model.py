"""These are the commands, the events, the state and the rules of a model: which language model is asked, and how."""

from dataclasses import replace
from typing import Annotated, ClassVar, assert_never

from pydantic import Field, StringConstraints

from domain.given import Given
from domain.message import Command, Decider, Event, classes_of, filled, known, value
from domain.rejection import conflict, not_allowed, not_found
from schemas.envelope import StreamId
from schemas.values import Id, Name, Text

ModelName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""What its provider calls a model."""

MaxTokens = Annotated[int, Field(strict=True, ge=1, le=100_000)]
Temperature = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]


def model_stream(model_id: str) -> StreamId:
    return StreamId(f"model-{model_id}")


# --- commands


@value
class _OfModel(Command):
    model_id: Id

    @property
    def stream(self) -> StreamId:
        return model_stream(self.model_id)


@value
class RegisterModel(_OfModel):
    """Make a language model known to agents.

    Shape: `name` is for people, `model` is what the provider calls it. `provider_key` is the id of the secret for it,
    which says who is asked and where; without one nobody can be asked yet. `max_tokens` bounds one answer.
    """

    name: Name
    provider_key: Id | None = None
    model: ModelName
    max_tokens: MaxTokens = 1_024
    temperature: Temperature | None = None


@value
class UpdateModel(RegisterModel):
    """Say anew all that is known of the model; runs of agents that have begun keep what they began with."""


@value
class RetireModel(_OfModel):
    """No run of an agent begins with it any more."""

    reason: Text = ""


ModelCommand = RegisterModel | UpdateModel | RetireModel

# --- events


@value
class _Says(Event):
    name: str
    provider_key: str | None
    model: str
    max_tokens: int
    temperature: float | None


@value
class ModelRegistered(_Says):
    TYPE: ClassVar = "model.registered"


@value
class ModelUpdated(_Says):
    """All that it says now."""

    TYPE: ClassVar = "model.updated"


@value
class ModelRetired(Event):
    TYPE: ClassVar = "model.retired"
    reason: str


ModelEvent = ModelRegistered | ModelUpdated | ModelRetired

# --- state


@value
class Model:
    name: str
    provider_key: str | None
    model: str
    max_tokens: int
    temperature: float | None
    retired: bool = False


def evolve_model(state: Model | None, event: ModelEvent) -> Model:
    match event:
        case ModelRegistered() | ModelUpdated():
            return filled(Model, event)
        case ModelRetired():
            return replace(known(state), retired=True)
        case _:
            assert_never(event)


# --- rules


def decide_model(command: ModelCommand, state: Model | None, _given: Given) -> tuple[ModelEvent, ...]:
    if type(command) is RegisterModel:
        if state is not None:
            raise conflict(f"model {command.model_id} is registered already; update it, or take another model_id")
        return (filled(ModelRegistered, command),)
    if state is None:
        raise not_found(f"model {command.model_id} is not known")
    if isinstance(command, RetireModel):
        return () if state.retired else (ModelRetired(reason=command.reason),)
    if state.retired:
        raise not_allowed(f"model {command.model_id} is retired; register another one")
    updated = filled(ModelUpdated, command)
    return () if filled(Model, updated) == state else (updated,)


MODEL = Decider(
    category="model",
    commands=classes_of(ModelCommand),
    events=classes_of(ModelEvent),
    decide=decide_model,
    evolve=evolve_model,
)
