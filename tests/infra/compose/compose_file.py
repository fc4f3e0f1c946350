"""What docker-compose.yml says, for the tests of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: Mapping[str, Any] = yaml.safe_load(TEXT)
SERVICES: Mapping[str, Mapping[str, Any]] = COMPOSE["services"]
ENGINES = ("kafka", "registry", "cassandra", "clickhouse", "mongo", "redis")
OURS = {
    "migrate": ["migrate"],
    "gateway": ["serve", "--profile", "distributed"],
    "commands": ["worker", "commands"],
    "timeline": ["worker", "timeline"],
    "analytics": ["worker", "analytics"],
    "documents": ["worker", "documents"],
    "correlate": ["worker", "correlate"],
}
WORKERS = tuple(name for name in OURS if name not in {"migrate", "gateway"})
LISTENS = {
    "kafka": 9092,
    "registry": 8080,
    "cassandra": 9042,
    "clickhouse": 8123,
    "mongo": 27017,
    "redis": 6379,
    "gateway": 8080,
}
"""Where each service takes the others' requests, inside its container."""
