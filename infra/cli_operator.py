"""`factline projections`, `verify`, `dead-letters`, `tenants`: what an operator does, with progress bars."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from infra.operator import Failed, Operator, operator_of
from streams.rebuild import Step

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="DATA_DIR",
    default="data",
    show_default=True,
    help="Where the log and the views are kept; a server that has it open is asked through its API.",
)

_OUT = Console(soft_wrap=True)
_ERR = Console(stderr=True)


@contextmanager
def _operator(data_dir: Path) -> Iterator[Operator]:
    try:
        with operator_of(data_dir) as operator:
            yield operator
    except Failed as failed:
        _ERR.print(f"factline: {failed}", style="red", highlight=False)
        sys.exit(2)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[Step], None]]:
    """Show a long job: how far, how fast, how much longer."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_ERR, transient=True) as progress:
        task = progress.add_task(what, total=None, rate="")

        def on_step(step: Step) -> None:
            speed = progress.tasks[task].speed
            rate = f"{speed:,.0f} events/s" if speed else ""
            progress.update(task, completed=step.done, total=step.total, rate=rate)

        yield on_step


@click.group()
def projections() -> None:
    """Look at the views and build them anew."""


@projections.command("list")
@data_dir_option
def list_projections(data_dir: Path) -> None:
    """Show every projection: its live table, its state, how far it is behind.

    \b
    factline projections list
    """
    with _operator(data_dir) as operator:
        table = Table("projection", "role", "live", "state", "behind", "seconds", "parked", box=None)
        for row in operator.projections():
            state = row["state"] + (f": {row['error']}" if row["error"] else "")
            numbers = (f"{row['lag_events']:,}", f"{row['lag_s']:.1f}", str(row["parked"]))
            table.add_row(row["projection"], row["role"], row["live"] or "none", state, *numbers)
        _OUT.print(table)


@projections.command()
@click.argument("name")
@data_dir_option
def rebuild(name: str, data_dir: Path) -> None:
    """Build a view anew from the log, beside the live one, and switch to it.

    \b
    factline projections rebuild devices
    """
    with _operator(data_dir) as operator, _progress(f"rebuilding {name}") as on_step:
        built = operator.rebuild(name, on_step)
    _OUT.print(f"{name} is now answered from {built}", highlight=False)


@click.command()
@click.argument("names", nargs=-1)
@data_dir_option
def verify(names: tuple[str, ...], data_dir: Path) -> None:
    """Fold the log and compare every view with it, row by row; exit status 1 where one differs.

    \b
    factline verify
    factline verify invoices invoice_facts
    """
    differs = False
    with _operator(data_dir) as operator:
        for name in names or [row["projection"] for row in operator.projections()]:
            with _progress(f"verifying {name}") as on_step:
                verdict = operator.verify(name, on_step)
            differs |= bool(verdict["differences"])
            _print_verdict(verdict)
    sys.exit(1 if differs else 0)


def _print_verdict(verdict: dict[str, Any]) -> None:
    parked = f", {verdict['parked']:,} records parked" if verdict["parked"] else ""
    said = f"{verdict['differences']:,} differences" if verdict["differences"] else "no difference"
    _OUT.print(f"{verdict['view']}: {verdict['rows']:,} rows, {said}{parked}", highlight=False)
    for example in verdict["examples"]:
        _OUT.print(f"  {example['tenant_id']} {example['key']}", markup=False, highlight=False)
        _OUT.print(f"    the log says {example['expected']}", markup=False, highlight=False)
        _OUT.print(f"    the view has {example['found']}", markup=False, highlight=False)


@click.group("dead-letters")
def dead_letters() -> None:
    """Look at the records that a view could not take, try them again, or go on without them."""


@dead_letters.command("list")
@data_dir_option
def list_dead_letters(data_dir: Path) -> None:
    """Show what is parked, and why.

    \b
    factline dead-letters list
    """
    with _operator(data_dir) as operator:
        table = Table("view", "tenant", "stream", "type", "position", "tries", "reason", box=None)
        for letter in operator.dead_letters():
            place = f"{letter['topic']}/{letter['partition']}/{letter['position']}"
            names = (letter["view"], letter["tenant_id"], letter["stream"], letter["type"])
            table.add_row(*names, place, str(letter["attempts"]), letter["reason"])
        _OUT.print(table if table.row_count else "nothing is parked")


@dead_letters.command()
@click.argument("name")
@data_dir_option
def retry(name: str, data_dir: Path) -> None:
    """Try a projection's parked records again; exit status 1 where some still fail.

    \b
    factline dead-letters retry devices
    """
    with _operator(data_dir) as operator:
        retried = operator.retry(name)
    _OUT.print(f"{retried['taken']:,} taken, {retried['still_parked']:,} still parked", highlight=False)
    sys.exit(1 if retried["still_parked"] else 0)


@dead_letters.command()
@click.argument("name")
@click.confirmation_option(prompt="The view will never show what these records say. Go on without them?")
@data_dir_option
def discard(name: str, data_dir: Path) -> None:
    """Forget a projection's parked records; they stay in the log, and a rebuild tries them again.

    \b
    factline dead-letters discard devices --yes
    """
    with _operator(data_dir) as operator:
        _OUT.print(f"{operator.discard(name)['discarded']:,} discarded", highlight=False)


@click.group()
def tenants() -> None:
    """Register tenants."""


@tenants.command()
@click.argument("tenant_id")
@click.option("--name", help="What people call it; the id where it is left out.")
@data_dir_option
def add(tenant_id: str, name: str | None, data_dir: Path) -> None:
    """Register a tenant and print its first API key, this once.

    \b
    factline tenants add acme --name "Acme Ltd"
    """
    with _operator(data_dir) as operator:
        _OUT.print(operator.add_tenant(tenant_id, name or tenant_id), markup=False, highlight=False)
