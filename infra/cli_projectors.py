"""`factline worker timeline | analytics | documents`: the processes that keep the views up to date."""

import logging
import sys

import click

from infra.settings import Settings
from infra.supervisor import supervise
from projections.ports import Role


def projector(role: Role) -> click.Command:
    """Return the command of one role."""

    @click.command(
        role.value,
        help=f"""Keep the views of the {role.value} store up to date with the log.

        Any number may run: they share the partitions. A process that met what it does not know ends with status 70 and
        goes on, started again, where it was: `--supervise` does that where nothing else does.

        \b
        factline worker {role.value} --supervise
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
            again = ["worker", role.value, "--status-port", str(status_port)]
            sys.exit(supervise([sys.executable, "-m", "infra.cli", *again]))
        from infra.cli_worker import told  # noqa: PLC0415, it holds the group that this command is in

        with told():
            from infra.projector import project  # noqa: PLC0415, the drivers come with an extra
            from infra.projector_stores import open_stores  # noqa: PLC0415

            project(role, Settings.from_environment(), open_stores=open_stores, status_port=status_port)

    return command


COMMANDS = tuple(projector(role) for role in Role)
