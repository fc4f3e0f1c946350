"""This puts the embedded profile together: one process and one folder, with SQLite and chDB in it."""

from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.clickhouse.analytics import ClickHouseAnalytics
from infra.clickhouse.tables import NoRoom
from infra.data_dir import KEYS_FILE, MASTER_KEY_FILE, DataDir, DataDirError, operator_key
from infra.release import check_release
from infra.river.scorer import new_scorer
from infra.settings import silence_of
from infra.sqlite.credentials import SqliteCredentials
from infra.sqlite.dead_letters import SqliteDeadLetters
from infra.sqlite.documents import SqliteDocuments
from infra.sqlite.event_log import SqliteEventLog
from infra.sqlite.key_store import SqliteKeyStore
from infra.sqlite.scratch import clear, scratch
from infra.sqlite.snapshots import SqliteSnapshots
from infra.sqlite.timeline import SqliteTimeline
from infra.sqlite.watch_states import SqliteWatchStates
from projections.catalog import of_role
from projections.keys import KeysUnusable
from projections.rows import Role
from projections.stores import StoreUnavailable, ViewWriter
from read_api.edge.auth import Unauthenticated, parse_key, verify
from schemas.envelope import SYSTEM_TENANT, Actor, ActorType, StreamId, TenantId
from streams.correlate.local import LocalCorrelator
from streams.intake.http.onboarding import onboard
from streams.ports import LogDamaged, LogIdentity, LogUnavailable, Submission, SystemClock
from streams.project.local_runner import RoleRunner
from streams.project.operations import LocalOperations
from streams.shared_log import SharedLog
from streams.write.personal import PersonalLog
from streams.write.snapshots import code
from streams.write.writer import Writer

DEMO_TENANT = TenantId("demo")

_NOTED_EVERY_S = 60.0
"""To write how far a view of analytics has come costs a file of its own; what is read again is applied once."""

_FIRST_START = Actor(ActorType.SYSTEM, "first-start")


class Embedded:
    """A data directory, opened: its log and its writer; its views when they are first asked for.

    Raises: DataDirError, the directory cannot be used; HalfRelease.
    """

    def __init__(self, data_dir: Path) -> None:
        check_release()
        self.dir = DataDir(data_dir)
        self.clock = SystemClock()
        try:
            log = self.dir.log()
            self.identity = log.identity
            # before the log: a folder whose personal fields do not open is not written to
            files = (data_dir / KEYS_FILE, data_dir / MASTER_KEY_FILE)
            self.keys = SqliteKeyStore(*files, of=log.identity, made=log.has_keys)
            self.log = SqliteEventLog(data_dir, self.clock, identity=log.identity, made=log.made)
            if not (log.made and log.has_keys):
                self.dir.keep_log(log._replace(made=True, has_keys=True))
        except (LogUnavailable, LogDamaged, StoreUnavailable, KeysUnusable) as error:
            if "keys" in self.__dict__:
                self.keys.close()
            self.dir.close()
            raise DataDirError(f"the log in {data_dir} cannot be opened: {error}") from error
        self.credentials = SqliteCredentials(data_dir / "events.sqlite")
        self.snapshots = SqliteSnapshots(data_dir / "snapshots.sqlite", code())
        self.writer = Writer(PersonalLog(self.log, self.keys), self.clock, snapshots=self.snapshots)

    @classmethod
    def open(cls, data_dir: Path) -> Self:
        return cls(data_dir)

    @cached_property
    def views(self) -> "Views":
        try:
            return Views(self)
        except NoRoom as error:
            raise DataDirError(f"the views cannot be opened: {error}") from error
        except (StoreUnavailable, LogDamaged) as error:
            folder = self.dir.folder("views")
            raise DataDirError(
                f"the views cannot be opened: {error}; remove the folder {folder}, the next start makes it from the log"
            ) from error

    def has_tenant(self, tenant_id: TenantId) -> bool:
        return bool(self.log.read_stream(tenant_id, StreamId(f"tenant-{tenant_id}"), after=0, limit=1))

    def first_start(self) -> str | None:
        """Register the operator and the tenant `demo` where they are not; return the API key of a new demo, this once.

        Shape: an operator whose key is lost, revoked or was never recorded gets another one.
        """
        new: list[Submission] = []
        if not self._operators_key_works():
            operator = onboard(SYSTEM_TENANT, "operator of this machine", _FIRST_START)
            # the file first: a crash in between leaves a key that opens nothing, and the next start makes another
            self.dir.keep_operator_key(operator.api_key)
            # all but its registration, where it has one
            new += operator.submissions[1:] if self.has_tenant(SYSTEM_TENANT) else operator.submissions
        demo = None if self.has_tenant(DEMO_TENANT) else onboard(DEMO_TENANT, "Demo", _FIRST_START)
        new += demo.submissions if demo else ()
        if new:
            self.writer.write(new)
        return demo.api_key if demo else None

    def _operators_key_works(self) -> bool:
        try:
            kept = parse_key(operator_key(self.dir.path))
        except Unauthenticated:
            return False
        try:
            return verify(kept, self.credentials.find(kept.id)).tenant_id == SYSTEM_TENANT
        except Unauthenticated:
            return False

    def close(self) -> None:
        if "views" in self.__dict__:
            self.views.close()
        self.snapshots.close()
        self.credentials.close()
        self.log.close()
        self.keys.close()
        self.dir.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Views:
    """The read side of a data directory: three stores, a projector for each, and what an operator does with them."""

    def __init__(self, embedded: Embedded) -> None:
        folder = embedded.dir.folder("views")
        # with the views goes what was said of them
        clear(folder)
        of = embedded.identity
        self.dead_letters = SqliteDeadLetters(folder / "dead_letters.sqlite", of)
        self.timeline = SqliteTimeline(folder / "timeline.sqlite", of_role(Role.TIMELINE), of)
        self.documents = SqliteDocuments(folder / "documents.sqlite", of_role(Role.DOCUMENTS), of)
        analytics = folder / "analytics"
        _claim(analytics, of)
        dsn = f"chdb://{analytics.resolve()}"
        self.analytics = ClickHouseAnalytics(dsn, of_role(Role.ANALYTICS), noted_every_s=_NOTED_EVERY_S)
        stores: dict[Role, ViewWriter] = {
            Role.TIMELINE: self.timeline,
            Role.ANALYTICS: self.analytics,
            Role.DOCUMENTS: self.documents,
        }
        log = SharedLog(embedded.log)
        self._watch_states = SqliteWatchStates(folder / "correlation.sqlite", of)
        self.correlator = LocalCorrelator(log, self._watch_states, new_scorer, silence=silence_of())
        self.runners = [
            RoleRunner(role, of_role(role), log=log, store=store, dead_letters=self.dead_letters, clock=embedded.clock)
            for role, store in stores.items()
        ]
        self.operations = LocalOperations(
            self.runners,
            log=embedded.log,
            dead_letters=self.dead_letters,
            clock=embedded.clock,
            scratch=partial(scratch, folder),
            correlator=self.correlator,
        )

    def catch_up(self) -> None:
        """Read the log to its end in this thread."""
        for runner in self.runners:
            runner.catch_up()

    def close(self) -> None:
        self.correlator.stop()
        for runner in self.runners:
            runner.stop()
        for store in (self.timeline, self.documents, self.analytics, self.dead_letters, self._watch_states):
            store.close()


def _claim(folder: Path, of: LogIdentity) -> None:
    """Write beside a folder of the engine's own which log its views are of. Raises: LogDamaged, they are of another."""
    file = folder.with_name("analytics.log")
    if not folder.exists() or not file.exists():
        file.write_text(f"{of}\n", encoding="utf-8")
    elif (found := file.read_text(encoding="utf-8").strip()) != str(of):
        raise LogDamaged(f"the views of analytics are of the log {found}, not of {of}")
