"""This is a gateway of the distributed profile: it takes commands and facts and answers reads, over HTTP.

Who may ask is known without any store: while one is away, commands and facts are taken, and only its answers wait.
"""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import click
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from infra.data_dir import GATEWAYS, DataDir, DataDirInUse, cursor_secret
from infra.distributed import Gateway
from infra.jwks import fetching, issuers
from infra.limits.redis import RedisRateLimiter
from infra.master_key import FINGERPRINTS, SIGN_INS
from infra.outside import Outside, Together
from infra.provider_calls import asking, providers
from infra.provider_secrets import ProviderSecrets
from infra.redis.ephemeral import RedisEphemerals
from infra.river.scorer import new_scorer
from infra.serve.distributed_views import Views, open_views
from infra.serve.first_start import first_start
from infra.serve.hosts import guard_hosts
from infra.serve.http import LOOPBACK, Server, listen
from infra.serve.parts import WithParts
from infra.serve.syslog import OpenSyslog, Syslog, listening, open_syslog
from infra.settings import Settings
from infra.sqlite.last_places import PlacesInFile
from infra.watchdog import LOST
from projections.credentials import RateLimits
from read_api.answers import Answers
from read_api.app import add_answers
from read_api.edge.rates import DEFAULT
from read_api.edge.route_index import include
from read_api.edge.tokens import log_tag
from streams.correlate.preview import Stored
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
from streams.project.feed import LogFeed

_LOG = logging.getLogger(__name__)
_TELEMETRY_THREADS = 4
_TELEMETRY_TIMEOUT_S = 15.0


def _parts(gateway: Gateway, issuer_keys: Outside, asked: Outside) -> Mapping[str, Callable[[], str]]:
    """Return whether this gateway knows the keys, gets answers, reaches issuers and counts with others."""
    limiter, ephemerals = gateway.limiter, gateway.ephemerals
    parts: dict[str, Callable[[], str]] = {
        "keys": lambda: gateway.follows,
        "answers": lambda: gateway.commands.error or "ok",
        "issuer_keys": issuer_keys.health,
        "sign_in_providers": asked.health,
    }
    if isinstance(limiter, RedisRateLimiter):
        parts["rate_limits"] = lambda: limiter.health
    if isinstance(ephemerals, RedisEphemerals):
        parts["live_messages"] = lambda: ephemerals.health
    return parts


def create_app(
    gateway: Gateway,
    views: Views,
    folder: DataDir,
    *,
    cursor_secret: bytes,
    usual_limits: RateLimits = DEFAULT,
    syslog: OpenSyslog | None = None,
) -> FastAPI:
    """Return the gateway as one application; its lifespan starts and stops what runs beside the requests."""
    issuer_keys, asked = issuers(), providers()
    answers = Answers(
        timeline=views.timeline,
        analytics=views.analytics,
        documents=views.documents,
        credentials=gateway.credentials,
        personal=gateway.personal,
        fetch=fetching(os.environ, issuer_keys),
        progress=views.operations,
        operations=WithParts(views.operations, _parts(gateway, issuer_keys, asked)),
        feed=LogFeed(gateway.live_log),
        partitions=gateway.log.partitions,
        cursor_secret=cursor_secret,
        # topics that are made anew are another log: there is no other epoch of one
        log=log_tag(gateway.log_id, 1),
        limiter=gateway.limiter,
        usual_limits=usual_limits,
        ephemerals=gateway.ephemerals,
    )
    taking = ThreadPoolExecutor(_TELEMETRY_THREADS, "telemetry")
    telemetry = TelemetryGate(gateway.telemetry, taking, timeout_s=_TELEMETRY_TIMEOUT_S)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        starting = asyncio.create_task(first_start(gateway.commands, gateway.log, folder.keep_operator_key))
        async with (
            listening(syslog, gateway.commands.execute, telemetry.append),
            recording(app.state.usage, telemetry.append),
        ):
            yield
        starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting
        taking.shutdown()

    app: FastAPI = FastAPIOffline(title="factline", version=version("factline"), redoc_url=None, lifespan=lifespan)
    # the edge comes with the answers, and is there for all routes that follow
    add_answers(app, answers)
    add_intake(
        app,
        commands=gateway.commands,
        telemetry=telemetry,
        operations=views.operations,
        credentials=gateway.credentials,
        fingerprint_key=gateway.master.derived(FINGERPRINTS),
        new_places=PlacesInFile,
    )
    app.state.http_metrics.registry.register(Together(issuer_keys, asked))
    include(app, watches_router(Stored(views.timeline, views.documents), new_scorer))
    box, fingerprints = ProviderSecrets(gateway.master), gateway.master.derived(FINGERPRINTS)
    secrets = TaskSecrets(gateway.credentials, box)
    deliveries = Deliveries(gateway.credentials, box, answers.feed, gateway.personal)
    include(app, tasks_router(gateway.commands, views.documents, secrets, deliveries, fingerprints))
    include(app, streaming_router(views.documents, gateway.ephemerals))
    include(app, provider_keys_router(gateway.commands, box, fingerprints))
    include(app, webhooks_router(gateway.commands, box, views.documents))
    include(app, connectors_router(gateway.commands, box))
    include(app, received_router(gateway.commands, Senders(gateway.credentials, box), fingerprints))
    add_own_issuer(app, gateway.commands, gateway.credentials, box, fingerprints)
    add_sign_in_providers(
        app,
        gateway.commands,
        gateway.credentials,
        box,
        fingerprints,
        ask=asking(os.environ, asked),
        users=UsersInList(views.documents, gateway.personal),
        state_key=gateway.master.derived(SIGN_INS),
    )
    return app


@contextmanager
def _folder(parent: Path) -> Iterator[DataDir]:
    """Yield the first folder that no other gateway of this machine holds."""
    number = 0
    while True:
        try:
            folder = DataDir(parent / str(number))
        except DataDirInUse:
            number += 1
        else:
            with folder:
                yield folder
            return


def serve(settings: Settings, *, port: int, usual_limits: RateLimits = DEFAULT, syslog: Syslog | None = None) -> int:
    """Run a gateway until it is told to stop, or its log is another one; return the exit status.

    Raises: CannotStart, LogUnavailable: see Gateway; OSError, a port is taken.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    host = os.environ.get("FACTLINE_HOST", LOOPBACK)
    gateways = Path(settings.data_dir) / GATEWAYS
    with (
        suppress(KeyboardInterrupt),
        _folder(gateways) as folder,
        Gateway(settings, folder.path) as gateway,
        open_views(settings, folder.path, gateway.log, gateway.clock, gateway.workers.groups) as views,
        closing(listen(port, host)) as sock,
    ):
        secret = settings.cursor_secret or cursor_secret(gateways)
        app = create_app(
            gateway, views, folder, cursor_secret=secret, usual_limits=usual_limits, syslog=open_syslog(syslog)
        )
        guard_hosts(app, host, os.environ)
        address = f"http://{host}:{sock.getsockname()[1]}"
        folder.announce(address)
        click.echo(f"factline {version('factline')} gateway on {address}  (data in {folder.path})")
        server = Server(app)
        with gateway.log_watch.watching(server.stop):
            server.run([sock])
        if (why := gateway.log_watch.replaced) is not None:
            click.echo(f"factline gateway: {why}", err=True)
            return LOST
    click.echo("factline gateway stopped")
    return 0
