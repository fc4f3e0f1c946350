"""This runs Apicurio, a schema registry with Confluent's API, and keeps its schemas on disk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import httpx

from infra.engines.engine import Engine
from infra.engines.java import java, unpacked

VERSION = "2.6.13.Final"
ASK_S = 5


@dataclass
class Registry(Engine):
    name: ClassVar[str] = "registry"
    port_names: ClassVar[tuple[str, ...]] = ("client",)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['client']}/apis/ccompat/v7"

    @property
    def address(self) -> Mapping[str, str | int]:
        return {"url": self.url}

    def prepare(self) -> Sequence[str]:
        home = unpacked(f"apicurio-{VERSION}", f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all")
        return [
            java(),
            "-Xmx384m",
            "-Dquarkus.http.host=127.0.0.1",
            f"-Dquarkus.http.port={self.ports['client']}",
            # As it comes it forgets all schemas when it stops, and gives other ids afterwards; with its database in a
            # file it would still write half a second after it has answered.
            f"-Dquarkus.datasource.jdbc.url=jdbc:h2:file:{self.directory}/data;WRITE_DELAY=0",
            "-jar",
            f"{home}/apicurio-registry-app-{VERSION}-runner.jar",
        ]

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/subjects", timeout=ASK_S).is_success
        except httpx.HTTPError:
            return False
