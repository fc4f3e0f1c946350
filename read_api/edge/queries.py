"""A query may say nothing that its route does not read, and ask for no value that cannot be there."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from enum import EnumType
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError

from projections.layout import Layout
from read_api.edge.problems import Problem

TAKES_ANY = "x-takes-any-parameter"
"""In a route's `openapi_extra`: it passes over parameters that it does not know, as its standard demands."""

_SHOWN = 100


async def known_parameters(request: Request) -> None:
    """Do nothing where the route reads each parameter of the query: a dependency of every route.

    Raises: Problem, a parameter is none of the route's, or is given twice where it has one value, so that something
    meant would be ignored.
    """
    asked = [name for name, _ in request.query_params.multi_items()]
    if not asked:
        return
    route = request.scope["route"]
    if (route.openapi_extra or {}).get(TAKES_ANY):
        return
    known = _parameters_of(route)
    for name in asked:
        if name not in known:
            takes = f"takes {', '.join(known)}" if known else "takes no parameters"
            path = request.url.path[:_SHOWN]
            raise Problem(400, f"there is no parameter {name[:_SHOWN]!r}: {nearest(name, known)}{path} {takes}")
        if asked.count(name) > 1 and name not in _repeatable(route):
            raise Problem(400, f"the parameter {name} is given twice; give it once")


def _parameters_of(route: APIRoute) -> Sequence[str]:
    """Return what a route reads of the query: what it and its dependencies declare, and what is described beside."""
    described = [one["name"] for one in (route.openapi_extra or {}).get("parameters", ()) if one["in"] == "query"]
    return sorted({*_declared(route.dependant), *described})


def _repeatable(route: APIRoute) -> Sequence[str]:
    """Return the parameters that are described as lists: each of their values is a parameter of that name."""
    described = (route.openapi_extra or {}).get("parameters", ())
    return [one["name"] for one in described if one["schema"].get("type") == "array"]


def _declared(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for one in dependant.dependencies:
        yield from _declared(one)


def nearest(text: str, choices: Iterable[str]) -> str:
    """Return a question that names the choice that was probably meant, "" where none is near."""
    found = get_close_matches(text, list(choices), 1)
    return f"did you mean {found[0]}? " if found else ""


def one_of(name: str, value: str, choices: Sequence[str]) -> str:
    """Return a value that is one of the choices. Raises: Problem, it is not."""
    if value not in choices:
        detail = f"{name} cannot be {value[:_SHOWN]!r}: {nearest(value, choices)}it is one of {', '.join(choices)}"
        raise Problem(400, detail)
    return value


def filter_value(layout: Layout, name: str, value: str) -> str:
    """Return a filter's value in the form in which rows have it. Raises: Problem, no row can have it."""
    wanted = layout.values.get(name)
    if wanted is None:
        return value
    if isinstance(wanted, EnumType):
        members: Mapping[str, Any] = wanted.__members__
        return one_of(name, value, [str(choice.value) for choice in members.values()])
    if get_origin(wanted) is Literal:
        return one_of(name, value, get_args(wanted))
    try:
        return str(_adapter(wanted).validate_python(value))
    except ValidationError as error:
        detail = f"{name} cannot be {value[:_SHOWN]!r}: it is one word of letters, digits, _ and -, a letter first"
        raise Problem(400, detail) from error


@lru_cache(maxsize=100)
def _adapter(wanted: Any) -> TypeAdapter[Any]:
    return TypeAdapter(wanted)
