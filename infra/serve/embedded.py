"""This is the embedded server: ways in, projectors, answers and this machine's readings in one process."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import click
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from domain.message import Command
from infra.collector import settle_collector
from infra.data_dir import VECTORS, cursor_secret
from infra.embedded import DEMO_TENANT, Embedded
from infra.handlers.settings import HandlerSettings
from infra.jwks import fetching, issuers
from infra.limits.memory import MemoryRateLimiter
from infra.master_key import FINGERPRINTS, SIGN_INS
from infra.outside import Together
from infra.provider_calls import asking, providers
from infra.provider_secrets import ProviderSecrets
from infra.river.scorer import new_scorer
from infra.serve.hosts import guard_hosts
from infra.serve.http import LOOPBACK, Server, listen
from infra.serve.own_worker import OwnWorkers, Shipped, shipped_of, working
from infra.serve.parts import WithParts
from infra.serve.syslog import OpenSyslog, Syslog, listening, open_syslog
from infra.sqlite.last_places import PlacesInFile
from projections.credentials import RateLimits
from read_api.answers import Answers
from read_api.app import add_answers
from read_api.edge.rates import DEFAULT
from read_api.edge.route_index import include
from read_api.edge.tokens import log_tag
from schemas.envelope import Actor, ActorType
from streams.correlate.preview import Stored
from streams.identifiers import new_id
from streams.intake.host_metrics import HostMetrics
from streams.intake.http.app import add_intake, add_own_issuer, add_sign_in_providers
from streams.intake.http.connectors import connectors_router
from streams.intake.http.deliveries import Deliveries
from streams.intake.http.invited import UsersInList
from streams.intake.http.provider_keys import TaskSecrets, provider_keys_router
from streams.intake.http.received import received_router
from streams.intake.http.senders import Senders
from streams.intake.http.streaming import streaming_router
from streams.intake.http.tasks import tasks_router
from streams.intake.http.telemetry import TelemetryGate
from streams.intake.http.usage import recording
from streams.intake.http.watches import watches_router
from streams.intake.http.webhooks import webhooks_router
from streams.ports import Reply, Submission
from streams.project.feed import LogFeed
from streams.write.gate import CommandGate

_HOST = Actor(ActorType.SYSTEM, "host-metrics")
_HOST_AGAIN_S = 60.0


def create_app(
    embedded: Embedded,
    *,
    host_metrics: bool = True,
    usual_limits: RateLimits = DEFAULT,
    syslog: OpenSyslog | None = None,
    shipped: Shipped | None = None,
) -> FastAPI:
    """Return the whole server as one application; its lifespan starts and stops what runs beside the requests.

    Shape: `shipped` are the tasks that the server does itself.
    """
    views = embedded.views
    issuer_keys, asked = issuers(), providers()
    answers = Answers(
        timeline=views.timeline,
        analytics=views.analytics,
        documents=views.documents,
        credentials=embedded.credentials,
        personal=embedded.keys,
        fetch=fetching(os.environ, issuer_keys),
        progress=views.operations,
        operations=WithParts(views.operations, {"issuer_keys": issuer_keys.health, "sign_in_providers": asked.health}),
        feed=LogFeed(embedded.log),
        partitions=embedded.log.partitions,
        cursor_secret=cursor_secret(embedded.dir.path),
        log=log_tag(*embedded.identity),
        limiter=MemoryRateLimiter(),
        usual_limits=usual_limits,
    )
    deciding = ThreadPoolExecutor(1, "writer")
    taking = ThreadPoolExecutor(1, "telemetry")
    commands = CommandGate(embedded.writer, deciding)
    telemetry = TelemetryGate(embedded.log, taking)

    def decide(submissions: Sequence[Submission]) -> Sequence[Reply]:
        return deciding.submit(embedded.writer.write, submissions).result()

    def busy() -> bool:
        return telemetry.busy() or commands.busy()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        commands.start()
        for runner in views.runners:
            runner.start(give_way=busy)
        views.correlator.start(decide, give_way=busy)
        reporter = asyncio.create_task(_report_host(commands, telemetry)) if host_metrics else None
        own = OwnWorkers(app, shipped, views.documents, embedded.credentials) if shipped else None
        async with (
            listening(syslog, commands.execute, telemetry.append),
            recording(app.state.usage, telemetry.append),
            working(own),
        ):
            yield
        if reporter is not None:
            reporter.cancel()
            with suppress(asyncio.CancelledError):
                await reporter
        await asyncio.to_thread(views.correlator.stop)
        await commands.drain()
        deciding.shutdown()
        taking.shutdown()

    app: FastAPI = FastAPIOffline(title="factline", version=version("factline"), redoc_url=None, lifespan=lifespan)
    # the edge comes with the answers, and is there for all routes that follow
    add_answers(app, answers)
    add_intake(
        app,
        commands=commands,
        telemetry=telemetry,
        operations=views.operations,
        credentials=embedded.credentials,
        fingerprint_key=embedded.keys.master.derived(FINGERPRINTS),
        new_places=PlacesInFile,
    )
    called = (issuer_keys, asked, shipped.outside) if shipped else (issuer_keys, asked)
    app.state.http_metrics.registry.register(Together(*called))
    include(app, watches_router(Stored(views.timeline, views.documents), new_scorer))
    box, fingerprints = ProviderSecrets(embedded.keys.master), embedded.keys.master.derived(FINGERPRINTS)
    secrets = TaskSecrets(embedded.credentials, box)
    deliveries = Deliveries(embedded.credentials, box, answers.feed, embedded.keys)
    include(app, tasks_router(commands, views.documents, secrets, deliveries, fingerprints))
    include(app, streaming_router(views.documents, answers.ephemerals))
    include(app, provider_keys_router(commands, box, fingerprints))
    include(app, webhooks_router(commands, box, views.documents))
    include(app, connectors_router(commands, box))
    include(app, received_router(commands, Senders(embedded.credentials, box), fingerprints))
    add_own_issuer(app, commands, embedded.credentials, box, fingerprints)
    add_sign_in_providers(
        app,
        commands,
        embedded.credentials,
        box,
        fingerprints,
        ask=asking(os.environ, asked),
        users=UsersInList(views.documents, embedded.keys),
        state_key=embedded.keys.master.derived(SIGN_INS),
    )
    return app


async def _report_host(commands: CommandGate, telemetry: TelemetryGate) -> None:
    async def execute(command: Command) -> Reply:
        return await commands.execute(
            Submission(new_id(), DEMO_TENANT, f"fleet.{type(command).__name__}", command, _HOST)
        )

    while True:
        try:
            await HostMetrics(
                execute, lambda facts: telemetry.append(DEMO_TENANT, facts, _HOST), version=version("factline")
            ).run()
        except Exception:
            # a machine that cannot be read is no reason to refuse everyone else's events
            logging.getLogger(__name__).exception("this machine's readings stopped; they begin again in a minute")
        await asyncio.sleep(_HOST_AGAIN_S)


def serve(
    data_dir: Path,
    *,
    port: int,
    usual_limits: RateLimits = DEFAULT,
    syslog: Syslog | None = None,
    tasks: Sequence[str] = (),
) -> int:
    """Run the server on 127.0.0.1 until it is told to stop; return the exit status.

    Shape: `tasks` are the kinds of tasks that it does itself.
    Raises: DataDirError, the directory cannot be used; BadSettings; OSError, a port is taken.
    """
    shipped = shipped_of(HandlerSettings.from_environment(), tasks, data_dir / VECTORS)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # uvicorn raises the signal that stopped it once more when it is done: then it only ends this block
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), Embedded.open(data_dir) as embedded, closing(listen(port)) as sock:
        with _undisturbed():
            app = create_app(embedded, usual_limits=usual_limits, syslog=open_syslog(syslog), shipped=shipped)
            guard_hosts(app, LOOPBACK, os.environ)
            address = f"http://127.0.0.1:{sock.getsockname()[1]}"
            embedded.dir.announce(address)
            # last of all that can fail: the key that it returns is shown this once
            demo_key = embedded.first_start()
            if demo_key is not None:
                # it is shown next, and must be good by then
                embedded.views.catch_up()
            _greet(address, data_dir, demo_key)
        settle_collector()
        Server(app).run([sock])
    click.echo("factline stopped; the next start goes on where this one ended")
    return 0


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold back the signals that stop a server until the block is done: an engine does not bear them while it loads."""
    held = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, held)


def _greet(address: str, data_dir: Path, demo_key: str | None) -> None:
    if demo_key is None:
        click.echo(f"factline {version('factline')} on {address}  (data in {data_dir})")
        return
    click.echo(
        f"factline {version('factline')} on {address}/#key={demo_key}\n"
        f"\n"
        f"first start: data goes to {data_dir}; the API key of the tenant {DEMO_TENANT} is shown this once:\n"
        f"\n"
        f"  {demo_key}\n"
        f"\n"
        f"open the address above; for the command line:\n"
        f"\n"
        f"  export FACTLINE_URL={address} FACTLINE_API_KEY={demo_key}",
    )
