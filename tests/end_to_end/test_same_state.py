"""Whatever is commanded: the views and states are the same live, after a restart and after a rebuild."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.message import Command
from infra.embedded import Embedded
from infra.sqlite.dead_letters import SqliteDeadLetters
from infra.sqlite.documents import SqliteDocuments
from infra.sqlite.event_log import SqliteEventLog
from infra.sqlite.scratch import scratch
from infra.sqlite.timeline import SqliteTimeline
from projections.catalog import PROJECTIONS, of_role
from projections.rows import Role
from schemas.envelope import StreamKey, TenantId, Topic
from streams.ports import FactSubmission, SystemClock
from streams.project.local_runner import RoleRunner
from streams.project.operations import LocalOperations
from streams.project.step import Step
from streams.write.states import StreamState, fold
from streams.write.writer import Writer
from tests.strategies import messages, of_tenant
from tests.streams.kit import TESTER, register_tenant, submission

pytestmark = pytest.mark.full

TENANTS = ("demo", "acme")
SENT = messages()

Said = Sequence[Command] | Sequence[FactSubmission] | None
Rows = dict[str, list[Any]]

steps: st.SearchStrategy[list[tuple[str, Any]]] = st.lists(
    st.tuples(
        st.sampled_from(TENANTS),
        # None: the views read on
        st.lists(SENT.commands, min_size=10, max_size=30) | SENT.facts | st.none(),
    ),
    min_size=4,
    max_size=12,
)


class Small:
    """A data directory without the analytics engine, which takes a second to open."""

    def __init__(self, folder: Path) -> None:
        self.log = SqliteEventLog(folder)
        self.writer = Writer(self.log, SystemClock())
        self.letters = SqliteDeadLetters(folder / "letters.sqlite")
        self._stores = {
            Role.TIMELINE: SqliteTimeline(folder / "timeline.sqlite", of_role(Role.TIMELINE)),
            Role.DOCUMENTS: SqliteDocuments(folder / "documents.sqlite", of_role(Role.DOCUMENTS)),
        }
        clock = SystemClock()
        self.runners = [
            RoleRunner(role, of_role(role), log=self.log, store=store, dead_letters=self.letters, clock=clock)
            for role, store in self._stores.items()
        ]
        self.operations = LocalOperations(
            self.runners, log=self.log, dead_letters=self.letters, clock=clock, scratch=partial(scratch, folder)
        )

    def catch_up(self) -> None:
        for runner in self.runners:
            runner.catch_up()

    def close(self) -> None:
        for store in self._stores.values():
            store.close()
        self.letters.close()
        self.log.close()


@contextmanager
def small(folder: Path) -> Iterator[Small]:
    opened = Small(folder)
    try:
        yield opened
    finally:
        opened.close()


def say(opened: Small | Embedded, catch_up: Any, said: Sequence[tuple[str, Said]]) -> None:
    opened.writer.write([register_tenant(tenant) for tenant in TENANTS])
    for tenant, what in said:
        if what is None:
            catch_up()
        elif isinstance(what[0], FactSubmission):
            opened.log.append_facts(TenantId(tenant), what, TESTER)  # type: ignore[arg-type]
        else:
            commands = [of_tenant(command, TenantId(tenant)) for command in what]  # type: ignore[arg-type]
            opened.writer.write([submission(command, tenant=tenant) for command in commands])
    catch_up()


def rows_of(runners: Sequence[RoleRunner]) -> Rows:
    """Return what the live build of each view holds."""
    return {
        name: [row for tenant in run_tenants(runner, name) for row in runner.store.scan(runner.runs[name].view, tenant)]
        for runner in runners
        for name in runner.runs
    }


def run_tenants(runner: RoleRunner, name: str) -> Sequence[TenantId]:
    return sorted(runner.store.tenants(runner.runs[name].view))


def states_of(log: SqliteEventLog) -> dict[StreamKey, StreamState]:
    events = log.read(Topic.EVENTS, 0, after=0, limit=100_000)
    return {key: fold(history) for key, history in log.read_streams({entry.key for entry in events}).items()}


def ignore(_step: Step) -> None:
    pass


@pytest.mark.full
@pytest.mark.timeout(900)
@given(said=steps)
@settings(max_examples=12)
def test_timeline_and_documents_are_the_same_live_after_a_restart_and_after_a_rebuild(said: Any) -> None:
    with TemporaryDirectory() as folder:
        with small(Path(folder)) as live:
            say(live, live.catch_up, said)
            seen = rows_of(live.runners)
            states = dict(live.writer._cache)
            assert not any(run.parked.streams for runner in live.runners for run in runner.runs.values())
        with small(Path(folder)) as restarted:
            assert rows_of(restarted.runners) == seen
            restarted.catch_up()
            assert rows_of(restarted.runners) == seen
            assert states_of(restarted.log) == {key: state for key, state in states.items() if state.version}
            for name in list(restarted.operations.names()):
                assert restarted.operations.verify(name, ignore).differences == 0
                restarted.operations.rebuild(name, ignore)
            assert rows_of(restarted.runners) == seen
        with TemporaryDirectory() as other:
            # the views made at once, from nothing
            for file in ("events.sqlite", "telemetry.sqlite"):
                (Path(other) / file).write_bytes((Path(folder) / file).read_bytes())
            with small(Path(other)) as again:
                again.catch_up()
                assert rows_of(again.runners) == seen


@given(said=steps)
@settings(max_examples=2)
def test_all_views_are_the_same_live_after_a_restart_and_after_a_rebuild(said: Any) -> None:
    with TemporaryDirectory() as folder:
        with Embedded.open(Path(folder)) as live:
            say(live, live.views.catch_up, said)
            seen = rows_of(live.views.runners)
        assert set(seen) == {projection.name for projection in PROJECTIONS}
        with Embedded.open(Path(folder)) as restarted:
            restarted.views.catch_up()
            assert rows_of(restarted.views.runners) == seen
            for name in list(restarted.views.operations.names()):
                assert restarted.views.operations.verify(name, ignore).differences == 0
                restarted.views.operations.rebuild(name, ignore)
            assert rows_of(restarted.views.runners) == seen
