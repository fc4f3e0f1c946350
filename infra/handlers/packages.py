"""Handlers of other packages are found here: an entry point of the group `factline.handlers` names a kind of task."""

import inspect
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import TypeAdapter, ValidationError

from domain.operations.task import TaskKind
from factline.calling import called
from factline.worker import Handler as Written
from factline.worker import Task
from infra.handlers.web import Handler

GROUP = "factline.handlers"

_KIND: TypeAdapter[str] = TypeAdapter(TaskKind)


class BadHandler(ValueError):  # noqa: N818
    """A handler of a package cannot be used; the message says which one, and why. A retry gives the same answer."""


def kinds_of_packages() -> Sequence[str]:
    """Return the kinds for which some installed package has a handler."""
    return sorted(_of_kinds())


def handler_of_package(kind: str) -> Handler:
    """Return the handler of a kind. Raises: BadHandler, there is none, there are several, or it does not load."""
    found = _of_kinds().get(kind, [])
    if not found:
        raise BadHandler(f"no installed package has a handler for {kind}")
    if len(found) > 1:
        raise BadHandler(f"{kind} has several handlers: {'; '.join(map(_named, found))}; uninstall all but one")
    [point] = found
    try:
        _KIND.validate_python(kind)
    except ValidationError:
        raise BadHandler(f"{_named(point)}: {kind!r} is no kind; they look like shop.stock") from None
    try:
        function = point.load()
    except (Exception, SystemExit) as error:
        # whatever a package does when it is imported
        raise BadHandler(f"{_named(point)} cannot be loaded: {type(error).__name__}: {error}") from error
    if not callable(function) or not _takes_a_task(function):
        raise BadHandler(f"{_named(point)} is no function of one task, like `async def stock(task: Task)`")
    return _handler(function)


def _of_kinds() -> Mapping[str, Sequence[EntryPoint]]:
    found: defaultdict[str, list[EntryPoint]] = defaultdict(list)
    for point in entry_points(group=GROUP):
        # a folder that is on the path twice names its packages twice
        if point not in found[point.name]:
            found[point.name].append(point)
    return found


def _takes_a_task(function: Any) -> bool:
    try:
        inspect.signature(function).bind(None)
    except (TypeError, ValueError):
        return False
    return not inspect.isclass(function)


def _handler(function: Written) -> Handler:
    async def handle(task: Task) -> Any:
        return await called(function, task)

    return handle


def _named(point: EntryPoint) -> str:
    of = f" of {point.dist.name} {point.dist.version}" if point.dist else ""
    return f"the handler {point.value}{of}"
