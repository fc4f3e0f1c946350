"""This runs Keycloak, a provider of identities that is not ours, and tells it in tests which realms it has."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import httpx

from infra.engines.engine import Engine, EngineFailed
from infra.engines.java import java, unpacked
from infra.engines.process import run

VERSION = "26.4.7"
ADMIN = "admin"
ASK_S = 10
_THREADS = "io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory"


@dataclass
class Keycloak(Engine):
    """Shape: it forgets all when it stops."""

    name: ClassVar[str] = "keycloak"
    port_names: ClassVar[tuple[str, ...]] = ("client",)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['client']}"

    @property
    def address(self) -> Mapping[str, str | int]:
        return {"url": self.url}

    def prepare(self) -> Sequence[str]:
        come = unpacked(f"keycloak-{VERSION}", f"org.keycloak:keycloak-quarkus-dist:{VERSION}:tar.gz")
        home = self.directory / "home"
        if not home.exists():
            # it builds itself in its own folder
            shutil.copytree(come / f"keycloak-{VERSION}", home)
            done = run([*_java(home), "build", "--db=dev-mem"])
            if done.returncode:
                raise EngineFailed(f"keycloak could not be built:\n{done.stdout}{done.stderr}")
        return [
            *_java(home),
            "start",
            "--optimized",
            "--cache=local",
            "--http-enabled=true",
            "--http-host=127.0.0.1",
            f"--http-port={self.ports['client']}",
            f"--hostname={self.url}",
            f"--bootstrap-admin-username={ADMIN}",
            f"--bootstrap-admin-password={ADMIN}",
        ]

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/realms/master", timeout=ASK_S, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def admin(self) -> httpx.Client:
        """Return a client of the administrator, who has a minute."""
        form = {"grant_type": "password", "client_id": "admin-cli", "username": ADMIN, "password": ADMIN}
        token = self.token("master", form)["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=f"{self.url}/admin/realms", headers=headers, timeout=60, trust_env=False)

    def token(self, realm: str, form: Mapping[str, str]) -> Any:
        address = f"{self.url}/realms/{realm}/protocol/openid-connect/token"
        answer = httpx.post(address, data=form, timeout=60, trust_env=False)
        assert answer.is_success, answer.text
        return answer.json()


def _java(home: Path) -> Sequence[str]:
    # what its own script says, without the shell that would stand between the process and who started it
    return [
        java(),
        "-Xmx512m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        f"-Dkc.home.dir={home}",
        f"-Djboss.server.config.dir={home}/conf",
        "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
        f"-Djava.util.concurrent.ForkJoinPool.common.threadFactory={_THREADS}",
        "-Dpicocli.disable.closures=true",
        "--add-opens=java.base/java.util=ALL-UNNAMED",
        "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
        "--add-opens=java.base/java.security=ALL-UNNAMED",
        "-cp",
        f"{home}/lib/quarkus-run.jar",
        "io.quarkus.bootstrap.runner.QuarkusEntryPoint",
    ]
