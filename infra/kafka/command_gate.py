"""A gateway sends commands to the partitions of their tenants here, and waits for the replies."""

import asyncio
import logging
import random
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from uuid_utils import uuid7

from domain.rejection import Kind
from infra.kafka.command_queue import REPLY_TO
from infra.kafka.connection import TOO_LARGE, Connection, high_watermarks, kafka_errors
from infra.kafka.sealed_commands import SealedCommands, message_of
from schemas.partitioning import partition_of
from streams.ports import CALLER_WAITS_S, LogUnavailable, OutcomeUnknown, Overloaded, Refusal, Reply, Submission
from streams.topics import COMPRESSION, Topics
from streams.write.messages import decode_reply, encode_inquiry
from streams.write.outcomes import Inquiry

_LOG = logging.getLogger(__name__)

MAX_IN_FLIGHT = 10_000
"""Commands that may wait for their reply; one more is answered 503, because memory is not a queue."""

_DELIVERY_TIMEOUT_MS = 10_000
_POLL_S = 0.5
_REPLIES_AT_ONCE = 1_000


class KafkaCommandGate:
    """Gate of any number of callers of one event loop.

    Reads one partition of the replies, chosen by chance, and takes from it what is addressed to this process.
    """

    def __init__(
        self,
        connection: Connection,
        topics: Topics,
        *,
        sealing: SealedCommands | None = None,
        max_in_flight: int = MAX_IN_FLIGHT,
        timeout_s: float = CALLER_WAITS_S,
    ) -> None:
        """Shape: without `sealing`, no command that may carry personal data is taken.

        Raises: LogUnavailable, safe to retry.
        """
        self._failing: dict[str, str] = {}
        self._sealing = sealing
        self._topics = topics
        self._max_in_flight = max_in_flight
        self._timeout_s = timeout_s
        self._partition = random.randrange(topics.partitions)  # noqa: S311 - spreads load, keeps no secret
        self._address = f"{self._partition}|{uuid7()}|"
        self._numbers = count(1)
        self._waiting: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Future[Reply]]] = {}
        self._stopping = threading.Event()
        with kafka_errors():
            self._producer: Producer = connection.producer(
                linger_ms=1, delivery_timeout_ms=_DELIVERY_TIMEOUT_MS, compression_type=COMPRESSION
            )
            # a reply is sent after its commit and in no transaction: nothing that others leave open may hold it up
            self._replies: Consumer = connection.consumer(
                f"{topics.prefix}.gateways", auto_offset_reset="latest", isolation_level="read_uncommitted"
            )
            self._replies.assign([self._end_of_replies(connection.admin())])
        self._threads = [
            threading.Thread(target=self._go_on, args=(work, name), name=name, daemon=True)
            for work, name in ((self._read_replies, "replies"), (self._report, "command-reports"))
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._producer.flush(1)
        self._replies.close()

    @property
    def error(self) -> str | None:
        """Return why answers do not come for now, None where they do."""
        return "; ".join(f"{name}: {why}" for name, why in list(self._failing.items())) or None

    async def execute(self, submission: Submission) -> Reply:
        """Return the reply once it is durable.

        Raises: Overloaded, nothing was taken; OutcomeUnknown, no reply came in time: retry under the same id.
        """
        reply = await self._answer(submission)
        if reply is None:
            refusal = Refusal(Kind.INVALID, "the command is larger than the log takes, about 1 MB")
            return Reply(submission.command_id, "refused", submission.command.stream, 0, refusal=refusal)
        return reply

    async def execute_many(self, submissions: Sequence[Submission]) -> Sequence[Reply | BaseException]:
        """Return a reply for each, in order, or what `execute` raises for it."""
        return await asyncio.gather(*map(self.execute, submissions), return_exceptions=True)

    async def outcome(self, inquiry: Inquiry) -> Reply:
        """Return what `streams.write.outcomes.outcome` says. Raises: as `execute`."""
        reply = await self._answer(inquiry)
        if reply is None or (reply.refusal is not None and reply.refusal.kind is Kind.INVALID and not reply.repeated):
            # the question itself was refused, by a worker of an earlier version
            raise LogUnavailable("the tenant's command worker does not know this question")
        return reply

    async def _answer(self, asked: Submission | Inquiry) -> Reply | None:
        """Return the writer's answer, None where the message was too large to be sent. Raises: as `execute`."""
        if len(self._waiting) >= self._max_in_flight:
            raise Overloaded
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Reply] = loop.create_future()
        reply_to = f"{self._address}{next(self._numbers)}"
        self._waiting[reply_to] = (loop, answer)
        try:
            if not self._send(asked, reply_to):
                return None
            return await asyncio.wait_for(answer, self._timeout_s)
        except TimeoutError:
            raise OutcomeUnknown("no writer has answered; send it again under the same id") from None
        finally:
            del self._waiting[reply_to]

    def _send(self, asked: Submission | Inquiry, reply_to: str) -> bool:
        """Produce the message; False if it is too large to be one."""
        message = message_of(asked, self._sealing) if isinstance(asked, Submission) else encode_inquiry(asked)

        def report(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                # the broker may have it all the same
                self._settle([(reply_to, OutcomeUnknown(f"the command was not delivered: {error.str()}"))])

        try:
            self._producer.produce(
                self._topics.commands,
                message,
                asked.tenant_id,
                partition_of(asked.tenant_id, self._topics.partitions),
                report,
                headers=[(REPLY_TO, reply_to)],
            )
        except BufferError:
            raise Overloaded from None
        except KafkaException as error:
            if error.args[0].code() in TOO_LARGE:
                return False
            raise LogUnavailable(f"the command was not sent: {error}") from error
        return True

    def _end_of_replies(self, admin: AdminClient) -> TopicPartition:
        """Return where this process's first reply will be, or after that: asked for before its first command."""
        ends = high_watermarks(admin, self._topics.replies, [self._partition])
        return TopicPartition(self._topics.replies, self._partition, ends[self._partition])

    def _go_on(self, work: Callable[[], object], name: str) -> None:
        while not self._stopping.is_set():
            try:
                work()
            except Exception as error:  # noqa: BLE001 - whatever it is: without this thread nobody gets an answer
                self._failing[name] = f"{type(error).__name__}: {error}"
                _LOG.exception("the thread %s failed; it goes on", name)
                self._stopping.wait(_POLL_S)
            else:
                self._failing.pop(name, None)

    def _read_replies(self) -> None:
        if (first := self._replies.poll(_POLL_S)) is not None:
            messages = [first, *self._replies.consume(_REPLIES_AT_ONCE, 0)]
            self._settle([(_key(message), self._reply(message)) for message in messages if self._is_mine(message)])

    def _is_mine(self, message: Message) -> bool:
        if (error := message.error()) is not None:
            _LOG.warning("reading replies: %s", error.str())
            return False
        return _key(message) in self._waiting

    def _reply(self, message: Message) -> Reply | LogUnavailable:
        try:
            return decode_reply(message.value() or b"")
        except (ValueError, TypeError, LookupError) as error:
            return OutcomeUnknown(f"the reply cannot be read: {error}")

    def _report(self) -> None:
        self._producer.poll(_POLL_S)

    def _settle(self, answers: Sequence[tuple[str, Reply | LogUnavailable]]) -> None:
        """Give the answers to those who wait, in their own thread, with one wake-up for all."""
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Reply], Reply | LogUnavailable]]] = {}
        for reply_to, answer in answers:
            if waiting := self._waiting.get(reply_to):
                by_loop.setdefault(waiting[0], []).append((waiting[1], answer))
        for loop, settled in by_loop.items():
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_set_all, settled)


def _set_all(settled: Sequence[tuple[Any, Reply | LogUnavailable]]) -> None:
    for future, answer in settled:
        if future.done():
            continue
        if isinstance(answer, Reply):
            future.set_result(answer)
        else:
            future.set_exception(answer)


def _key(message: Message) -> str:
    key = message.key()
    return key.decode(errors="replace") if isinstance(key, bytes) else str(key)
