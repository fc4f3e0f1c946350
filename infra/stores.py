"""This opens the stores of the distributed profile for workers, and makes them ready for `factline migrate`."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import assert_never

from infra.cassandra.connection import CassandraAddress
from infra.cassandra.dead_letters import CassandraDeadLetters
from infra.cassandra.timeline import CassandraTimeline
from infra.clickhouse.analytics import ClickHouseAnalytics
from infra.clickhouse.dead_letters import ClickHouseDeadLetters
from infra.mongo.dead_letters import MongoDeadLetters
from infra.mongo.documents import MongoDocuments
from infra.mongo.watch_states import MongoWatchStates
from infra.settings import Settings, StoreSettings
from projections.catalog import of_role
from projections.rows import Role, View
from streams.ports import Stores
from streams.project.first_build import is_level


@contextmanager
def open_stores(role: Role, settings: Settings) -> Iterator[Stores]:
    """Open a role's views and dead letters; the store itself is only asked when they are used."""
    at, projections = settings.stores, of_role(role)
    with ExitStack() as opened:
        match role:
            case Role.TIMELINE:
                timeline = opened.enter_context(closing(CassandraTimeline(_cassandra(at), projections)))
                yield Stores(timeline, opened.enter_context(closing(CassandraDeadLetters(_cassandra(at)))))
            case Role.ANALYTICS:
                analytics = opened.enter_context(closing(ClickHouseAnalytics(at.clickhouse_url, projections)))
                yield Stores(analytics, opened.enter_context(closing(ClickHouseDeadLetters(at.clickhouse_url))))
            case Role.DOCUMENTS:
                where = (at.mongo_url, at.mongo_database)
                documents = opened.enter_context(closing(MongoDocuments(where[0], projections, database=where[1])))
                yield Stores(documents, opened.enter_context(closing(MongoDeadLetters(where[0], database=where[1]))))
            case _:
                assert_never(role)


def migrate_stores(settings: Settings) -> tuple[View, ...]:
    """Make what the stores need and the first build of every view; return the builds that were made.

    Shape: may be run again at any time. Before the first worker: two of them must not make the same Cassandra table.
    Raises: StoreUnavailable, safe to retry.
    """
    at = settings.stores
    with (
        closing(CassandraDeadLetters(_cassandra(at))) as timeline,
        closing(MongoDeadLetters(at.mongo_url, database=at.mongo_database)) as documents,
        closing(MongoWatchStates(at.mongo_url, database=at.mongo_database)) as watches,
    ):
        timeline.migrate()
        documents.migrate()
        watches.migrate()
    made: list[View] = []
    for role in Role:
        with open_stores(role, settings) as stores:
            for projection in of_role(role):
                live = stores.views.live(projection.name)
                view = live or View(projection.name, 1)
                # also where there are tables: those of an earlier version may lack columns
                for build in {*stores.views.builds(projection.name), *([] if live else [view])}:
                    stores.views.create(build)
                if live is None:
                    # beside views that have read the log a worker lets it go live, when it has read as much
                    if is_level(stores.views, view, of_role(role)):
                        stores.views.switch(view)
                    made.append(view)
    return tuple(made)


def _cassandra(at: StoreSettings) -> CassandraAddress:
    return CassandraAddress(
        at.cassandra_contact_points,
        at.cassandra_keyspace,
        at.cassandra_replication,
        at.cassandra_user,
        at.cassandra_password,
    )
