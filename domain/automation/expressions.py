"""Conditions and transforms are written in CEL; what one may cost is known before it is evaluated.

Source: the Common Expression Language, https://github.com/google/cel-spec.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import cel
from pydantic import StringConstraints

from schemas.json_text import json_text, json_value

Expression = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]

VARIABLES = ("input", "nodes", "output", "item", "index")
"""What an expression may name: the execution's input, the nodes before, a node's own output, and an item of a list."""

MAX_STEPS = 1_000_000
"""What one evaluation may cost; the library needs 0.2 s for it at most, in which the writer does nothing else."""

_FUNCTIONS = frozenset(
    {"size", "contains", "startsWith", "endsWith", "matches", "int", "uint", "double", "string", "bool", "type"}
    | {"timestamp", "duration", "getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"}
    | {"getHours", "getMinutes", "getSeconds"}
)
_LOOPS = "map|filter|all|exists|exists_one|existsOne"
_TEXT = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'")
_FOREIGN = re.compile(r"[rRbB]+[\"']|\"\"\"|'''|//|`")
_LOOP = re.compile(rf"\.\s*(?:{_LOOPS})\s*\(")
_NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_NODE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_TEXT_STEP = 64  # so many bytes of a text cost as much as one value


class BadExpression(ValueError):  # noqa: N818
    """The text is no expression, or names what there is not; a retry gives the same answer."""


class NoValue(ValueError):  # noqa: N818
    """The expression has no value here, or one that is no JSON; the message says why, a retry gives the same answer."""


class _Loop(NamedTuple):
    """What a loop does for each item: how often it names the item, and how often a variable of the whole."""

    name: str
    items: int
    variables: int


class _Compiled(NamedTuple):
    program: cel.Program
    loops: tuple[_Loop, ...]
    variables: int
    names: frozenset[str]


def check(text: str, *names: str, among: tuple[str, ...] = VARIABLES) -> None:
    """Do nothing where a text is an expression about these variables. Raises: BadExpression.

    Shape: `among` are those of its kind; an item of a loop cannot be called like one of them.
    """
    if unknown := _compiled(text, among).names - {*names}:
        raise BadExpression(f"{min(unknown)} is not known here; there are {', '.join(names)}")


@lru_cache(4_096)
def mentioned(text: str) -> frozenset[str]:
    """Return the names that can mean a node in an expression: only these nodes are given to it."""
    return frozenset(_NODE.findall(text)) | frozenset(_NAME.findall(text.replace(".", " ")))


def evaluate(text: str, variables: Mapping[str, Any], among: tuple[str, ...] = VARIABLES) -> Any:
    """Return the JSON value of an expression. Raises: BadExpression; NoValue."""
    compiled = _compiled(text, among)
    if compiled.loops:
        _check_cost(compiled, variables)
    try:
        with _no_panic():
            found = compiled.program.execute(dict(variables))
    except KeyError as error:
        raise NoValue(f"there is no {error}") from error
    except Exception as error:
        raise NoValue(str(error)) from error
    try:
        return json_value(json_text(_plain(found)))
    except ValueError as error:
        raise NoValue(f"the value {error}") from error


@lru_cache(4_096)
def _compiled(text: str, among: tuple[str, ...]) -> _Compiled:
    bare = _TEXT.sub('""', text)
    if foreign := _FOREIGN.search(bare):
        raise BadExpression(f"{foreign.group()} is not known here: neither comments nor raw or long texts are")
    try:
        with _no_panic():
            program = cel.compile(text)
    except ValueError as error:
        raise BadExpression(str(error).partition("\n")[0]) from error
    functions = {name for name in program.functions() if name[0].isalpha()}
    if unknown := functions - _FUNCTIONS:
        raise BadExpression(f"there is no function {min(unknown)}")
    loops = tuple(_loops(bare, among))
    bound = {loop.name for loop in loops}
    if bound & {*among}:
        raise BadExpression(f"an item cannot be called {min(bound & {*among})}")
    return _Compiled(program, loops, _count(bare, *among), frozenset(program.variables()) - bound)


@contextmanager
def _no_panic() -> Iterator[None]:
    """Make an error of what the library fails on inside: its own is no Exception, and would end the writer."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError("the library failed on it") from error


def _loops(bare: str, among: tuple[str, ...]) -> Iterator[_Loop]:
    for found in _LOOP.finditer(bare):
        name, _, body = _inside(bare, found.end()).partition(",")
        yield _Loop(name.strip(), _count(body, name.strip()), _count(body, *among))


def _inside(bare: str, start: int) -> str:
    """Return what stands in the brackets that were opened before `start`."""
    depth = 1
    for at in range(start, len(bare)):
        depth += {"(": 1, ")": -1}.get(bare[at], 0)
        if not depth:
            return bare[start:at]
    return bare[start:]


def _count(bare: str, *names: str) -> int:
    return sum(found.group() in names for found in _NAME.finditer(bare))


def _check_cost(compiled: _Compiled, variables: Mapping[str, Any]) -> None:
    """Raises: NoValue, the evaluation could take too long.

    What is given is touched as often as the expression names it. A loop does so again for each item where it names a
    variable of the whole, and as often as it names its item otherwise: loops inside and behind each other multiply.
    The library copies what a loop has found so far with every item, which is once more the length of the list.
    """
    values, longest = _size(variables)
    named = max(1, compiled.variables)
    longest *= named
    steps = values * named * max(1, longest) * len(compiled.loops)
    for loop in compiled.loops:
        steps *= max(1, loop.items + longest * loop.variables)
    if steps > MAX_STEPS:
        raise NoValue(f"it could take {steps} steps, more than {MAX_STEPS}; give it less, or loop over less")


def _size(value: Any) -> tuple[int, int]:
    """Return how many values a value has, and how many the longest list or object in it."""
    match value:
        case str():
            return 1 + len(value) // _TEXT_STEP, 0
        case list() | dict():
            inner = [_size(one) for one in (value.values() if isinstance(value, dict) else value)]
            return 1 + sum(one[0] for one in inner), max([len(value), *(one[1] for one in inner)])
    return 1, 0


def _plain(found: Any) -> Any:
    match found:
        case datetime():
            return found.isoformat().replace("+00:00", "Z")
        case timedelta():
            return found.total_seconds()
        case list():
            return [_plain(one) for one in found]
        case dict():
            return {name: _plain(one) for name, one in found.items()}
    return found
