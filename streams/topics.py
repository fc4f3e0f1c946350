"""The topics of a log on Kafka have these names, sizes and settings."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from schemas.envelope import Topic
from streams.ports import MARK_DAYS

DEFAULT_PREFIX = "factline"
DEFAULT_PARTITIONS = 16

_DAY_MS = 24 * 60 * 60 * 1000
KEPT_FOR_EVER: Mapping[str, str] = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}


COMPRESSION = "lz4"
"""How producers compress, and how topics are made: a broker keeps a batch as it came if the two are the same."""

_COMPRESSED: Mapping[str, str] = {"compression.type": COMPRESSION}
STAMPED: Mapping[str, str] = {"message.timestamp.type": "LogAppendTime"}
"""Facts of all gateways are recorded by one clock, that of the broker which gives them their order."""

UNSTAMPED: Mapping[str, str] = dict.fromkeys(STAMPED, "CreateTime")
"""Records keep the time that their sender gives them, as in topics that earlier versions made."""

_COMPACTED: Mapping[str, str] = {
    "cleanup.policy": "compact",
    # what a destroyed key or a revoked credential was is gone from the disk within about an hour
    "max.compaction.lag.ms": str(60 * 60 * 1000),
    "segment.ms": str(60 * 60 * 1000),
    **_COMPRESSED,
}


class Beside(StrEnum):
    """What is written in the transactions of events, for writers and gateways only.

    Shape: `marks` are answers to commands without events, `keys` those of personal fields, `credentials` what an API
    key is compared with and what it may do.
    """

    MARKS = "marks"
    KEYS = "keys"
    CREDENTIALS = "credentials"


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
    def restoring(self) -> str:
        """Return the topic that is there while the others are filled from a backup: until then they are no log."""
        return f"{self.prefix}.restoring"

    def beside(self, kind: Beside) -> str:
        return f"{self.prefix}.{kind.value}"

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
        return (*self.kept(), *self.passing())

    def kept(self) -> tuple[TopicSpec, ...]:
        """Return those that a backup holds, in the order in which it looks where they end."""
        return (
            TopicSpec(self.beside(Beside.MARKS), self.partitions, _kept_for((MARK_DAYS + 1) * _DAY_MS)),
            TopicSpec(self.events, self.partitions, {**KEPT_FOR_EVER, **_COMPRESSED}, keep=tuple(KEPT_FOR_EVER)),
            TopicSpec(self.telemetry, self.partitions, {**KEPT_FOR_EVER, **_COMPRESSED, **STAMPED}),
            # the last record of each key is kept for ever: deleted by age, personal data and API keys would be lost
            TopicSpec(self.beside(Beside.KEYS), self.partitions, _COMPACTED, keep=("cleanup.policy",)),
            TopicSpec(self.beside(Beside.CREDENTIALS), self.partitions, _COMPACTED, keep=("cleanup.policy",)),
        )

    def passing(self) -> tuple[TopicSpec, ...]:
        """Return the others: what was decided is in the events, commands and replies are kept only to look at."""
        return (
            TopicSpec(self.commands, self.partitions, _kept_for(7 * _DAY_MS)),
            TopicSpec(self.replies, self.partitions, _kept_for(_DAY_MS // 24)),
        )


def _kept_for(milliseconds: int) -> Mapping[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(milliseconds), **_COMPRESSED}
