"""How much one answer may become: counted while it is made, and of rows before they are read."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLResolveInfo,
    MiddlewareManager,
    SelectionSetNode,
    get_named_type,
    is_leaf_type,
)

from read_api.edge.problems import Problem
from read_api.edge.responses import to_json

MOST_VALUES = 16_000
"""Rows times the fields of a row, of all lists of one request: what is made in one piece on the event loop."""

MOST_ANSWERED = 40_000
MOST_BYTES = 8 * 1024 * 1024
MOST_REFUSALS = 100

# each is awaited by itself: as long as ten values
_OF_AN_OBJECT = 10
_OF_ROWS = frozenset({"nodes", "edges", "points"})
_PLAIN = frozenset({*_OF_ROWS, "node", "pageInfo", "window"})
_OF_A_NUMBER = 24


class Meter:
    """Of one answer. Shape: `stopped` says why there is to be none, and from then on every field is null at once."""

    def __init__(self) -> None:
        self.stopped: Problem | None = None
        self._fields = self._bytes = self._refusals = 0

    def field(self, info: GraphQLResolveInfo[Any]) -> None:
        self._fields += 1
        self._bytes += len(str(info.path.key))
        self._check_bytes()
        if self._fields > MOST_ANSWERED:
            self._stop(f"the answer would have more than {MOST_ANSWERED:,} fields")

    def value(self, value: Any, info: GraphQLResolveInfo[Any]) -> None:
        if isinstance(value, str):
            self._bytes += len(value) if value.isascii() else len(value.encode(errors="replace"))
        elif isinstance(value, Mapping | list | tuple) and is_leaf_type(get_named_type(info.return_type)):
            self._bytes += len(to_json(value))
        else:
            self._bytes += _OF_A_NUMBER
        self._check_bytes()

    def _check_bytes(self) -> None:
        if self._bytes > MOST_BYTES:
            self._stop(f"the answer would have more than {MOST_BYTES // 1024**2} MiB")

    def refusal(self, error: Exception, info: GraphQLResolveInfo[Any]) -> None:
        self._refusals += 1
        # what it says is said twice: by GraphQL's error and by the problem
        self._bytes += 2 * len(str(error)) + sum(len(str(name)) for name in info.path.as_list())
        self._check_bytes()
        if self._refusals > MOST_REFUSALS:
            self._stop(f"more than {MOST_REFUSALS} parts of the answer are refused")

    def _stop(self, why: str) -> None:
        self.stopped = self.stopped or Problem(422, f"{why}; ask for fewer rows or fields, and for each field once")


class _Metered(Protocol):
    meter: Meter


def _counted(next_: Callable[..., Any], root: Any, info: GraphQLResolveInfo[_Metered], **asked: Any) -> Any:
    meter = info.context.meter
    meter.field(info)
    if meter.stopped:
        return None
    try:
        found = next_(root, info, **asked)
    except Exception as error:
        meter.refusal(error, info)
        raise
    if info.is_awaitable(found):
        return _watched(meter, found, info)
    meter.value(found, info)
    return None if meter.stopped else found


async def _watched(meter: Meter, found: Awaitable[Any], info: GraphQLResolveInfo[Any]) -> Any:
    try:
        return await found
    except Exception as error:
        meter.refusal(error, info)
        if meter.stopped:
            return None
        raise


COUNTED = MiddlewareManager(_counted)


def values_of_row(info: GraphQLResolveInfo[Any]) -> int:
    """Return what a row of this list comes to: each field is one, under each of its names, and a thing ten."""
    sets = [node.selection_set for node in info.field_nodes if node.selection_set]
    return sum(_values(of, info.fragments, is_row=False) for of in sets)


def _values(of: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode], *, is_row: bool) -> int:
    values = 0
    for one in of.selections:
        if isinstance(one, FragmentSpreadNode):
            values += _values(fragments[one.name.value].selection_set, fragments, is_row=is_row)
        elif not isinstance(one, FieldNode):
            values += _values(one.selection_set, fragments, is_row=is_row)  # type: ignore[attr-defined]
        elif is_row or one.name.value in _OF_ROWS:
            values += 1 if one.selection_set is None or one.name.value in _PLAIN else _OF_AN_OBJECT
            if one.selection_set is not None:
                values += _values(one.selection_set, fragments, is_row=True)
    return values
