"""This runs one worker that keeps the views of a store up to date with the log on Kafka."""

import asyncio
import logging
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, closing

from infra.collector import settle_collector
from infra.kafka.connection import Connection, kafka_errors
from infra.kafka.log_reader import KafkaLogReader
from infra.kafka.topics import check_partitions
from infra.settings import Settings
from infra.workers.follower_status import FollowerStatus
from infra.workers.status import Address, served
from projections.catalog import of_role
from projections.rows import Role
from streams.faust.apps import ProjectionSink, create_app, group_of
from streams.faust.batch_agent import Broker, run
from streams.faust.credentials import credentials
from streams.ports import Stores, SystemClock

_LOG = logging.getLogger(__name__)


OpenStores = Callable[[Role, Settings], AbstractContextManager[Stores]]


def project(role: Role, settings: Settings, *, open_stores: OpenStores, status: Address) -> None:
    """Keep the views of a role up to date until SIGTERM; wait until a broker answers.

    Raises: NotLetIn; TopicsUnfit; LogUnavailable and StoreUnavailable, safe to retry.
    """
    clock = SystemClock()
    connection = Connection(settings.kafka_bootstrap, settings.kafka_security)
    with kafka_errors():
        check_partitions(connection.connect(math.inf), settings.topics)
    with (
        open_stores(role, settings) as stores,
        closing(KafkaLogReader(connection, settings.topics, group_of(role, settings.topics))) as log,
    ):
        sink = ProjectionSink(
            of_role(role),
            topics=settings.topics,
            log=log,
            store=stores.views,
            dead_letters=stores.dead_letters,
            clock=clock,
        )
        broker = Broker(settings.kafka_bootstrap, options=credentials(settings.kafka_security))
        app = create_app(role, sink, broker=broker, topics=settings.topics, data_dir=settings.data_dir)
        with served(FollowerStatus(app, sink, clock), status) as port:
            _LOG.info("%s says how it is on http://%s:%d/ready", app.conf.id, status.host, port)
            settle_collector()
            asyncio.run(run(app))
