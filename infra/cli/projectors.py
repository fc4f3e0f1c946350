"""These are the commands of the workers that follow the log, such as `factline worker timeline`."""

import logging
import sys
from collections.abc import Callable

import click

from infra.cli.told import told
from infra.settings import Settings
from infra.workers.supervisor import supervise
from projections.rows import Role

Work = Callable[[Settings, int], None]
"""Works until SIGTERM; it is told where to say how it is. The drivers come with an extra: it imports them."""


def projector(role: Role) -> click.Command:
    """Return the command of one role."""

    def work(settings: Settings, status_port: int) -> None:
        from infra.stores import open_stores  # noqa: PLC0415
        from infra.workers.projector import project  # noqa: PLC0415, the drivers come with an extra

        project(role, settings, open_stores=open_stores, status_port=status_port)

    return follower(role.value, f"Keep the views of the {role.value} store up to date with the log.", work)


def _correlate(settings: Settings, status_port: int) -> None:
    from infra.workers.correlator import correlate  # noqa: PLC0415, the drivers come with an extra

    correlate(settings, status_port=status_port)


def follower(name: str, what: str, work: Work) -> click.Command:
    """Return the command of a worker that follows the log."""

    @click.command(
        name,
        help=f"""{what}

        Any number may run: they share the partitions. A process that met what it does not know ends with status 70 and
        goes on, started again, where it was: `--supervise` does that where nothing else does.

        \b
        factline worker {name} --supervise
        """,
    )
    @click.option("--supervise", "supervised", is_flag=True, help="Start the worker again when it ends by itself.")
    @click.option(
        "--status-port",
        type=click.IntRange(0, 65535),
        envvar="FACTLINE_STATUS_PORT",
        default=0,
        help="Where /ready and /metrics are on 127.0.0.1; any free port where it is left out.",
    )
    def command(*, supervised: bool, status_port: int) -> None:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
        for library in ("aiokafka", "faust"):
            # they tell each step of a rebalance, with all partitions
            logging.getLogger(library).setLevel(logging.WARNING)
        if supervised:
            again = ["worker", name, "--status-port", str(status_port)]
            sys.exit(supervise([sys.executable, "-m", "infra.cli.main", *again]))
        with told():
            from infra.kafka.connection import SparingEach  # noqa: PLC0415, the drivers come with an extra

            for handler in logging.getLogger().handlers:
                # while the broker is away it says so fifty times a second
                handler.addFilter(SparingEach("aiokafka"))
            work(Settings.from_environment(), status_port)

    return command


COMMANDS = (
    *(projector(role) for role in Role),
    follower(
        "correlate",
        "Look at what devices report through the watches of their tenants; raise and resolve alerts.",
        _correlate,
    ),
)
