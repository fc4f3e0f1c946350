"""The description of an application, OpenAPI 3.1, is completed here from what its routes say of themselves."""

import re
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.encoders import jsonable_encoder

from read_api.edge.problems import MEDIA_TYPE

_EACH = "x-each"

_MADE: dict[str, Callable[[], Mapping[str, Any]]] = {}
"""Operations by path, by the name that a route has for them in its `openapi_extra`."""

OWN = "x-own"
"""In an answer that a route describes: it is the route's own, also where it is no success."""

REF = "#/components/schemas/{model}"
"""How a schema that a route brings along names the others that it is made of."""

_METHODS = frozenset({"get", "post", "put", "patch", "delete"})
_FOR_ALL = (400, 500, 503)
_OF_CALLERS = (401, 403, 409, 422, 429)
_WITH_BODY = (413, 415, 504, 507)
_LATER = frozenset({429, 503, 507})

_PROBLEM: Mapping[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "Why a request was refused: RFC 9457. Some problems say more, in fields of their own.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "about:blank: the status says what kind of problem it is"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what is wrong, and what to do about it"},
        "kind": {"type": "string", "description": "of a refused command: what kind of refusal it is"},
        "errors": {
            "type": "array",
            "description": "of a message that is not as it must be: each fault, and where it is",
            "items": {
                "type": "object",
                "required": ["where", "what"],
                "properties": {"where": {"type": "string"}, "what": {"type": "string"}},
            },
        },
    },
}


def each(name: str, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Return the part of a route's `openapi_extra` that says which operations stand in the description in its place.

    Shape: `make` gives them by their paths. It is called when somebody asks for the description, because there are
    hundreds, which would take a third of a second of every start.
    """
    _MADE[name] = make
    return {_EACH: name}


def add_contract(app: FastAPI) -> None:
    """Let an application describe itself whole: names, refusals and schemas of all operations."""
    describe = app.openapi

    def whole() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = completed(describe())
        return app.openapi_schema

    app.openapi = whole  # type: ignore[method-assign]


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """Return the description with an operation for each message, a name for each operation, and all its refusals.

    Raises: ValueError, two routes mean different things by one name of a schema.
    """
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    # FastAPI's own form of a refusal, which is never sent
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = _PROBLEM
    components["responses"] = {
        _name(status): _refusal(status) for status in (*_FOR_ALL, *_OF_CALLERS, 404, *_WITH_BODY)
    }
    paths = document["paths"] = dict(_expanded(document["paths"]))
    for path, operations in paths.items():
        for method in operations.keys() & _METHODS:
            _complete(method, path, operations[method])
    _hoist(paths, schemas)
    return document


def _expanded(paths: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for path, operations in paths.items():
        instead_of = {
            # as FastAPI does it with all else, so that a schema that both name is the same
            method: jsonable_encoder(_MADE[one[_EACH]](), exclude_none=True)
            for method, one in operations.items()
            if _EACH in one
        }
        if not instead_of:
            yield path, operations
        for method, instead in instead_of.items():
            shared = {name: value for name, value in operations[method].items() if name != _EACH}
            parameters = [one for one in shared.get("parameters", ()) if one["in"] != "path"]
            for own_path, own in instead.items():
                yield own_path, {method: {**shared, "parameters": parameters, **own}}


def _complete(method: str, path: str, operation: dict[str, Any]) -> None:
    operation["operationId"] = operation_id(method, path)
    statuses = [
        *_FOR_ALL,
        *(_OF_CALLERS if operation.get("security") or method != "get" else ()),
        *([404] if "{" in path or method != "get" else ()),
        *(_WITH_BODY if method != "get" else ()),
    ]
    responses = {str(status): answer for status, answer in operation["responses"].items()}
    own = {status: answer for status, answer in responses.items() if status.startswith("2") or answer.pop(OWN, False)}
    usual = [str(status) for status in sorted(statuses) if str(status) not in own]
    operation["responses"] = {
        **own,
        **{status: {"$ref": f"#/components/responses/{_name(int(status))}"} for status in usual},
    }


def operation_id(method: str, path: str) -> str:
    """Return the name of an operation, which follows from its method and its path alone: it stays as they stay."""
    words = re.findall(r"\w+", path.removeprefix("/v1"))
    return "_".join([method, *(re.sub("^_", "own_", word) for word in words)])


def _name(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "")


def _refusal(status: int) -> dict[str, Any]:
    phrase = HTTPStatus(status).phrase
    example = {"type": "about:blank", "title": phrase, "status": status, "detail": "what is wrong, and what to do"}
    schema = {"$ref": REF.format(model="Problem")}
    refusal: dict[str, Any] = {
        "description": phrase,
        "content": {MEDIA_TYPE: {"schema": schema, "example": example}},
    }
    if status in _LATER:
        after = {"description": "seconds after which to try again", "schema": {"type": "integer"}}
        refusal["headers"] = {"Retry-After": after}
    return refusal


def _hoist(node: Any, schemas: dict[str, Any]) -> None:
    """Move the definitions that schemas bring along to where REF says they are."""
    if isinstance(node, list):
        for one in node:
            _hoist(one, schemas)
    elif isinstance(node, dict):
        for name, schema in node.pop("$defs", {}).items():
            _hoist(schema, schemas)
            if schemas.setdefault(name, schema) != schema:
                raise ValueError(f"two schemas are called {name}; give one of the classes another name")
        for one in node.values():
            _hoist(one, schemas)
