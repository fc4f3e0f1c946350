"""What a handler is given is checked here, and refused in words that say which field is wrong."""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from factline.worker import Failed, Provider, Task
from schemas.values import in_words

M = TypeVar("M", bound=BaseModel)


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def checked(model: type[M], given: Any) -> M:
    """Return the input of a task. Raises: Failed, no retry helps."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        places = ("input" + "".join(f".{part}" for part in one["loc"]) + f": {in_words(one['msg'])}" for one in found)
        raise Failed("; ".join(places), retryable=False) from error


def provider_of(task: Task) -> Provider:
    """Return the service, and its secret, that the input's `provider_key` names. Raises: Failed, no retry helps."""
    if task.provider is None:
        named = task.input.get("provider_key") if isinstance(task.input, dict) else None
        raise Failed(
            f"there is no secret {named!r} for tasks of the kind {task.kind}: add it with `factline provider-keys set`,"
            " and let the worker's API key have the scope secrets:read",
            retryable=False,
        )
    return task.provider
