"""This runs one worker that looks at facts through watches, with Kafka on both sides and MongoDB beside it."""

import asyncio
import logging
import math
from collections.abc import Sequence
from contextlib import closing

from infra.collector import settle_collector
from infra.kafka.command_gate import KafkaCommandGate
from infra.kafka.connection import Connection, kafka_errors
from infra.kafka.log_reader import KafkaLogReader
from infra.kafka.topics import check_partitions
from infra.mongo.watch_states import MongoWatchStates
from infra.river.scorer import new_scorer
from infra.settings import Settings
from infra.workers.follower_status import FollowerStatus
from infra.workers.status import Address, served
from streams.correlate.sending import Send
from streams.faust.batch_agent import Broker, run
from streams.faust.correlation import CorrelationSink, create_correlation_app
from streams.faust.credentials import credentials
from streams.ports import Reply, Submission, SystemClock

_LOG = logging.getLogger(__name__)

SENT_AT_ONCE = 1_000


def correlate(settings: Settings, *, status: Address) -> None:
    """Look at facts through the watches of their tenants until SIGTERM; wait until a broker answers.

    Raises: NotLetIn; TopicsUnfit; LogUnavailable, safe to retry.
    """
    at, topics = settings.stores, settings.topics
    connection = Connection(settings.kafka_bootstrap, settings.kafka_security)
    with kafka_errors():
        check_partitions(connection.connect(math.inf), topics)
    with (
        closing(KafkaLogReader(connection, topics)) as log,
        closing(KafkaCommandGate(connection, topics)) as gate,
        closing(MongoWatchStates(at.mongo_url, database=at.mongo_database)) as states,
    ):
        sink = CorrelationSink(
            topics=topics,
            log=log,
            states=states,
            send=sender(gate),
            new_scorer=new_scorer,
            silence=settings.silence,
        )
        broker = Broker(settings.kafka_bootstrap, options=credentials(settings.kafka_security))
        app = create_correlation_app(sink, broker=broker, topics=topics, data_dir=settings.data_dir)
        with served(FollowerStatus(app, sink, SystemClock()), status) as port:
            _LOG.info("%s says how it is on http://%s:%d/ready", app.conf.id, status.host, port)
            settle_collector()
            asyncio.run(run(app))


def sender(gate: KafkaCommandGate) -> Send:
    """Return what sends commands from a thread without an event loop, in their order, and waits for the replies."""

    async def execute(submissions: Sequence[Submission]) -> list[Reply]:
        return await asyncio.gather(*(gate.execute(submission) for submission in submissions))

    def send(submissions: Sequence[Submission]) -> Sequence[Reply]:
        replies: list[Reply] = []
        for first in range(0, len(submissions), SENT_AT_ONCE):
            replies += asyncio.run(execute(submissions[first : first + SENT_AT_ONCE]))
        return replies

    return send
