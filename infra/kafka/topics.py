"""This makes the topics on a Kafka cluster once, and checks them at every start."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from infra.kafka.connection import REQUEST_TIMEOUT_S, high_watermarks
from infra.settings import CannotStart
from streams.topics import STAMPED, Topics, TopicSpec

_LOG = logging.getLogger(__name__)


class TopicsUnfit(CannotStart):
    """A topic is not as the log needs it; the message says what to change. A retry gives the same answer."""


def create_topics(admin: AdminClient, topics: Topics, *, replication: int) -> list[str]:
    """Make the topics that are missing and return their names; those that are there are left as they are.

    Raises: TopicsUnfit, they are half of a log; KafkaException, safe to retry.
    """
    if topics.restoring in admin.list_topics(timeout=REQUEST_TIMEOUT_S).topics:
        raise TopicsUnfit(
            f"`factline restore` is filling the topics of {topics.prefix}, or was broken off while it did: wait for it,"
            f" or delete every topic {topics.prefix}.… and restore again"
        )
    return create_missing(admin, topics.specs(), replication=replication)


def create_missing(admin: AdminClient, specs: Sequence[TopicSpec], *, replication: int) -> list[str]:
    """Do the same for any topics. Raises: KafkaException, safe to retry."""
    wanted = [
        NewTopic(spec.name, spec.partitions, replication, config=dict(spec.config))
        for spec in specs
        if spec.name not in admin.list_topics(timeout=REQUEST_TIMEOUT_S).topics
    ]
    made = []
    for name, future in (admin.create_topics(wanted, operation_timeout=REQUEST_TIMEOUT_S) if wanted else {}).items():
        try:
            future.result(REQUEST_TIMEOUT_S)
            made.append(name)
        except KafkaException as error:
            # someone else's `migrate` may run at the same time
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    for spec in specs:
        if spec.name in made:
            # the controller answers before the brokers know; whoever comes next may ask one of them
            high_watermarks(admin, spec.name, range(spec.partitions))
    return made


def check_topics(admin: AdminClient, topics: Topics) -> None:
    """Refuse to write to topics that would lose or mix up records.

    Raises: TopicsUnfit; KafkaException, safe to retry.
    """
    check_partitions(admin, topics)
    check_configs(admin, topics.specs())


def check_configs(admin: AdminClient, specs: Sequence[TopicSpec]) -> None:
    """Refuse to write to topics that would lose records. Raises: TopicsUnfit; KafkaException, safe to retry."""
    for spec, config in zip(specs, _configs(admin, specs), strict=True):
        _check_config(spec, config)


def check_partitions(admin: AdminClient, topics: Topics) -> None:
    """Refuse to read topics that are not there, or not as large. Raises: TopicsUnfit; KafkaException, safe to retry."""
    found = admin.list_topics(timeout=REQUEST_TIMEOUT_S).topics
    for spec in topics.specs():
        if spec.name not in found:
            raise TopicsUnfit(
                f"topic {spec.name} does not exist, or this user may not see it; run `factline migrate` first"
            )
        if (partitions := len(found[spec.name].partitions)) != spec.partitions:
            raise TopicsUnfit(
                f"topic {spec.name} has {partitions} partitions, not {spec.partitions}: tenants would change place;"
                f" the number never changes: set FACTLINE_PARTITIONS={partitions} if the log was made so"
            )


def set_config(admin: AdminClient, topic: str, config: Mapping[str, str]) -> None:
    """Change settings of a topic, and leave its others. Raises: KafkaException, safe to retry."""
    entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in config.items()]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(REQUEST_TIMEOUT_S)


def _check_config(spec: TopicSpec, config: Mapping[str, str]) -> None:
    for name in spec.keep:
        if config.get(name) != spec.config[name]:
            raise TopicsUnfit(
                f"topic {spec.name} has {name}={config.get(name)}: history would be deleted that is kept nowhere else;"
                f" set it: kafka-configs.sh --alter --topic {spec.name} --add-config {name}={spec.config[name]}"
            )
    if any(spec.config.get(name) == value != config.get(name) for name, value in STAMPED.items()):
        _LOG.warning(
            "topic %s keeps the time that each gateway's clock says, so recorded_at of facts may fall; set it: "
            "kafka-configs.sh --alter --topic %s --add-config message.timestamp.type=LogAppendTime",
            spec.name,
            spec.name,
        )
    if spec.keep and int(config.get("min.insync.replicas", "1")) < 2:  # noqa: PLR2004 - one copy is not two
        _LOG.warning(
            "topic %s has min.insync.replicas=1: an answered command is on one broker's disk only;"
            " for more than trials use three brokers, replication 3 and min.insync.replicas=2",
            spec.name,
        )


def _configs(admin: AdminClient, specs: Sequence[TopicSpec]) -> list[Mapping[str, str]]:
    resources = [ConfigResource(ResourceType.TOPIC, spec.name) for spec in specs]
    futures = {resource.name: future for resource, future in admin.describe_configs(resources).items()}
    answers: list[Any] = [futures[spec.name].result(REQUEST_TIMEOUT_S) for spec in specs]
    return [{name: entry.value for name, entry in answer.items()} for answer in answers]


def log_id(admin: AdminClient, topic: str) -> str:
    """Return what tells a topic from one of the same name that was made later, or elsewhere. Raises: KafkaException."""
    return log_ids(admin, [topic])[topic]


def log_ids(admin: AdminClient, topics: Sequence[str]) -> Mapping[str, str]:
    """Do the same for several topics at once. Raises: KafkaException."""
    described = admin.describe_topics(TopicCollection(list(topics)))
    cluster = admin.describe_cluster().result(REQUEST_TIMEOUT_S).cluster_id
    return {topic: f"{cluster}/{described[topic].result(REQUEST_TIMEOUT_S).topic_id}" for topic in topics}
