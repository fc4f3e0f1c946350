"""What a handler is given is checked here, and refused in words that say which field is wrong."""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from factline.worker import Failed
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
