"""These are the commands of the workers that follow the log, such as `factline worker timeline`."""

import logging
import sys
from collections.abc import Callable
from typing import NoReturn

import click

from infra.cli.told import told
from infra.settings import Settings
from infra.workers.status import Address
from infra.workers.supervisor import supervise
from projections.rows import Role

_HOST = click.option(
    "--status-host",
    envvar="FACTLINE_STATUS_HOST",
    default="127.0.0.1",
    show_default=True,
    help="The address on which /ready and /metrics answer; 0.0.0.0 for all of this machine.",
)
_PORT = click.option(
    "--status-port",
    type=click.IntRange(0, 65535),
    envvar="FACTLINE_STATUS_PORT",
    default=0,
    help="Where /ready and /metrics are, of the second process on the next port, and so on; any free port where it is"
    " left out.",
)
_SUPERVISE = click.option(
    "--supervise", "supervised", is_flag=True, help="Start the worker again when it ends by itself."
)
_PROCESSES = click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="How many processes of it run here; with more than one they are supervised.",
)


def running_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a worker's command be told in how many processes it runs, and where these say how they are."""
    return _SUPERVISE(_PROCESSES(_HOST(_PORT(command))))


def end_supervised(name: str, status: Address, processes: int) -> NoReturn:
    """Run a worker as processes that are started again when they end by themselves; end with their exit status."""
    run = [sys.executable, "-m", "infra.cli.main", "worker", name, "--status-host", status.host, "--status-port"]
    sys.exit(supervise(*([*run, str(status.port + number if status.port else 0)] for number in range(processes))))


Work = Callable[[Settings, Address], None]
"""Works until SIGTERM; it is told where to say how it is. The drivers come with an extra: it imports them."""


def projector(role: Role) -> click.Command:
    """Return the command of one role."""

    def work(settings: Settings, status: Address) -> None:
        from infra.stores import open_stores  # noqa: PLC0415
        from infra.workers.projector import project  # noqa: PLC0415, the drivers come with an extra

        project(role, settings, open_stores=open_stores, status=status)

    return follower(role.value, f"Keep the views of the {role.value} store up to date with the log.", work)


def _correlate(settings: Settings, status: Address) -> None:
    from infra.workers.correlator import correlate  # noqa: PLC0415, the drivers come with an extra

    correlate(settings, status=status)


def follower(name: str, what: str, work: Work) -> click.Command:
    """Return the command of a worker that follows the log."""

    @click.command(
        name,
        help=f"""{what}

        Any number may run: they share the partitions. A process that met what it does not know ends with status 70 and
        goes on, started again, where it was: `--supervise` does that where nothing else does.

        \b
        factline worker {name} --supervise
        factline worker {name} --processes 4
        factline worker {name} --status-host 0.0.0.0 --status-port 9100    # then GET :9100/ready, :9100/metrics
        """,
    )
    @running_options
    def command(*, supervised: bool, processes: int, status_host: str, status_port: int) -> None:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
        for library in ("aiokafka", "faust"):
            # they tell each step of a rebalance, with all partitions
            logging.getLogger(library).setLevel(logging.WARNING)
        if supervised or processes > 1:
            end_supervised(name, Address(status_host, status_port), processes)
        with told():
            from infra.kafka.connection import SparingEach  # noqa: PLC0415, the drivers come with an extra

            for handler in logging.getLogger().handlers:
                # while the broker is away it says so fifty times a second
                handler.addFilter(SparingEach("aiokafka"))
            work(Settings.from_environment(), Address(status_host, status_port))

    return command


COMMANDS = (
    *(projector(role) for role in Role),
    follower(
        "correlate",
        "Look at what devices report through the watches of their tenants; raise and resolve alerts.",
        _correlate,
    ),
)
