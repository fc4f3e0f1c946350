"""What the distributed profile is told by its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from streams.topics import DEFAULT_PARTITIONS, DEFAULT_PREFIX, Topics

_KAFKA_SECURITY: Mapping[str, str] = {
    "FACTLINE_KAFKA_SECURITY_PROTOCOL": "security.protocol",
    "FACTLINE_KAFKA_SASL_MECHANISM": "sasl.mechanism",
    "FACTLINE_KAFKA_SASL_USERNAME": "sasl.username",
    "FACTLINE_KAFKA_SASL_PASSWORD": "sasl.password",
    "FACTLINE_KAFKA_SSL_CA": "ssl.ca.location",
    "FACTLINE_KAFKA_SSL_CERTIFICATE": "ssl.certificate.location",
    "FACTLINE_KAFKA_SSL_KEY": "ssl.key.location",
    "FACTLINE_KAFKA_SSL_KEY_PASSWORD": "ssl.key.password",
}


class CannotStart(Exception):  # noqa: N818
    """Something around this process is not as it has to be; the message says what to do before it is started again."""


class BadSettings(CannotStart):
    """The environment says something that cannot be; the message names the variable. A retry gives the same answer."""


@dataclass(frozen=True)
class Settings:
    """Shape: `kafka_security` are librdkafka's own property names, passed on as they are."""

    kafka_bootstrap: str
    registry_url: str
    data_dir: Path
    topics: Topics
    replication: int = 1
    kafka_security: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the FACTLINE_… variables. Raises: BadSettings."""
        topics = Topics(
            environment.get("FACTLINE_TOPIC_PREFIX", DEFAULT_PREFIX),
            _number(environment, "FACTLINE_PARTITIONS", DEFAULT_PARTITIONS),
        )
        return cls(
            kafka_bootstrap=environment.get("FACTLINE_KAFKA_BOOTSTRAP", "127.0.0.1:9092"),
            registry_url=environment.get("FACTLINE_REGISTRY_URL", "http://127.0.0.1:8081/apis/ccompat/v7"),
            data_dir=Path(environment.get("DATA_DIR", "data")),
            topics=topics,
            replication=_number(environment, "FACTLINE_REPLICATION", 1),
            kafka_security={
                name: environment[variable] for variable, name in _KAFKA_SECURITY.items() if environment.get(variable)
            },
        )


def _number(environment: Mapping[str, str], variable: str, default: int) -> int:
    text = environment.get(variable, str(default))
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise BadSettings(f"{variable} must be a number from 1, not {text!r}")
    return int(text)
