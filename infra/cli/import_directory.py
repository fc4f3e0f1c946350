"""An import puts what it has read into a data directory that nobody has open."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from infra.data_dir import DataDirError
from infra.embedded import Embedded
from schemas.envelope import TenantId
from streams.intake.importing.sink import AGAIN, IMPORTER, CommandTaken, FactsTaken, ImportFailed, taken
from streams.ports import FactSubmission, LogUnavailable, Submission


class EmbeddedSink:
    """A data directory, opened by this process. Raises: ImportFailed, the tenant is not known there."""

    threads = 1

    def __init__(self, embedded: Embedded, tenant_id: TenantId) -> None:
        if not embedded.has_tenant(tenant_id):
            add = f"factline tenants add {tenant_id} --data-dir {embedded.dir.path}"
            raise ImportFailed(f"tenant {tenant_id} is not known; register it with `{add}`")
        self.embedded = embedded
        self._tenant_id = tenant_id

    def commands(self, batch: Sequence[Submission]) -> Sequence[CommandTaken]:
        with _log_errors():
            replies = self.embedded.writer.write(batch)
        return [taken(reply) for reply in replies]

    def facts(self, batch: Sequence[FactSubmission]) -> FactsTaken:
        with _log_errors():
            reply = self.embedded.log.append_facts(self._tenant_id, batch, IMPORTER)
        return FactsTaken(reply.accepted, reply.repeated, {})

    def stop(self) -> None:
        """Do nothing: a directory is never waited for."""


@contextmanager
def opened(data_dir: Path, tenant_id: TenantId) -> Iterator[EmbeddedSink]:
    """Raises: ImportFailed."""
    if not (data_dir / "factline.json").exists():
        raise ImportFailed(f"there is no factline data in {data_dir}; `factline serve --data-dir {data_dir}` makes it")
    try:
        embedded = Embedded.open(data_dir)
    except DataDirError as error:
        raise ImportFailed(f"{error}: leave out --data-dir, and set FACTLINE_URL and FACTLINE_API_KEY") from error
    with embedded:
        yield EmbeddedSink(embedded, tenant_id)


@contextmanager
def _log_errors() -> Iterator[None]:
    try:
        yield
    except LogUnavailable as error:
        raise ImportFailed(f"{error}; {AGAIN}") from error
