"""This registers the schemas of all events, and keeps their ids on disk for when the registry is away."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

from confluent_kafka.schema_registry import ConfigCompatibilityLevel, Schema, SchemaRegistryClient, ServerConfig
from confluent_kafka.schema_registry.error import SchemaRegistryError

from infra.settings import CannotStart
from schemas import payload

T = TypeVar("T")

SchemaIds = Mapping[tuple[str, int], int]
"""(type, version) of an event -> the id that its schema has in the registry."""

COMPATIBILITY = ConfigCompatibilityLevel.BACKWARD_TRANSITIVE

_SAME_MOMENT_S = 0.2
_REFUSED = (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)


class RegistryUnavailable(CannotStart):
    """The registry did not answer; safe to retry."""


class SchemaRefused(CannotStart):
    """The registry holds versions that this schema cannot follow: add one that can. A retry gives the same answer."""


class SchemaRegistry:
    """Where the schemas are registered. `cache` is the file that keeps their ids."""

    def __init__(self, url: str, cache: Path) -> None:
        self._url = url
        self._cache = cache

    def register(self) -> SchemaIds:
        """Register every released schema under its record's name, oldest version first, and keep the ids.

        Raises: SchemaRefused, nothing was registered from this one on; RegistryUnavailable.
        """
        ids: dict[tuple[str, int], int] = {}
        with SchemaRegistryClient({"url": self._url, "max.retries": 2}) as client:
            for type_, version, text in sorted(payload.schema_files()):
                subject = payload.full_name(type_, version)
                with _registry_errors(self._url, subject):
                    ids[type_, version] = _twice(partial(client.register_schema, subject, Schema(text, "AVRO")))
                    if version == 1:
                        rule = ServerConfig(compatibility=COMPATIBILITY)
                        _twice(partial(client.set_config, subject, rule))
        self._keep(ids)
        return ids

    def ids(self) -> SchemaIds:
        """Return the ids of the released schemas: those on disk, else the registry's.

        Raises: RegistryUnavailable, it is away and nothing, or not everything, was kept from it.
        """
        kept = self._kept()
        wanted = {(type_, version): text for type_, version, text in payload.schema_files()}
        if not wanted.keys() <= kept.keys():
            kept = self._look_up(wanted)
            self._keep(kept)
        return kept

    def _look_up(self, wanted: Mapping[tuple[str, int], str]) -> dict[tuple[str, int], int]:
        found: dict[tuple[str, int], int] = {}
        with SchemaRegistryClient({"url": self._url, "max.retries": 2}) as client:
            for (type_, version), text in wanted.items():
                subject = payload.full_name(type_, version)
                with _registry_errors(self._url, subject):
                    id_ = client.lookup_schema(subject, Schema(text, "AVRO")).schema_id
                if id_ is None:
                    raise RegistryUnavailable(f"the schema registry at {self._url} gives no id for {subject}")
                found[type_, version] = id_
        return found

    def _kept(self) -> dict[tuple[str, int], int]:
        try:
            kept = json.loads(self._cache.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        if kept["registry"] != self._url:
            return {}
        return {(type_, version): id_ for type_, version, id_ in kept["ids"]}

    def _keep(self, ids: SchemaIds) -> None:
        self._cache.parent.mkdir(parents=True, exist_ok=True)
        new = self._cache.with_suffix(".new")
        rows: list[Any] = [[*key, id_] for key, id_ in ids.items()]
        new.write_text(json.dumps({"registry": self._url, "ids": rows}), encoding="utf-8")
        new.replace(self._cache)


def _twice(ask: Callable[[], T]) -> T:
    """Ask again after a conflict: another one may have made the same at the same moment, and then it is there."""
    try:
        return ask()
    except SchemaRegistryError as error:
        if error.http_status_code != HTTPStatus.CONFLICT:
            raise
        time.sleep(_SAME_MOMENT_S)
        return ask()


@contextmanager
def _registry_errors(url: str, subject: str) -> Iterator[None]:
    try:
        yield
    except SchemaRegistryError as error:
        if error.http_status_code in _REFUSED:
            raise SchemaRefused(f"{subject}: the registry refuses this schema: {error.error_message}") from error
        raise RegistryUnavailable(
            f"the schema registry at {url} has no answer for {subject}: {error};"
            " run `factline migrate` while it is there"
        ) from error
    except Exception as error:
        # the client lets the errors of its HTTP library through, whichever of two that is
        raise RegistryUnavailable(f"the schema registry at {url} cannot be reached: {error}") from error
