"""A tool says by a JSON Schema what a caller may give; the schema, and what is given, are looked at here.

Source: JSON Schema, draft 2020-12, https://json-schema.org/draft/2020-12.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from schemas.json_text import json_value

DRAFT = "https://json-schema.org/draft/2020-12/schema"

MAX_PARTS = 500
"""Objects of a schema in which each `$ref` is replaced by what it names: the writer does nothing else meanwhile."""

MAX_VALUES_TOLD = 200
"""Of parameters with more values only the first fault is told: to find them all takes time for each, and gigabytes."""

MAX_FAULTS = 20
MAX_FAULT = 200

_REFS_INSIDE = 8
_FOREIGN = ("$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef")
_SLOW = ("unevaluatedItems", "unevaluatedProperties")
"""They look at what is inside once more for each level: a schema of 1 KiB can keep the writer busy for hours."""

# time linear in the text: an expression that goes back and forth could keep the writer busy for ever. A large one would
# take long for each letter
_PATTERNS = RegexOptions(size_limit=100_000)
_OF_DRAFT = Draft202012Validator({"$ref": DRAFT}, offline=True)


def schema_faults(schema: Any) -> Sequence[str]:
    """Return all that is wrong with a schema for the parameters of a tool, nothing where it can be used."""
    if not isinstance(schema, dict):
        return ["it must be an object"]
    if found := [*_said(_OF_DRAFT.iter_errors(schema))]:
        return found
    if found := [*_unwanted(schema), *_keywords(schema)]:
        return list(dict.fromkeys(found))
    try:
        parts = _Parts(schema).count(schema, ())
        if parts > MAX_PARTS:
            return [f"it comes to {parts} parts, more than {MAX_PARTS}; say less of it"]
        _validator(schema)
    except ValidationError as error:
        return [_text(error)]
    except ValueError as error:
        return [str(error)]
    return []


def parameter_faults(schema_text: str, parameters: Any) -> Sequence[str]:
    """Return all that is wrong with parameters. What a schema does not name is wrong, unless it says otherwise."""
    if not isinstance(parameters, dict):
        return ["they must be an object"]
    validator = _compiled(schema_text)
    if validator.is_valid(parameters):
        return []
    if _is_small(parameters):
        return [*_said(validator.iter_errors(parameters))]
    try:
        validator.validate(parameters)
    except ValidationError as error:
        return [f"{_text(error)}; there may be more, which is told of fewer values at once"]
    return []


def _is_small(parameters: Any) -> bool:
    left, waiting = MAX_VALUES_TOLD, [parameters]
    while waiting and left > 0:
        one = waiting.pop()
        left -= 1
        waiting += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
    return left > 0


@lru_cache(256)
def _compiled(schema_text: str) -> Draft202012Validator:
    return _validator(json_value(schema_text))


def _validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    # what nobody thought of must not become the input of a task: a caller may be a model
    strict = {"unevaluatedProperties": False, **schema, "$schema": DRAFT}
    return Draft202012Validator(strict, validate_formats=True, pattern_options=_PATTERNS, offline=True)


def _said(errors: Iterator[ValidationError]) -> Iterator[str]:
    yield from (_text(error) for error in islice(errors, MAX_FAULTS))
    if more := sum(1 for _ in errors):
        yield f"and {more} more"


def _text(error: ValidationError) -> str:
    at = ".".join(str(one) for one in error.instance_path)[:MAX_FAULT]
    said = error.message if len(error.message) <= MAX_FAULT else f"{error.message[:MAX_FAULT]}…"
    return f"{at}: {said}" if at else said


def _unwanted(schema: Mapping[str, Any]) -> Iterator[str]:
    if schema.get("$schema", DRAFT) != DRAFT:
        yield f"$schema must be {DRAFT}, or be left out"
    if schema.get("type", "object") != "object":
        yield "type must be object: parameters have names"


def _keywords(part: Any, *, is_root: bool = True) -> Iterator[str]:
    if isinstance(part, list):
        for one in part:
            yield from _keywords(one, is_root=False)
    if not isinstance(part, dict):
        return
    for name, value in part.items():
        if name == "$ref" and isinstance(value, str) and not value.startswith("#/"):
            yield f"$ref {value[:MAX_FAULT]} must be of the form #/$defs/name: nothing is fetched"
        elif name in _FOREIGN and isinstance(value, str):
            yield f"{name} is not known here; use $ref"
        elif name == "$id" and isinstance(value, str) and not is_root:
            yield "$id may stand at the top alone"
        elif name in _SLOW:
            yield f"{name} is not known here; use additionalProperties or items"
        yield from _keywords(value, is_root=False)


class _Parts:
    """Counts the objects of a schema, each as often as a `$ref` names it. Raises: ValueError, a circle."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._known: dict[str, int] = {}

    def count(self, part: Any, inside: tuple[str, ...]) -> int:
        match part:
            case list():
                return sum(self.count(one, inside) for one in part)
            case dict():
                ref = part.get("$ref")
                named = self._named(ref, inside) if isinstance(ref, str) else 0
                return 1 + named + sum(self.count(one, inside) for one in part.values())
        return 0

    def _named(self, ref: str, inside: tuple[str, ...]) -> int:
        if ref in inside:
            raise ValueError(f"$ref {ref} goes in a circle")
        if len(inside) == _REFS_INSIDE:
            raise ValueError(f"more than {_REFS_INSIDE} $ref lead on to each other")
        if ref not in self._known:
            self._known[ref] = self.count(self._at(ref), (*inside, ref))
        return self._known[ref]

    def _at(self, ref: str) -> Any:
        found: Any = self._schema
        for name in ref.removeprefix("#/").split("/"):
            plain = name.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or plain not in found:
                raise ValueError(f"$ref {ref} names nothing")
            found = found[plain]
        return found
