"""What a list of documents may be asked for: values of filters, ranges, and words; its parameters follow from it."""

from collections.abc import Iterator, Mapping, Sequence
from enum import EnumType
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import ValidationError

from projections.documents import sort_text, words_of
from projections.fields import instant_text
from projections.layout import Documents, Of
from projections.readers import Bounds
from read_api.edge.moments import EXAMPLES, FORMS, MOMENT
from read_api.edge.problems import Fault, Problem, faults, faulty
from read_api.edge.queries import filter_value

_MOST_VALUES = 100
_LONGEST_Q = 200


class Asked(NamedTuple):
    """Which documents a caller asks for.

    Shape: `said` is the question as a cursor is bound to it; `shown` the ranges as they were understood.
    """

    filters: Of
    ranges: Mapping[str, Bounds]
    words: Sequence[str]
    said: Mapping[str, Any]
    shown: Mapping[str, Mapping[str, str | None]]


def asked(layout: Documents, query: Sequence[tuple[str, str]]) -> Asked:
    """Read the parameters of a query that choose documents; others are left alone.

    Raises: Problem, a value cannot be there, a bound is none, or q has no word.
    """
    filters: dict[str, str | tuple[str, ...]] = {}
    for field in layout.filters:
        values = sorted({filter_value(layout, field, value) for name, value in query if name == field})
        if len(values) > _MOST_VALUES:
            raise Problem(400, f"{field} is asked for with {len(values)} values; ask for at most {_MOST_VALUES}")
        if values:
            filters[field] = values[0] if len(values) == 1 else tuple(values)
    texts = dict(query)
    bounds = {name: texts[name] for field in layout.ranges for name in _ends(field) if name in texts}
    shown = dict(_shown(layout, bounds))
    ranges = {field: Bounds(*(sort_text(layout, field, read[end]) for end in read)) for field, read in shown.items()}
    for field, (first, end) in ranges.items():
        if first and end and first >= end:
            raise Problem(400, " must be less than ".join(_ends(field)))
    words = _words(texts["q"]) if "q" in texts else ()
    # as before there were ranges and words, where none are asked for: pages that were begun then go on
    said = {"filters": filters, **({"ranges": bounds} if bounds else {}), **({"q": words} if words else {})}
    return Asked(filters, ranges, words, said, shown)


def _shown(layout: Documents, bounds: Mapping[str, str]) -> Iterator[tuple[str, Mapping[str, str | None]]]:
    for field in layout.ranges:
        first, end = (_bound(layout, field, name, bounds[name]) if name in bounds else None for name in _ends(field))
        if first or end:
            yield field, {"from": first, "before": end}


def _bound(layout: Documents, field: str, name: str, text: str) -> str:
    """Return a bound as the field is written in documents."""
    if field in layout.instants:
        try:
            return instant_text(MOMENT.validate_python(text))
        except ValidationError as error:
            raise faulty([fault._replace(where=f"query.{name}") for fault in faults(error)]) from None
    try:
        sort_text(layout, field, text)
    except TypeError:
        raise faulty([Fault(f"query.{name}", "must be a number like 100 or -2.50")]) from None
    return text


def _words(q: str) -> Sequence[str]:
    words = words_of([q])
    if len(q) > _LONGEST_Q or not words:
        raise Problem(400, f"q must have a word of letters or digits, and at most {_LONGEST_Q} characters")
    return words


def _ends(field: str) -> tuple[str, str]:
    return f"{field}_from", f"{field}_before"


def parameters(layout: Documents) -> Sequence[Mapping[str, Any]]:
    """Return the OpenAPI parameters that `asked` reads."""
    return [*_filters(layout), *_ranges(layout), *([_q(layout)] if layout.search else [])]


def _filters(layout: Documents) -> Iterator[Mapping[str, Any]]:
    for field in layout.filters:
        item: dict[str, Any] = {"type": "string"}
        wanted = layout.values.get(field)
        if isinstance(wanted, EnumType):
            members: Mapping[str, Any] = wanted.__members__
            item["enum"] = [str(member.value) for member in members.values()]
        elif get_origin(wanted) is Literal:
            item["enum"] = list(get_args(wanted))
        yield {
            "name": field,
            "in": "query",
            "required": False,
            "description": f"this {field}; given several times, any of them",
            "schema": {"type": "array", "items": item},
        }


def _ranges(layout: Documents) -> Iterator[Mapping[str, Any]]:
    for field in layout.ranges:
        is_instant = field in layout.instants
        what = FORMS if is_instant else "a number"
        for name, meant in zip(_ends(field), ("this or greater", "less than this"), strict=True):
            yield {
                "name": name,
                "in": "query",
                "required": False,
                "description": f"{field} is {meant}: {what}",
                "schema": {"type": "string"},
                "examples": EXAMPLES if is_instant else {"a number": {"value": "100.00"}},
            }


def _q(layout: Documents) -> Mapping[str, Any]:
    return {
        "name": "q",
        "in": "query",
        "required": False,
        "description": f"all of these words are in id, {', '.join(layout.search)}, without regard to case and accents",
        "schema": {"type": "string", "maxLength": _LONGEST_Q},
    }
