"""This runs one node of Apache Kafka; given users, it also opens a listener with TLS, SCRAM and access rules."""

import logging
import secrets
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra.engines.engine import Engine, EngineFailed
from infra.engines.java import jars, java, keytool
from infra.engines.process import run

VERSION = "4.1.0"
# Kafka logs through an interface and brings no logger; this one fits the log4j it brings.
LOGGER = "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3"
ASK_S = 2

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={directory}/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
"""
PLAIN_LISTENERS = """\
listeners=PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}
"""
# The plain listener may do everything always, it sets the rules.
SECURE_LISTENERS = """\
listeners=PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller},SASL_SSL://127.0.0.1:{secure}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PKCS12
ssl.keystore.location={directory}/keystore.p12
ssl.keystore.password={password}
ssl.key.password={password}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found={everyone}
"""
# Its own hook would end the log before the broker has stopped.
LOG4J = """\
shutdownHook=disable
rootLogger.level=INFO
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %c{1}: %m%n
"""


@dataclass
class Kafka(Engine):
    """Shape: `users` maps users of the SCRAM listener to passwords; they are written when the data is first made.

    With `strict` they may do what a rule allows them; without, everything that there is no rule about.
    """

    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    strict: bool = False

    name: ClassVar[str] = "kafka"
    port_names: ClassVar[tuple[str, ...]] = ("client", "controller", "secure")

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.ports['client']}"

    @property
    def secure_bootstrap(self) -> str:
        return f"127.0.0.1:{self.ports['secure']}"

    @property
    def certificate(self) -> str:
        """Return the path of the broker's self-signed certificate, for `ssl.ca.location`."""
        return str(self.directory / "certificate.pem")

    @property
    def address(self) -> Mapping[str, str | int]:
        return {"bootstrap": self.bootstrap}

    def prepare(self) -> Sequence[str]:
        libraries = jars(f"kafka-{VERSION}", f"org.apache.kafka:kafka_2.13:{VERSION}", LOGGER)
        base = [java(), "-cp", f"{libraries}/*", f"-Dlog4j2.configurationFile={self.directory}/log4j2.properties"]
        listeners = SECURE_LISTENERS if self.users else PLAIN_LISTENERS
        password = self._make_certificate() if self.users else ""
        properties = self.directory / "server.properties"
        properties.touch(mode=0o600)
        everyone = "false" if self.strict else "true"
        properties.write_text(
            (PROPERTIES + listeners).format(
                **self.ports, directory=self.directory, password=password, everyone=everyone
            )
        )
        (self.directory / "log4j2.properties").write_text(LOG4J)
        if not (self.directory / "data" / "meta.properties").exists():
            cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            scram = [f"--add-scram=SCRAM-SHA-512=[name={name},password={word}]" for name, word in self.users.items()]
            _run([*base, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(properties), *scram])
        memory = ["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC"]
        return [*base, *memory, "kafka.Kafka", str(properties)]

    def answers(self) -> bool:
        admin = AdminClient({"bootstrap.servers": self.bootstrap}, logger=logging.getLogger("infra.engines.kafka"))
        try:
            return bool(admin.list_topics(timeout=ASK_S).brokers)
        except KafkaException:
            return False

    def _make_certificate(self) -> str:
        """Make a key and a self-signed certificate, once; return the key store's password."""
        word, store = self.directory / "keystore.password", self.directory / "keystore.p12"
        if not word.exists():
            word.touch(mode=0o600)
            word.write_text(secrets.token_hex(16))
        access = ["-keystore", str(store), "-alias", "kafka", "-storepass:file", str(word)]
        if not store.exists():
            # "localhost" by name too: some clients check names only.
            names = ["-dname", "CN=127.0.0.1", "-ext", "SAN=ip:127.0.0.1,dns:localhost"]
            key = ["-keyalg", "RSA", "-keysize", "2048", "-validity", "3650", "-storetype", "PKCS12"]
            _run([keytool(), "-genkeypair", *access, *names, *key])
        _run([keytool(), "-exportcert", "-rfc", *access, "-file", self.certificate])
        return word.read_text()


def _run(command: Sequence[str]) -> None:
    done = run(command)
    if done.returncode:
        raise EngineFailed(f"kafka could not be prepared:\n{done.stdout}{done.stderr}")
