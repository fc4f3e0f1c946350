"""One projecting worker of the distributed profile, wired: Kafka on one side, a role's store on the other."""

import asyncio
import logging
import math
import ssl
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import faust

from infra.collector import settle_collector
from infra.connection_kafka import Connection, kafka_errors
from infra.settings import Settings
from infra.topics_kafka import check_partitions
from infra.worker_status import WorkerStatus, served
from projections.catalog import of_role
from projections.ports import Role
from streams.batch_agent import Broker, run
from streams.faust_app import ProjectionSink, create_app
from streams.ports import Stores, SystemClock

_LOG = logging.getLogger(__name__)


OpenStores = Callable[[Role, Settings], AbstractContextManager[Stores]]


def project(role: Role, settings: Settings, *, open_stores: OpenStores, status_port: int) -> None:
    """Keep the views of a role up to date until SIGTERM; wait until a broker answers.

    Raises: NotLetIn; TopicsUnfit; LogUnavailable and StoreUnavailable, safe to retry.
    """
    clock = SystemClock()
    with kafka_errors():
        check_partitions(
            Connection(settings.kafka_bootstrap, settings.kafka_security).connect(math.inf), settings.topics
        )
    with open_stores(role, settings) as stores:
        sink = ProjectionSink(
            of_role(role), topics=settings.topics, store=stores.views, dead_letters=stores.dead_letters, clock=clock
        )
        broker = Broker(settings.kafka_bootstrap, options=credentials(settings.kafka_security))
        app = create_app(role, sink, broker=broker, topics=settings.topics, data_dir=settings.data_dir)
        with served(WorkerStatus(app, sink, clock), status_port) as port:
            _LOG.info("%s says how it is on http://127.0.0.1:%d/ready", app.conf.id, port)
            settle_collector()
            asyncio.run(run(app))


def credentials(security: Mapping[str, str]) -> dict[str, Any]:
    """Return Faust's words for librdkafka's property names."""
    protocol = security.get("security.protocol", "plaintext").upper()
    if protocol == "PLAINTEXT":
        return {}
    context = _tls(security) if protocol.endswith("SSL") else None
    if not protocol.startswith("SASL"):
        return {"broker_credentials": faust.SSLCredentials(context)}
    return {
        "broker_credentials": faust.SASLCredentials(
            username=security.get("sasl.username"),
            password=security.get("sasl.password"),
            mechanism=security.get("sasl.mechanism", "PLAIN"),
            ssl_context=context,
        )
    }


def _tls(security: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=security.get("ssl.ca.location"))
    if certificate := security.get("ssl.certificate.location"):
        context.load_cert_chain(certificate, security.get("ssl.key.location"), security.get("ssl.key.password"))
    return context
