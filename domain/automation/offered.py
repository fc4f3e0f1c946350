"""A model is offered tools under names and in words that every provider takes."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any

from domain.automation.tool import Tool
from domain.message import value
from schemas.json_text import MAX_DEPTH, json_text, json_value

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_NAME = 64
_LONGEST_DESCRIPTION = 4_000


@value
class Offered:
    """Shape: `name` is what the model calls the tool, `parameters` a JSON Schema."""

    tool_id: str
    name: str
    description: str
    parameters: Mapping[str, Any]


def offered(tools: Iterable[tuple[str, Tool]]) -> Sequence[Offered]:
    """Return what a model is told of tools. Shape: a name is the tool's id, changed where providers refuse it."""
    found: dict[str, Offered] = {}
    for id_, tool in tools:
        name = plain = _NOT_IN_NAMES.sub("_", id_)[:_LONGEST_NAME]
        for number in count(2):
            if name not in found:
                break
            more = f"_{number}"
            name = f"{plain[: _LONGEST_NAME - len(more)]}{more}"
        about = f"{tool.name}. {tool.description}" if tool.description else tool.name
        found[name] = Offered(
            tool_id=id_, name=name, description=about[:_LONGEST_DESCRIPTION], parameters=json_value(tool.parameters)
        )
    return [*found.values()]


def offered_text(tools: Sequence[Offered]) -> str:
    """Return them as JSON, as events keep them. Raises: ValueError, they are too large."""
    return json_text([{"tool_id": tool.tool_id, **shown(tool)} for tool in tools], depth=2 * MAX_DEPTH)


def offered_of(text: str) -> Sequence[Offered]:
    return [Offered(**tool) for tool in json_value(text)]


def shown(tool: Offered) -> Mapping[str, Any]:
    """Return a tool as the input of chat.complete has it."""
    return {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
