"""This Faust transport delivers the records of a poll as one message for each partition, and commits batches.

Faust's own transport delivers record by record (100 µs each), reads uncommitted transactions, and commits past batches
that were not acknowledged. What is kept of it: group membership, rebalancing, flow control, agents.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, ClassVar, NamedTuple, Protocol, cast

import faust
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import CommitFailedError, ConsumerStoppedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, AppT, EventT, Message, TopicT
from faust.types.transports import TPorTopicSet, TransportT
from faust.types.tuples import ConsumerMessage
from mode.types import ServiceT
from mode.utils.futures import notify

from streams.faust.batch_chain import Chain

_LOG = logging.getLogger(__name__)

BrokerError = KafkaError
"""What the transport raises where the broker does not answer."""

FETCH_WAIT_MS = 50
COMMIT_TIMEOUT_S = 10.0
POLL_S = 0.5
POLL_WHILE_HELD_S = 0.02
"""A poll is this short while a partition is held back, so that it is read again soon after it has room."""


class Record(Protocol):
    """What the list in a message holds: aiokafka's ConsumerRecord."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Limits(NamedTuple):
    """How much a batch may hold, and a process.

    Units: `batch_bytes` counts values. `in_hand` is the number of unacknowledged records from which on a partition that
    still has some gets no more. `linger_s` is waited between two polls at the end of the log, for larger batches.
    """

    batch_records: int = 5_000
    batch_bytes: int = 4 * 1024 * 1024
    in_hand: int = 20_000
    linger_s: float = 0.0


class Committed(NamedTuple):
    """What the broker has for a partition: the next offset to read, and the mark of the batch before it."""

    offset: int
    mark: str


Start = Callable[[Mapping[TP, Committed | None]], Awaitable[Mapping[TP, int]]]
"""Where to begin reading newly assigned partitions: offsets for those that shall not begin where the group committed.

May wait for as long as it takes; a rebalance in between asks again.
"""


async def start_at_committed(_committed: Mapping[TP, Committed | None]) -> Mapping[TP, int]:
    return {}


class BatchMessage(ConsumerMessage):
    """A batch on its way through Faust. `mark` goes with the commit that covers it. Units: `size` counts bytes."""

    __slots__ = ("mark", "size")

    def __init__(self, tp: TP, records: Sequence[Record], generation: int) -> None:
        first: Any = records[0]
        super().__init__(
            tp.topic,
            tp.partition,
            first.offset,
            first.timestamp / 1000,
            first.timestamp_type,
            headers=None,
            key=None,
            value=records,  # type: ignore[arg-type]
            checksum=None,
            tp=tp,
            generation_id=generation,
        )
        self.mark = ""
        self.size = sum(map(_value_bytes, records))

    @property
    def records(self) -> int:
        return len(self.value or ())


class _Polled(NamedTuple):
    generation: int
    records: Mapping[TP, Sequence[Record]]
    next_offsets: Mapping[TP, int]
    ends: Mapping[TP, int]


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """aiokafka's consumer in its thread. What it does for the transport is asked for with `call_thread`."""

    app: "BatchApp"

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        conf = self.app.conf
        return AIOKafkaConsumer(
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            client_id=conf.broker_client_id,
            group_id=conf.id,
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset=conf.consumer_auto_offset_reset,
            max_poll_records=self.app.limits.batch_records,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            check_crcs=conf.broker_check_crcs,
            **driver.credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
        )

    async def poll(self, partitions: frozenset[TP], timeout_s: float, max_records: int) -> _Polled:
        consumer = self._ensure_consumer()
        if consumer._closed:
            raise ConsumerStoppedError
        subscription = consumer._subscription
        # asked for nothing it still counts as a poll: a process that waits for its store stays in the group
        with subscription.fetch_context():
            records = {}
            # aiokafka takes an empty set for all partitions
            if partitions:
                records = await consumer._fetcher.fetched_records(partitions, timeout_s, max_records)
        states = {
            tp: subscription.subscription.assignment.state_value(tp)
            for tp in partitions
            if subscription.is_assigned(TopicPartition(*tp))
        }
        # taken in the thread that fetched, at once: records and offsets of one generation
        return _Polled(
            consumer._coordinator.generation,
            {TP(*tp): batch for tp, batch in records.items()},
            {tp: state.position for tp, state in states.items() if state.has_valid_position},
            {tp: state.lso for tp, state in states.items() if state.lso is not None and state.lso >= 0},
        )

    async def fetch_committed(self, partitions: frozenset[TP]) -> Mapping[TP, Committed | None]:
        wanted = [TopicPartition(*tp) for tp in partitions]
        found = await self._ensure_consumer()._coordinator.fetch_committed_offsets(wanted)
        return {
            tp: Committed(found[tp].offset, found[tp].metadata) if tp in found and found[tp].offset >= 0 else None
            for tp in partitions
        }

    async def start_from(self, offsets: Mapping[TP, int | None]) -> Mapping[TP, int]:
        """Move to these offsets, to the beginning where there is none. Raises: IllegalStateError, taken away."""
        consumer = self._ensure_consumer()
        unknown = [TopicPartition(*tp) for tp, offset in offsets.items() if offset is None]
        first = await consumer.beginning_offsets(unknown) if unknown else {}
        starts = {tp: first[TopicPartition(*tp)] if offset is None else offset for tp, offset in offsets.items()}
        for tp, offset in starts.items():
            consumer.seek(TopicPartition(*tp), offset)
        return starts

    async def commit_marked(self, offsets: Mapping[TP, tuple[int, str]]) -> bool:
        """Commit; True only when the broker said so. What it did not confirm is committed again a moment later."""
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        wanted = {TopicPartition(*tp): OffsetAndMetadata(*what) for tp, what in offsets.items() if tp in assigned}
        if not wanted:
            return False
        try:
            await asyncio.wait_for(consumer.commit(wanted), COMMIT_TIMEOUT_S)
        except (CommitFailedError, IllegalStateError) as error:
            _LOG.info("partitions were taken away before a commit; they are read again from the last one: %s", error)
            return False
        except (KafkaError, TimeoutError) as error:
            _LOG.warning("the broker did not confirm a commit, it is tried again: %r", error)
            return False
        return len(wanted) == len(offsets)


class Consumer(driver.Consumer):
    """Faust's consumer, delivering and committing by batch.

    Shape: `_chains` has the partitions that are read from; it is empty from a rebalance, or from `read_anew`, until
    they have a place to start.
    """

    app: "BatchApp"
    _thread: ConsumerThread

    def __init__(self, transport: TransportT, *args: Any, **kwargs: Any) -> None:
        super().__init__(transport, *args, **kwargs)
        self._chains: dict[TP, Chain] = {}
        self._commits = asyncio.Lock()
        self._polling: asyncio.Task[_Polled] | None = None

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def chains(self) -> Mapping[TP, Chain]:
        return self._chains

    @property
    def is_reading(self) -> bool:
        """Return whether all partitions of this process are read, and the broker said where they end."""
        known = {tp for tp, chain in self._chains.copy().items() if chain.end is not None}
        return self.flow_active and known >= self._active_partitions

    def holds(self, message: Message) -> bool:
        """Return whether a batch may still be applied: its partition was not taken away, nothing before it given up."""
        chain = self._chains.get(message.tp)
        return chain is not None and message in chain

    def give_up(self, message: Message) -> None:
        """Leave a batch unacknowledged because its partition is being taken away or the process ends."""
        if chain := self._chains.get(message.tp):
            chain.give_up()
        self._unacked_messages.discard(message)
        notify(self._waiting_for_ack)

    def read_anew(self) -> None:
        """Leave all that is not acknowledged, and begin again as after an assignment."""
        self._chains.clear()
        self._unacked_messages.clear()
        notify(self._waiting_for_ack)

    # --- rebalancing: chains live from an assignment to the next revocation

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        # waits for the batches in hand and commits them, while the partitions are still ours
        await super().on_partitions_revoked(revoked)
        for tp in revoked:
            self._chains.pop(tp, None)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self._chains.clear()
        await super().on_partitions_assigned(assigned, generation_id)

    async def perform_seek(self) -> None:
        """Do nothing: `_place` knows where to start, and may have to wait for the store to say so."""

    # --- reading

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        try:
            while not (self.should_stop or fetcher.should_stop):
                await self._turn()
        except (ConsumerStoppedError, asyncio.CancelledError):
            if not self.app.should_stop:
                raise
        finally:
            if self._polling:
                self._polling.cancel()
                self._polling = None

    async def _turn(self) -> None:
        polling, self._polling = self._polling, None
        messages = self._take(await polling) if polling else ()
        fresh = frozenset(self._active_partitions) - self._chains.keys()
        if self.flow_active and not fresh:
            # the next poll goes on in its thread while this one is handed over
            self._polling = asyncio.create_task(self._poll())
            await self._hand_over(messages)
        elif self.flow_active:
            await self._place(fresh)
        else:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type] # any event will do

    async def _poll(self) -> _Polled:
        limits = self.app.limits
        if limits.linger_s and all(chain.is_at_end for chain in self._chains.values()):
            await self.sleep(limits.linger_s)
        active = frozenset(self._active_partitions)
        ready = frozenset(tp for tp in active if self._has_room(tp))
        timeout_s = POLL_S if ready == active else POLL_WHILE_HELD_S
        if not ready:
            await self.sleep(timeout_s)
        polled: _Polled = await self._thread.call_thread(self._thread.poll, ready, timeout_s, limits.batch_records)
        return polled

    def _has_room(self, tp: TP) -> bool:
        """A partition with nothing in hand may always be read: a flood in one does not starve the others."""
        chain = self._chains.get(tp)
        if chain is None or chain.broken or chain.in_hand >= 2 * self.app.limits.batch_records:
            return False
        return chain.in_hand == 0 or sum(chain.in_hand for chain in self._chains.values()) < self.app.limits.in_hand

    async def _place(self, fresh: frozenset[TP]) -> None:
        """Find where to start reading, and start a chain there."""
        generation = self.app.consumer_generation_id
        committed: Mapping[TP, Committed | None]
        committed = await self._thread.call_thread(self._thread.fetch_committed, fresh)
        elsewhere = await self.app.start_of(committed)
        wanted = {tp: elsewhere.get(tp, at.offset if at else None) for tp, at in committed.items()}
        if not self._is_current(generation):
            return
        try:
            starts: Mapping[TP, int] = await self._thread.call_thread(self._thread.start_from, wanted)
        except IllegalStateError:
            return
        if not self._is_current(generation):
            return
        for tp, offset in starts.items():
            before = committed[tp]
            if before and before.offset == offset:
                self._chains[tp] = Chain(offset, before.offset, before.mark)
            else:
                # committed as soon as it is known: the group shall not claim more than the store has
                self._chains[tp] = Chain(offset, None, "")

    def _take(self, polled: _Polled) -> Sequence[BatchMessage]:
        """Put on the chains what a poll brought; what no longer belongs to this process is dropped."""
        if not self._is_current(polled.generation):
            # the partitions are being taken away; were they not, nothing may follow what is dropped here
            for tp in polled.records:
                if chain := self._chains.get(tp):
                    chain.give_up()
            return ()
        messages: list[BatchMessage] = []
        for tp, next_offset in polled.next_offsets.items():
            if (chain := self._chains.get(tp)) is None or chain.broken:
                continue
            chain.end = polled.ends.get(tp, chain.end)
            batches = [
                BatchMessage(tp, part, polled.generation)
                for part in split(polled.records.get(tp, ()), self.app.limits.batch_bytes)
            ]
            chain.add(batches, next_offset)
            messages.extend(batches)
        return messages

    async def _hand_over(self, messages: Sequence[BatchMessage]) -> None:
        for message in messages:
            await self.wait_first(self.callback(message), self.suspend_flow.wait())
            if not self.flow_active:
                return

    def _is_current(self, generation: int) -> bool:
        return self.flow_active and generation == self.app.consumer_generation_id

    # --- committing

    async def commit(self, topics: TPorTopicSet | None = None, start_new_transaction: bool = True) -> bool:  # noqa: FBT001, FBT002
        # a caller that gives partitions up must not be content with a commit that began before its last acknowledgement
        async with self._commits:
            return await self.force_commit(topics, start_new_transaction)

    async def force_commit(self, topics: TPorTopicSet | None = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002, FBT001, FBT002
        # Faust keeps lists of single offsets beside ours; nobody reads them
        self._acked.clear()
        self._acked_index.clear()
        chains = dict(self._chains)
        offsets = {tp: what for tp, chain in chains.items() if (what := chain.committable())}
        if not offsets:
            return False
        # what an agent sent is durable before the commit says that it was done
        await self.app.producer.flush()
        if not await self._thread.call_thread(self._thread.commit_marked, offsets):
            return False
        for tp, (offset, _) in offsets.items():
            chains[tp].committed = offset
        return True

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Do nothing: Faust takes an idle partition for a fault; lag and readiness are told elsewhere."""


class Transport(driver.Transport):
    Consumer: ClassVar[type[Consumer]] = Consumer


class _Untouched(faust.Schema[Any, Any]):
    """Hands the list of records on as it is: bytes are decoded in the agent, where a fault has a place to go."""

    def loads_key(self, app: AppT, message: Message, **_: Any) -> None:  # noqa: ARG002 - Faust's names
        return None

    def loads_value(self, app: AppT, message: Message, **_: Any) -> Any:  # noqa: ARG002 - Faust's names
        return message.value


class BatchApp(faust.App):
    """A Faust app on this transport."""

    def __init__(self, id: str, *, limits: Limits, start_of: Start = start_at_committed, **options: Any) -> None:  # noqa: A002
        super().__init__(id, **options)
        self.limits = limits
        self.start_of = start_of

    def _new_transport(self) -> TransportT:
        return Transport(self.conf.broker_consumer, self)

    def batches_of(self, *topics: str) -> TopicT:
        """Return the channel for an agent: the value of its events is a list of Record."""
        return self.topic(*topics, schema=_Untouched())


def batch_of(event: "EventT[Any]") -> BatchMessage:
    return cast("BatchMessage", event.message)


_value_bytes = attrgetter("serialized_value_size")


def split(records: Sequence[Record], batch_bytes: int) -> Iterator[Sequence[Record]]:
    """Yield the records in parts of at most `batch_bytes`; a record larger than that is a part of its own."""
    if sum(map(_value_bytes, records)) <= batch_bytes:
        if records:
            yield records
        return
    first = size = 0
    for n, record in enumerate(records):
        size += _value_bytes(record)
        if size > batch_bytes and n > first:
            yield records[first:n]
            first, size = n, _value_bytes(record)
    yield records[first:]
