"""A projecting worker for tests: the app of the documents role, with the embedded profile's stores behind it."""

import asyncio
import logging
import sys
from pathlib import Path

from infra.kafka.connection import Connection
from infra.kafka.log_reader import KafkaLogReader
from infra.sqlite import views as sqlite_views
from infra.sqlite.dead_letters import SqliteDeadLetters
from infra.sqlite.documents import SqliteDocuments
from infra.workers.follower_status import FollowerStatus
from infra.workers.status import Address, served
from projections.catalog import of_role
from projections.rows import Role
from streams.faust.apps import ProjectionSink, create_app
from streams.faust.batch_agent import Broker, run
from streams.ports import SystemClock
from streams.topics import Topics


def main() -> None:
    bootstrap, prefix, folder, port = sys.argv[1:]
    logging.basicConfig(level=logging.WARNING)
    # a store that is held by another is given up sooner than in a server
    sqlite_views.BUSY_TIMEOUT_MS = 1_000
    documents = SqliteDocuments(Path(folder) / "documents.sqlite", of_role(Role.DOCUMENTS))
    letters = SqliteDeadLetters(Path(folder) / "dead_letters.sqlite")
    topics, clock = Topics(prefix, 2), SystemClock()
    log = KafkaLogReader(Connection(bootstrap), topics)
    sink = ProjectionSink(
        of_role(Role.DOCUMENTS), topics=topics, log=log, store=documents, dead_letters=letters, clock=clock
    )
    broker = Broker(bootstrap, session_timeout_s=6.0)
    app = create_app(Role.DOCUMENTS, sink, broker=broker, topics=topics, data_dir=Path(folder))
    with served(FollowerStatus(app, sink, clock), Address("127.0.0.1", int(port))):
        asyncio.run(run(app))
    log.close()
    documents.close()
    letters.close()


if __name__ == "__main__":
    main()
