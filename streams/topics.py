"""The topics of a log on Kafka have these names, sizes and settings."""

from collections.abc import Mapping
from typing import NamedTuple

from schemas.envelope import Topic

DEFAULT_PREFIX = "factline"
DEFAULT_PARTITIONS = 16

_DAY_MS = 24 * 60 * 60 * 1000
KEPT_FOR_EVER: Mapping[str, str] = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}


COMPRESSION = "lz4"
"""How producers compress, and how topics are made: a broker keeps a batch as it came if the two are the same."""

_COMPRESSED: Mapping[str, str] = {"compression.type": COMPRESSION}


class TopicSpec(NamedTuple):
    """A topic as `factline migrate` makes it.

    Shape: `keep` are the settings that every start checks: with another value the log would lose records.
    """

    name: str
    partitions: int
    config: Mapping[str, str]
    keep: tuple[str, ...] = ()


class Topics(NamedTuple):
    """The topics of one log, all of as many partitions: telemetry is spread by its stream, the others by the tenant."""

    prefix: str = DEFAULT_PREFIX
    partitions: int = DEFAULT_PARTITIONS

    @property
    def commands(self) -> str:
        return f"{self.prefix}.commands"

    @property
    def events(self) -> str:
        return f"{self.prefix}.events"

    @property
    def telemetry(self) -> str:
        return f"{self.prefix}.telemetry"

    @property
    def replies(self) -> str:
        return f"{self.prefix}.replies"

    @property
    def dead_letters(self) -> str:
        return f"{self.prefix}.dead-letters"

    @property
    def writers(self) -> str:
        """Return the consumer group of the command workers."""
        return f"{self.prefix}.writers"

    @property
    def correlators(self) -> str:
        """Return the consumer group of the workers that correlate."""
        return f"{self.prefix}.correlate"

    def of(self, topic: Topic) -> str:
        return self.events if topic is Topic.EVENTS else self.telemetry

    def specs(self) -> tuple[TopicSpec, ...]:
        return (
            TopicSpec(self.events, self.partitions, {**KEPT_FOR_EVER, **_COMPRESSED}, keep=tuple(KEPT_FOR_EVER)),
            TopicSpec(self.telemetry, self.partitions, {**KEPT_FOR_EVER, **_COMPRESSED}),
            # what was decided is in the events: commands and replies are kept only to look at
            TopicSpec(self.commands, self.partitions, _kept_for(7 * _DAY_MS)),
            TopicSpec(self.replies, self.partitions, _kept_for(_DAY_MS // 24)),
            TopicSpec(self.dead_letters, self.partitions, KEPT_FOR_EVER),
        )


def _kept_for(milliseconds: int) -> Mapping[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(milliseconds), **_COMPRESSED}
