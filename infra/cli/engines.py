"""`factline engines` starts and stops real engines on this machine, without Docker."""

import fcntl
import shlex
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import ModuleType

import click
import psutil
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from infra.cli.groups import Suggesting
from infra.engines.engine import Engine, EngineFailed
from infra.engines.java import ToolMissing

NAMES = ("kafka", "cassandra", "mongo", "redis", "registry", "clickhouse")
WATCH_S = 0.5
LOG_LINES = 200

console = Console()
directory_option = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".engines"),
    show_default=True,
    help="Where data, logs and engines.json are kept.",
)


@click.group(cls=Suggesting)
def engines() -> None:
    """Start and stop the engines of the distributed profile, for tests and trials.

    Kafka, Cassandra, MongoDB, Redis, a schema registry and a stand-in for ClickHouse: Java 17, Maven and redis-server
    are needed. `clickhouse` is the real engine (chDB) behind a thin HTTP front of ours, not a server.
    """


@engines.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option("--detach", is_flag=True, help="Leave them running; `down` stops them.")
@directory_option
def up(names: Sequence[str], directory: Path, *, detach: bool) -> None:
    """Start engines, all if none is named, and stop them again on Ctrl-C."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with _told(), ExitStack() as undo:
        chosen = _engines(directory, names)
        started: list[Engine] = []
        undo.callback(_stop, directory, started)
        with _locked(directory):
            _start(chosen, started, detach=detach)
            _catalog().write_addresses(directory)
        _show(chosen)
        if detach or not started:
            undo.pop_all()
            return
        with suppress(KeyboardInterrupt):
            console.print("Ctrl-C stops them")
            _watch(started)


@engines.command()
@directory_option
def status(directory: Path) -> None:
    """Show which engines run, and where."""
    with _told():
        _show(_engines(directory))


@engines.command()
@directory_option
def env(directory: Path) -> None:
    """Print the settings with which factline works on the engines that run, for a shell.

    \b
    eval "$(factline engines env)"
    """
    with _told():
        running = [engine for engine in _engines(directory).values() if engine.pid]
        # what has the engines' addresses is meant for the profile that works on them
        for variable, value in {"FACTLINE_PROFILE": "distributed", **_catalog().environment(running)}.items():
            click.echo(f"export {variable}={shlex.quote(value)}")
        if any(engine.name == "kafka" for engine in running):
            # `factline migrate` makes it, with the log that these engines hold
            click.echo(f"export FACTLINE_MASTER_KEY_FILE={shlex.quote(str(directory.absolute() / 'master.key'))}")


@engines.command()
@click.argument("name", type=click.Choice(NAMES))
@directory_option
def logs(name: str, directory: Path) -> None:
    """Print the end of an engine's log."""
    with _told():
        engine = _engines(directory, [name])[name]
        if not engine.log.exists():
            raise click.ClickException(f"{name} has no log in {directory}: start it with `factline engines up {name}`")
        click.echo(engine.log_tail(LOG_LINES))


@engines.command()
@directory_option
def down(directory: Path) -> None:
    """Stop all engines that run; the data stays."""
    with _told():
        running = [engine for engine in _engines(directory).values() if engine.pid]
        if directory.exists():
            with _locked(directory):
                _stop(directory, running)
        console.print(f"stopped: {', '.join(engine.name for engine in running) or 'nothing was running'}")


def _start(chosen: Mapping[str, Engine], started: list[Engine], *, detach: bool) -> None:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        waiting: dict[str, TaskID] = {}
        for name, engine in chosen.items():
            waiting[name] = progress.add_task(f"{name}: preparing", total=1)
            if engine.pid is None:
                started.append(engine)
                engine.launch(detach=detach)
            progress.update(waiting[name], description=f"{name}: starting")
        for name, task in waiting.items():
            chosen[name].wait_ready()
            progress.update(task, description=f"{name}: ready", completed=1)


def _stop(directory: Path, running: Sequence[Engine]) -> None:
    for engine in running:
        engine.terminate()
    for engine in running:
        engine.stop()
    _catalog().write_addresses(directory)


def _watch(started: Sequence[Engine]) -> None:
    while True:
        for engine in started:
            if engine.pid is None:
                raise click.ClickException(f"{engine.name} has ended; the end of {engine.log}:\n{engine.log_tail()}")
        time.sleep(WATCH_S)


def _show(chosen: Mapping[str, Engine]) -> None:
    table = Table("engine", "state", "pid", "memory", "address", box=None)
    for name, engine in chosen.items():
        if pid := engine.pid:
            state = "ready" if engine.ready() else "gives no answer"
            address = " ".join(str(part) for part in engine.address.values())
            table.add_row(name, state, str(pid), f"{psutil.Process(pid).memory_info().rss >> 20} MB", address)
        else:
            table.add_row(name, "stopped")
    console.print(table)


def _engines(directory: Path, names: Sequence[str] = ()) -> Mapping[str, Engine]:
    known: Mapping[str, Engine] = _catalog().engines(directory)
    return {name: known[name] for name in names or NAMES}


def _catalog() -> ModuleType:
    try:
        from infra.engines import catalog  # noqa: PLC0415, the drivers come with an extra
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is missing: pip install 'factline[distributed,engines]'") from None
    return catalog


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Let one launcher at a time start or stop engines in a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _told() -> Iterator[None]:
    """Say what is wrong without a traceback."""
    try:
        yield
    except (EngineFailed, ToolMissing) as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    engines()
