"""`factline worker tasks` does tasks with the handlers that ship."""

import asyncio
import logging
import signal
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from factline.client import ServerRefused
from infra.cli.servers import REFUSED, server_of_call, server_options
from infra.cli.told import told
from infra.handlers.kinds import KINDS, VECTORS, BadKinds, kinds_of
from infra.handlers.places import stop, work, workers_of
from infra.handlers.settings import HandlerSettings
from infra.qdrant.vectors import QdrantVectors

if TYPE_CHECKING:
    from infra.handlers.web import Handler


@click.command()
@click.option(
    "--kinds",
    help=f"What it does, with commas between; else those of installed packages, and all that is installed of"
    f" {', '.join(KINDS)}.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 100),
    default=10,
    show_default=True,
    help="Tasks at a time, beside deliveries to webhook endpoints: each endpoint has its own place.",
)
@click.option("--name", default=None, help="Who it is in the list of tasks; else this machine and process.")
@server_options
def tasks(*, kinds: str | None, concurrency: int, name: str | None) -> None:
    """Do tasks with the handlers that ship, until it is stopped; what goes on then is finished first.

    Its key needs the scope tasks:write, and secrets:read for tasks that name a provider key; it asks every ten
    seconds, and twice for each task. Any number may run: of all workers one has a task. Requests go to public
    addresses only, and to the networks in FACTLINE_ALLOW_NETWORKS. FACTLINE_SMTP_URL and FACTLINE_MAIL_FROM say how
    e-mails are sent, FACTLINE_QDRANT_URL where the vectors of documents are; without it vectors.… are left to others.
    docs/handlers.md says what each kind takes and gives.

    \b
    factline worker tasks --kinds http.check,http.request
    FACTLINE_SMTP_URL=smtps://user:password@mail.example FACTLINE_MAIL_FROM=it@example.com factline worker tasks
    FACTLINE_QDRANT_URL=http://127.0.0.1:6333 factline worker tasks --kinds embed.text,vectors.upsert,vectors.search
    """
    # the other workers, and --help, do without
    from factline.worker import Worker  # noqa: PLC0415
    from infra.handlers.calls import calls_of_tasks  # noqa: PLC0415
    from infra.handlers.catalog import handlers  # noqa: PLC0415

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # it would tell each claim
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with told():
        settings = HandlerSettings.from_environment()
    usual = KINDS if settings.qdrant else [kind for kind in KINDS if kind not in VECTORS]
    try:
        wanted = kinds_of(kinds, usual, with_packages=True)
    except BadKinds as error:
        raise click.BadParameter(str(error), param_hint="--kinds") from error
    if not wanted:
        raise click.UsageError("--kinds names nothing to do")
    shipped = handlers(settings, wanted, calls_of_tasks(concurrency), QdrantVectors(settings.qdrant))
    server = server_of_call()
    api_key = server.key_or_say_so()

    def worker_of(of: "Mapping[str, Handler]", places: int) -> Worker:
        worker = Worker(server.url, api_key, name=name, concurrency=places)
        for kind, handler in of.items():
            worker.task(kind)(handler)
        return worker

    # the key is of one tenant
    workers = workers_of(shipped(""), concurrency, worker_of)

    async def until_a_signal() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop, workers)
        await work(workers)

    try:
        asyncio.run(until_a_signal())
    except ServerRefused as error:
        click.echo(f"factline: {error}", err=True)
        sys.exit(REFUSED)
