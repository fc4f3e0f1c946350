"""A process notices here, while it runs, that the topics of its log were replaced by others of the same names."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra.kafka.connection import kafka_errors
from infra.kafka.topics import log_ids
from infra.watchdog import looking

_LOG = logging.getLogger(__name__)

LOOK_S = 2.0
"""So long something may be answered from the old log and the new one together."""

_JOIN_S = 1.0


class LogWatch:
    """Topics, and whether they are those of the start.

    Shape: `ids` tell each topic from one of its name that was made later; `replaced` says in words what happened to
    one, None while all are as they were.
    """

    def __init__(self, admin: AdminClient, topics: Sequence[str]) -> None:
        """Raises: LogUnavailable, safe to retry."""
        self.replaced: str | None = None
        self._admin = admin
        with kafka_errors():
            self.ids = log_ids(admin, topics)

    def look(self) -> None:
        """Ask the broker; while it does not answer, or a topic is not there, nothing is known."""
        try:
            found = log_ids(self._admin, list(self.ids))
        except (KafkaException, TimeoutError) as error:
            _LOG.debug("it is not known which log this is: %s", error)
            return
        if others := sorted(topic for topic, id_ in self.ids.items() if found[topic] != id_):
            self.replaced = (
                f"the log was replaced: {', '.join(others)} was made anew, or is another cluster's, since this process"
                " started; it ends, so that nothing of two logs is mixed: start it again on the log that is there now"
            )

    @contextmanager
    def watching(self, then: Callable[[], None]) -> Iterator[None]:
        """Look every few seconds; call `then` once, in another thread, when the log was replaced."""

        def is_replaced() -> bool:
            self.look()
            return self.replaced is not None

        def tell() -> None:
            _LOG.critical("%s", self.replaced)
            then()

        # a broker that is away keeps it waiting, and nobody who is told to stop should wait as long
        with looking(is_replaced, tell, LOOK_S, "log-watch", join_s=_JOIN_S):
            yield
