"""Answers are shown as a table for people, or as JSON for programs."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Column, Table

from infra.cli.options import F

# what is piped has all of a line, however long
OUT = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 500)

json_option: Callable[[F], F] = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


_WANTED = "factline.json"


def _keep(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click calls it
    ctx.meta[_WANTED] = value


json_summary: Callable[[F], F] = click.option(
    "--json", is_flag=True, expose_value=False, callback=_keep, help="Print the counts as JSON, for programs."
)


def wants_json() -> bool:
    """Return whether a command that has the option `json_summary` was called with it."""
    ctx = click.get_current_context(silent=True)
    return bool(ctx and ctx.meta.get(_WANTED))


def print_json(answer: Any) -> None:
    click.echo(json.dumps(answer, ensure_ascii=False, indent=2, default=str))


def print_line(answer: Any) -> None:
    """Print JSON as one line of many."""
    click.echo(json.dumps(answer, ensure_ascii=False, separators=(",", ":"), default=str))


def table_of(*names: str) -> Table:
    # in a narrow terminal names go on in the next line: half of one is of no use
    return Table(*(Column(name, overflow="fold") for name in names), box=None)


def print_rows(rows: Sequence[Mapping[str, Any]], names: Sequence[str] = ()) -> None:
    """Print rows as a table of these columns, or of all that they have."""
    columns = list(names) or list(dict.fromkeys(name for row in rows for name in row))
    table = table_of(*columns)
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in columns))
    OUT.print(table if rows else "nothing is there", markup=False, highlight=False)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
