"""This runs Redis, which is Debian's `redis-server` or one on the PATH."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from redis import Redis as Client
from redis import RedisError

from infra.engines.engine import Engine
from infra.engines.java import ToolMissing

ASK_S = 2


@dataclass
class Redis(Engine):
    name: ClassVar[str] = "redis"
    port_names: ClassVar[tuple[str, ...]] = ("client",)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.ports['client']}/0"

    @property
    def address(self) -> Mapping[str, str | int]:
        return {"url": self.url}

    def prepare(self) -> Sequence[str]:
        server = shutil.which("redis-server")
        if server is None:
            raise ToolMissing("redis-server is missing: install Debian's package redis-server, or put one on the PATH")
        # counts of requests may be lost: nothing is written to disk
        return [server, "--bind", "127.0.0.1", "--port", str(self.ports["client"]), "--save", "", "--appendonly", "no"]

    def answers(self) -> bool:
        with Client.from_url(self.url, socket_timeout=ASK_S) as client:
            try:
                return bool(client.ping())
            except RedisError:
                return False
