"""Long work on the command line says how far it is, how fast it goes, and how much longer it takes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from streams.project.step import Step

OnStep = Callable[[Step], None]

ERR = Console(stderr=True)


@contextmanager
def progress(what: str, unit: str) -> Iterator[OnStep]:
    """Yield what is to be told how far the work is. Units: a step's are `unit`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal) as bar:
        task = bar.add_task(what, total=None, rate="")

        def on_step(step: Step) -> None:
            speed = bar.tasks[task].speed
            rate = f"{speed:,.0f} {unit}/s" if speed else ""
            bar.update(task, completed=step.done, total=step.total, rate=rate)

        yield on_step
