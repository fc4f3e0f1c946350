"""`factline migrate` makes a cluster ready, and `factline worker` runs the processes that work on it."""

import logging
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from infra.cli.groups import Suggesting
from infra.cli.projectors import COMMANDS, end_supervised, running_options
from infra.cli.task_worker import tasks
from infra.cli.told import told
from infra.collector import settle_collector
from infra.release import check_release
from infra.settings import Settings
from infra.workers.command_status import CommandStatus
from infra.workers.status import Address, served
from projections.credentials import RateLimits
from projections.stores import StoreUnavailable

if TYPE_CHECKING:
    from infra.serve.syslog import Syslog

_LOG = logging.getLogger(__name__)


@click.command()
@click.option("--only", type=click.Choice(["log", "stores"]), help="One of the two; both where it is left out.")
def migrate(only: str | None) -> None:
    """Make a cluster ready: schemas and topics of the log, tables of the stores. Safe to run again, by one at a time.

    Beside the topics of a new log it makes the master key, in the file that FACTLINE_MASTER_KEY_FILE names.

    The environment says where they are; `--only log` is enough for workers of commands and for gateways that no one
    reads from.

    \b
    FACTLINE_KAFKA_BOOTSTRAP=127.0.0.1:9092 FACTLINE_REGISTRY_URL=http://… factline migrate
    """
    with told():
        settings = Settings.from_environment()
        if only != "stores":
            from infra.migrate import migrate_log  # noqa: PLC0415, the drivers come with an extra

            log = migrate_log(settings)
            click.echo(f"log: {log.schemas} schemas are registered; topics made: {_named(log.topics_made)}")
        if only != "log":
            click.echo(f"stores: views made: {_named(_migrate_stores(settings))}")


def _migrate_stores(settings: Settings) -> Sequence[str]:
    from infra.stores import migrate_stores  # noqa: PLC0415, the drivers come with an extra

    try:
        return [view.table for view in migrate_stores(settings)]
    except StoreUnavailable as error:
        raise click.ClickException(f"{error}; start it, or say where it is, and run this again") from error


def _named(made: Sequence[str]) -> str:
    return ", ".join(made) or "none were missing"


@click.group(cls=Suggesting)
def worker() -> None:
    """Run a worker of the distributed profile, or one that does tasks; any number of each may run."""
    check_release()


@worker.command()
@running_options
def commands(*, supervised: bool, processes: int, status_host: str, status_port: int) -> None:
    """Decide the commands of the partitions that this process is given.

    A worker that may not write any more ends with status 3: start it again, as compose, systemd and `--supervise` do.

    \b
    FACTLINE_KAFKA_BOOTSTRAP=127.0.0.1:9092 FACTLINE_MASTER_KEY_FILE=master.key DATA_DIR=data factline worker commands
    factline worker commands --processes 2
    factline worker commands --status-host 0.0.0.0 --status-port 9100    # then GET :9100/ready, :9100/metrics
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    address = Address(status_host, status_port)
    if supervised or processes > 1:
        end_supervised("commands", address, processes)
    with told():
        from infra.distributed import command_worker, waiting_commands  # noqa: PLC0415, the drivers come with an extra

        settings = Settings.from_environment()
        with (
            command_worker(settings) as worker,
            served(CommandStatus(worker, waiting_commands(settings)), address) as port,
        ):
            _LOG.info("the command worker says how it is on http://%s:%d/ready", address.host, port)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda _number, _frame: worker.stop())
            settle_collector()
            worker.run()


def gateway(data_dir: Path, *, port: int, usual_limits: RateLimits, syslog: "Syslog | None" = None) -> int:
    """Run a gateway until it is told to stop; return the exit status."""
    with told():
        check_release()
        from infra.serve.distributed import serve  # noqa: PLC0415, the drivers come with an extra

        settings = replace(Settings.from_environment(), data_dir=data_dir)
        return serve(settings, port=port, usual_limits=usual_limits, syslog=syslog)


for projector in COMMANDS:
    worker.add_command(projector)
worker.add_command(tasks)
