"""This runs chDB behind an HTTP front, as a stand-in for a ClickHouse server."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import httpx

from infra.engines.engine import Engine

ASK_S = 5


@dataclass
class ClickHouseFront(Engine):
    name: ClassVar[str] = "clickhouse"
    port_names: ClassVar[tuple[str, ...]] = ("client",)

    @property
    def port(self) -> int:
        return self.ports["client"]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> Mapping[str, str | int]:
        return {"url": self.url}

    def prepare(self) -> Sequence[str]:
        return [sys.executable, "-m", "infra.engines.clickhouse_front", str(self.directory / "data"), str(self.port)]

    def answers(self) -> bool:
        try:
            return httpx.get(self.url, params={"query": "SELECT 1"}, timeout=ASK_S).text == "1\n"
        except httpx.HTTPError:
            return False
