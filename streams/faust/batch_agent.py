"""A Faust agent carries batches into a sink; it waits out an outage, and ends the process on anything else."""

import asyncio
import logging
import os
import random
import signal
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn, Protocol, cast

from faust import Service, Stream
from faust.types import TP, EventT

from projections.stores import StoreUnavailable
from streams.faust.batch_chain import Chain
from streams.faust.batch_transport import BatchApp, BrokerError, Committed, Consumer, Limits, Record, batch_of
from streams.newer import NeedsUpdate
from streams.ports import LogUnavailable, Overloaded

_LOG = logging.getLogger(__name__)

UNEXPECTED = 70
"""The exit status of a worker that met what it does not know; started again, it goes on from the last commit."""

TRY_LIMIT_S = 120.0
"""A sink that has not returned by then hangs; its own time-outs are far shorter."""

LOOK_S = 1.0
GATHER_S = 0.002
STOP_LIMIT_S = 30.0
FIRST_BACKOFF_S = 0.1
MAX_BACKOFF_S = 15.0

State = Literal["starting", "live", "waiting"]


class Sink(Protocol):
    """Where batches go. Its methods run in a thread, never two at a time."""

    def starts(self, committed: Mapping[TP, Committed | None]) -> Mapping[TP, int]:
        """Return the offsets to start from, for those partitions that shall not start where the group committed.

        Shape: called for all partitions of a new assignment at once; whatever is known of them is to be read anew.
        Raises: StoreUnavailable, asked again.
        """

    def apply(self, batches: Mapping[TP, Sequence[Record]]) -> Mapping[TP, str]:
        """Keep batches, whose effect is once however often they come; return the marks of the commits that cover them.

        Raises: StoreUnavailable, they are tried again, for as long as it takes.
        """

    def is_elsewhere(self) -> bool:
        """Tell whether the topics are another log than the one that `starts` saw; asked every LOOK_S.

        Shape: asked also of a process that has no partition: it has none where the topics are gone.
        Raises: StoreUnavailable, the log does not say, asked again.
        """

    def look(self) -> bool:
        """Tell whether everything is to be read anew, from where `starts` says; asked every LOOK_S.

        Raises: StoreUnavailable, asked again.
        """


@contextmanager
def waited_for() -> Iterator[None]:
    """Let the agent wait for the log, for the writer and for an update of this process as it waits for a store."""
    try:
        yield
    except (LogUnavailable, Overloaded, NeedsUpdate) as error:
        raise StoreUnavailable(str(error)) from error


class Broker(NamedTuple):
    """Where Kafka is. Units: a process that is silent for `session_timeout_s` loses its partitions."""

    bootstrap: str
    session_timeout_s: float = 10.0
    options: Mapping[str, Any] = {}


class SinkApp(BatchApp):
    """A worker: one consumer group, one agent, one sink.

    Shape: `sink_state` is "waiting" while the sink does not answer; `sink_error` says why, and `look_error` why it was
    not looked at last time.
    """

    def __init__(
        self, group: str, *, topics: Sequence[str], sink: Sink, broker: Broker, limits: Limits, data_dir: Path
    ) -> None:
        urls = ";".join(f"kafka://{server.strip()}" for server in broker.bootstrap.split(","))
        super().__init__(
            group,
            limits=limits,
            start_of=self._starts,
            broker=urls,
            broker_session_timeout=broker.session_timeout_s,
            broker_heartbeat_interval=broker.session_timeout_s / 4,
            broker_request_timeout=max(40.0, broker.session_timeout_s),
            # an outage does not count: the transport polls while the sink is waited for
            broker_max_poll_interval=600.0,
            # nothing of a commit is lost by the next; what is read again after a kill is what came since the last
            broker_commit_interval=0.5,
            consumer_auto_offset_reset="earliest",
            stream_wait_empty=True,
            topic_disable_leader=True,
            topic_allow_declare=False,
            table_standby_replicas=0,
            store="memory://",
            web_enabled=False,
            worker_redirect_stdouts=False,
            datadir=str(data_dir / "faust" / group),
            **broker.options,
        )
        self.sink = sink
        self.sink_state: State = "starting"
        self.sink_error: str | None = None
        self.look_error: str | None = None
        self.applied = 0
        self._turn = asyncio.Lock()
        self._arrived: deque[EventT[Any]] = deque()
        self._some_arrived = asyncio.Event()
        self.agent(self.batches_of(*topics), name="apply")(cast("Any", self._follow))

    @property
    def batches(self) -> Consumer:
        return cast("Consumer", self.consumer)

    @property
    def chains(self) -> Mapping[TP, Chain]:
        """Return how far each partition is; nothing before the first assignment."""
        return {} if self.sink_state == "starting" else self.batches.chains

    async def _starts(self, committed: Mapping[TP, Committed | None]) -> Mapping[TP, int]:
        backoff = _Backoff()
        while True:
            try:
                starts: Mapping[TP, int] = await self._in_thread(self.sink.starts, committed)
            except StoreUnavailable as unavailable:
                await self._wait(unavailable, backoff)
                if self._is_leaving():
                    return {}
            else:
                self.sink_state, self.sink_error = "live", None
                return starts

    async def _follow(self, batches: "Stream[Any]") -> None:
        async for event in cast("Stream[Any]", batches.noack()).events():
            self._arrived.append(event)
            self._some_arrived.set()

    @Service.task
    async def _apply(self) -> None:
        # not until it stops: the batch in hand is finished while it does
        while True:
            await self._some_arrived.wait()
            # what one poll brought comes partition by partition, and goes to the sink together
            await asyncio.sleep(GATHER_S)
            self._some_arrived.clear()
            while events := self._next():
                await self._take(events)

    def _next(self) -> "Sequence[EventT[Any]]":
        """Return what goes to the sink at once: whatever has come, but no more than one batch may hold."""
        if self._is_leaving():
            while self._arrived:
                self.batches.give_up(batch_of(self._arrived.popleft()))
        events: list[EventT[Any]] = []
        room, size = self.limits.batch_records, self.limits.batch_bytes
        while self._arrived:
            message = batch_of(self._arrived[0])
            room, size = room - message.records, size - message.size
            if events and (room < 0 or size < 0):
                break
            events.append(self._arrived.popleft())
        return events

    async def _take(self, events: "Sequence[EventT[Any]]") -> None:
        backoff = _Backoff()
        # what was taken away while it waited is not applied: another process may be further already
        while events := [event for event in events if self.batches.holds(batch_of(event))]:
            records: dict[TP, list[Record]] = {}
            for message in map(batch_of, events):
                records.setdefault(message.tp, []).extend(cast("Sequence[Record]", message.value))
            try:
                marks: Mapping[TP, str] = await self._in_thread(self.sink.apply, records)
            except StoreUnavailable as unavailable:
                await self._wait(unavailable, backoff)
                if self._is_leaving():
                    for event in events:
                        self.batches.give_up(batch_of(event))
            else:
                for event in events:
                    message = batch_of(event)
                    message.mark = marks[message.tp]
                    event.ack()
                    self.applied += message.records
                self.sink_state, self.sink_error = "live", None
                return

    @Service.task
    async def _look(self) -> None:
        while not self.should_stop:
            await self.sleep(LOOK_S)
            try:
                if await self._in_thread(self.sink.is_elsewhere):
                    # a consumer whose topics were deleted does not find those that have their names since
                    _LOG.critical("%s ends: its topics were made anew; its successor compares them", self.conf.id)
                    end_process()
                # between two assignments, or without a partition, what the sink knows is not this process's any more
                if self.chains and await self._in_thread(self.sink.look):
                    self.batches.read_anew()
            except StoreUnavailable as unavailable:
                # seen also where no batch comes that would meet it
                self.look_error = str(unavailable)
            else:
                self.look_error = None

    async def _in_thread(self, work: Any, *args: Any) -> Any:
        try:
            async with self._turn, asyncio.timeout(TRY_LIMIT_S):
                return await asyncio.to_thread(work, *args)
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, this process does not know what to do about it
            _LOG.exception("%s ends: what is not acknowledged is read again by its successor", self.conf.id)
            end_process()

    async def _wait(self, unavailable: StoreUnavailable, backoff: "_Backoff") -> None:
        if self.sink_state != "waiting":
            _LOG.warning("%s waits: %s", self.conf.id, unavailable)
        self.sink_state, self.sink_error = "waiting", str(unavailable)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.batches.suspend_flow.wait(), backoff.next_s())

    def _is_leaving(self) -> bool:
        # and not `rebalancing`, which is true for a moment longer than nothing is delivered
        return self.should_stop or not self.batches.flow_active


class _Backoff:
    def __init__(self) -> None:
        self._seconds = FIRST_BACKOFF_S

    def next_s(self) -> float:
        seconds, self._seconds = self._seconds, min(self._seconds * 2, MAX_BACKOFF_S)
        return seconds * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret


def end_process() -> NoReturn:
    """End at once: nothing inside Faust restarts reliably, everything outside it does."""
    logging.shutdown()
    os._exit(UNEXPECTED)


async def run(app: SinkApp) -> None:
    """Work until SIGINT or SIGTERM: then finish the batch in hand, commit, and leave the group."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    app.conf.datadir.mkdir(parents=True, exist_ok=True)
    try:
        await app.start()
    except BrokerError as error:
        _LOG.critical("%s ends, it does not reach kafka: %s", app.conf.id, error)
        end_process()
    await app.wait_first(stop.wait())
    if app.crashed:
        _LOG.critical("%s ends: %r", app.conf.id, app.crash_reason)
        end_process()
    try:
        await asyncio.wait_for(app.stop(), STOP_LIMIT_S)
    except TimeoutError:
        _LOG.warning("%s could not leave in time; what it had in hand is read again", app.conf.id)
        end_process()
