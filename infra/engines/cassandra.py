"""This runs one node of Apache Cassandra."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
from cassandra.policies import RoundRobinPolicy

from infra.engines.engine import Engine
from infra.engines.java import jars, java

VERSION = "5.0.5"
NEWEST_JAVA = 17
ASK_S = 5

YAML = """\
cluster_name: factline
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
commitlog_sync: periodic
commitlog_sync_period: 10000ms
data_file_directories: ["{directory}/data"]
commitlog_directory: "{directory}/commitlog"
hints_directory: "{directory}/hints"
saved_caches_directory: "{directory}/saved_caches"
cdc_raw_directory: "{directory}/cdc_raw"
endpoint_snitch: SimpleSnitch
listen_address: 127.0.0.1
rpc_address: 127.0.0.1
native_transport_port: {client}
storage_port: {storage}
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "127.0.0.1:{storage}"
auto_bootstrap: false
"""
LOGBACK = """\
<configuration>
  <appender name="console" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date %level %logger{0}: %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="console"/></root>
</configuration>
"""
# What Cassandra's own start script opens on Java 17.
EXPORTS = (
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.rmi/sun.rmi.transport.tcp",
    "java.sql/java.sql",
    "jdk.unsupported/sun.misc",
)
OPENS = (
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "java.rmi/sun.rmi.transport.tcp",
    "jdk.management/com.sun.management.internal",
    "jdk.management.jfr/jdk.management.jfr",
)


@dataclass
class Cassandra(Engine):
    name: ClassVar[str] = "cassandra"
    port_names: ClassVar[tuple[str, ...]] = ("client", "storage")

    @property
    def port(self) -> int:
        return self.ports["client"]

    @property
    def address(self) -> Mapping[str, str | int]:
        return {"contact_point": "127.0.0.1", "port": self.port}

    def prepare(self) -> Sequence[str]:
        yaml, logback = self.directory / "cassandra.yaml", self.directory / "logback.xml"
        yaml.write_text(YAML.format(**self.ports, directory=self.directory))
        logback.write_text(LOGBACK)
        return [
            java(newest=NEWEST_JAVA),
            "-Xms512m",
            "-Xmx1g",
            "-Djdk.attach.allowAttachSelf=true",
            *(f"--add-exports={package}=ALL-UNNAMED" for package in EXPORTS),
            *(f"--add-opens={package}=ALL-UNNAMED" for package in OPENS),
            f"-Dcassandra.config={yaml.as_uri()}",
            f"-Dcassandra.storagedir={self.directory}",
            "-Dcassandra-foreground=yes",
            "-Dcassandra.skip_wait_for_gossip_to_settle=0",
            "-Dcassandra.ring_delay_ms=100",
            f"-Dlogback.configurationFile={logback}",
            "-cp",
            f"{jars(f'cassandra-{VERSION}', f'org.apache.cassandra:cassandra-all:{VERSION}')}/*",
            "org.apache.cassandra.service.CassandraDaemon",
        ]

    def answers(self) -> bool:
        profile = ExecutionProfile(load_balancing_policy=RoundRobinPolicy(), request_timeout=ASK_S)
        cluster = Cluster(
            ["127.0.0.1"],
            port=self.port,
            connect_timeout=ASK_S,
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        )
        try:
            return cluster.connect().execute("SELECT release_version FROM system.local").one() is not None
        except NoHostAvailable:
            return False
        finally:
            cluster.shutdown()
