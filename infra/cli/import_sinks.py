"""An import puts what it has read into a running server, or into a data directory that nobody has open."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple

import orjson

from domain.rejection import Kind
from factline.client import Client, ServerGone, ServerRefused
from schemas.envelope import TenantId
from streams.intake.importing.sink import (
    AGAIN,
    CommandTaken,
    FactsTaken,
    ImportFailed,
    Sink,
    command_json,
    every_reply,
    told_by,
)
from streams.ports import FactSubmission, Submission

_QUICK_S = 5.0
"""How long an import waits for a server, or a new tenant, before it has sent anything."""


class ServerSink:
    """A running server. Raises: ImportFailed, it does not answer, or the key is not one of the tenant."""

    threads = 2

    def __init__(self, client: Client, tenant_id: TenantId) -> None:
        self.client = client
        self._check_tenant(tenant_id)

    def _check_tenant(self, tenant_id: TenantId) -> None:
        """Ask for the tenant's own stream, which no other tenant's key finds."""
        deadline = monotonic() + _QUICK_S
        while True:
            try:
                self.client.get(f"/v1/audit/streams/tenant-{tenant_id}?limit=1", patience_s=_QUICK_S)
            except ServerGone as error:
                raise ImportFailed(_no_server(error)) from error
            except ServerRefused as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise ImportFailed(f"the server at {self.client.url} refuses: {error}") from error
                if monotonic() > deadline:
                    raise ImportFailed(
                        f"the API key in FACTLINE_API_KEY is not one of tenant {tenant_id}; if the tenant is not known"
                        f" yet, register it with `factline tenants add {tenant_id}`"
                    ) from error
            else:
                return
            # a tenant registered this moment is not in the view yet
            sleep(_QUICK_S / 10)

    def commands(self, batch: Sequence[Submission]) -> Sequence[CommandTaken]:
        with _server_errors():
            try:
                replies = replies_to(self.client, [command_json(submission) for submission in batch])
            except ServerRefused as error:
                if error.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                    raise
                if len(batch) == 1:
                    return [CommandTaken(kind=Kind.INVALID.value, reason=str(error))]
                half = len(batch) // 2
                return [*self.commands(batch[:half]), *self.commands(batch[half:])]
        return [told_by(reply) for reply in replies]

    def facts(self, batch: Sequence[FactSubmission]) -> FactsTaken:
        body = orjson.dumps([_fact_json(fact) for fact in batch], option=orjson.OPT_UTC_Z)
        with _server_errors():
            try:
                reply = self.client.post("/v1/telemetry", body, safe=True)
            except ServerRefused as error:
                # the answer to a batch of which every fact is refused
                if "refused" not in error.problem:
                    raise
                reply = error.problem
        refused = {int(refusal["line"]) - 1: str(refusal["reason"]) for refusal in reply["refused"]}
        return FactsTaken(int(reply["accepted"]), int(reply["repeated"]), refused)

    def stop(self) -> None:
        self.client.stop()


def replies_to(client: Client, commands: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Send commands in one request, and those again for which the server had no room; return a reply for each."""
    return every_reply(lambda some: client.post("/v1/commands", orjson.dumps(some), safe=True)["replies"], commands)


class SinkOf(NamedTuple):
    """Where an import goes. Shape: a `data_dir`, or else a server's `url` and an API key."""

    data_dir: Path | None
    url: str
    api_key: str | None

    @contextmanager
    def open(self, tenant_id: TenantId) -> Iterator[Sink]:
        """Raises: ImportFailed."""
        if self.data_dir is not None:
            # the engines take a second to load, and a server needs none here
            from infra.cli.import_directory import opened  # noqa: PLC0415

            with opened(self.data_dir, tenant_id) as sink:
                yield sink
            return
        if not self.api_key or not self.api_key.isascii():
            raise ImportFailed(
                f"no API key of tenant {tenant_id}; set FACTLINE_API_KEY to it, or use --data-dir without a server"
            )
        try:
            client = Client(self.url, self.api_key.strip())
        except ServerGone as error:
            raise ImportFailed(_no_server(error)) from error
        try:
            yield ServerSink(client, tenant_id)
        finally:
            client.close()


def _no_server(error: ServerGone) -> str:
    return f"{error}; start one with `factline serve`, name another with FACTLINE_URL, or use --data-dir without one"


@contextmanager
def _server_errors() -> Iterator[None]:
    try:
        yield
    except (ServerGone, ServerRefused) as error:
        raise ImportFailed(f"{error}; {AGAIN}") from error


def _fact_json(submission: FactSubmission) -> dict[str, Any]:
    return {
        "type": submission.fact.TYPE,
        "device_id": submission.device_id,
        "happened_at": submission.happened_at,
        "id": submission.fact_id,
        "data": submission.fact,
    }
