"""Many tenants write commands and facts through trouble, and what was accepted says what views must hold.

Commands are decided here, by the one writer of the log: `distributed.py` is about command workers under chaos.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from domain.finance.invoice import ApproveInvoice, CategoriseInvoice
from domain.fleet.alert import AcknowledgeAlert, RaiseAlert
from domain.fleet.device import ChangeDeviceStatus, DeviceStatus, RegisterDevice, TagDevice
from domain.fleet.facts import DeviceMetricsReported
from domain.message import Command, Fact
from infra.kafka.event_log import KafkaEventLog
from infra.kafka.telemetry_log import KafkaTelemetryLog
from schemas.envelope import Position, TenantId, Topic
from streams.ports import FactSubmission, LogUnavailable, Reply, Submission, SystemClock
from streams.write.turn import WriterLost
from streams.write.writer import Writer
from tests.cluster import SCHEMA_IDS, Cluster, waiting
from tests.examples.finance import RECEIVE_INVOICE
from tests.examples.fleet import LOG
from tests.examples.moments import HAPPENED_AT
from tests.streams.kit import TESTER, register_tenant, submission

COMMANDS_AT_ONCE = 200
FACTS_AT_ONCE = 500
FACTS_OF_A_LOG_LINE = 4
"""One fact in so many is a line of a log, the others are readings."""

SENT_TWICE = 10
"""One batch of facts in so many is sent twice, as by a sender that got no answer."""

_DEVICES_REPORTING = 5
_TAKEN_WITHIN_S = 240.0
_AGAIN_S = 0.2


class Recorder:
    """The one writer of a log: asks again, under the same ids, until the log took it."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster, self._folder = cluster, folder
        self._log: KafkaEventLog | None = None
        self._writer: Writer | None = None
        self.tries = 0

    def close(self) -> None:
        if self._log is not None:
            self._log.close()
        self._log = self._writer = None

    def record(self, submissions: Sequence[Submission]) -> Sequence[Reply]:
        deadline = time.monotonic() + _TAKEN_WITHIN_S
        while True:
            self.tries += 1
            try:
                return self._opened(deadline).write(submissions)
            except (LogUnavailable, WriterLost):
                self.close()
                assert time.monotonic() < deadline, f"nothing was recorded in {_TAKEN_WITHIN_S} s"
                time.sleep(_AGAIN_S)

    def _opened(self, deadline: float) -> Writer:
        topics = self._cluster.topics
        if self._log is None:
            self._log = self._cluster.opened(self._folder)
            self._writer = Writer(self._log, SystemClock())
        before = self._log.owned.changes
        # whoever does not ask for commands loses its partitions
        waiting(self._log, timeout_s=0)
        while len(self._log.owned) < topics.partitions:
            assert time.monotonic() < deadline, f"the writer was not given its partitions in {_TAKEN_WITHIN_S} s"
            waiting(self._log)
        assert self._writer is not None
        if self._log.owned.changes != before:
            self._writer.forget()
        return self._writer


class Reporter:
    """Sends facts until they are taken."""

    def __init__(self, cluster: Cluster) -> None:
        self._log = KafkaTelemetryLog(cluster.connection, cluster.topics, schema_ids=SCHEMA_IDS, clock=SystemClock())
        self.tries = 0

    def close(self) -> None:
        self._log.close()

    def report(self, tenant_id: TenantId, facts: Sequence[FactSubmission]) -> Sequence[Position]:
        deadline = time.monotonic() + _TAKEN_WITHIN_S
        while True:
            self.tries += 1
            try:
                return self._log.append_facts(tenant_id, facts, TESTER).positions
            except LogUnavailable:
                assert time.monotonic() < deadline, f"no facts were taken in {_TAKEN_WITHIN_S} s"
                time.sleep(_AGAIN_S)


class Load:
    """Writes commands and facts, as many of all as `allow` has allowed; each in a thread.

    Shape: `ends` are the last positions that were answered; `rows` is what each view must hold in the end.
    """

    def __init__(self, cluster: Cluster, folder: Path, *, tenants: int, commands: int, facts: int) -> None:
        self.commands, self.facts = commands, facts
        self.accepted = self.facts_sent = self.tries = 0
        self.rows: Counter[str] = Counter()
        self.ends: dict[tuple[Topic, int], int] = {}
        self._cluster, self._folder = cluster, folder
        self._tenants = [TenantId(f"t{n}") for n in range(tenants)]
        self._devices: set[tuple[TenantId, str]] = set()
        self._share = 0.0
        self._changed = threading.Condition()
        self._failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(work,)) for work in (self._decide, self._observe)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def allow(self, share: float) -> None:
        """Go on until that share of all is written, and wait there."""
        with self._changed:
            self._share = max(share, self._share)
            self._changed.notify_all()
        if self._failures:
            raise self._failures[0]

    def finish(self) -> None:
        self.allow(1.0)
        for thread in self._threads:
            thread.join()
        self.allow(1.0)
        self.rows["devices"] = len(self._devices)

    def stop(self) -> None:
        """End early: something else has failed."""
        self.commands = self.facts = 0
        self.allow(1.0)
        for thread in self._threads:
            if thread.ident:
                thread.join()

    def in_log(self, topic: Topic) -> int:
        """Return how many records the topic has at least; all of them, once the last was answered."""
        return sum(end for (of, _), end in self.ends.items() if of is topic)

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._failures.append(error)

    def _wait_for(self, share: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._share >= share)

    # --- decided events

    def _decide(self) -> None:
        with closing(Recorder(self._cluster, self._folder)) as recorder:
            self._record(recorder, [register_tenant(tenant) for tenant in self._tenants])
            stories, done = _stories(self._tenants), 0
            while done < self.commands:
                self._wait_for(done / self.commands)
                batch = list(islice(stories, min(COMMANDS_AT_ONCE, max(0, self.commands - done))))
                self._record(recorder, batch)
                done += len(batch)
            self.tries += recorder.tries

    def _record(self, recorder: Recorder, batch: Sequence[Submission]) -> None:
        for asked, reply in zip(batch, recorder.record(batch), strict=True):
            assert reply.outcome == "accepted", reply
            assert reply.position is not None, reply
            self.accepted += 1
            place = (reply.position.topic, reply.position.partition)
            self.ends[place] = max(reply.position.position, self.ends.get(place, 0))
            for view in ("events", "audit_trail", "stream_history"):
                self.rows[view] += len(reply.events)
            match asked.name:
                case "RegisterTenant":
                    self.rows["tenants"] += 1
                case "RegisterDevice":
                    self._devices.add((asked.tenant_id, reply.stream.removeprefix("device-")))
                case "RaiseAlert":
                    self.rows["alerts"] += 1
                case "ReceiveInvoice":
                    self.rows["invoices"] += 1
                    self.rows["invoice_facts"] += len(RECEIVE_INVOICE.lines)

    # --- facts

    def _observe(self) -> None:
        with closing(Reporter(self._cluster)) as reporter:
            n = 0
            while n * FACTS_AT_ONCE < self.facts:
                self._wait_for(n * FACTS_AT_ONCE / self.facts)
                tenant, turn = self._tenants[n % len(self._tenants)], n // len(self._tenants)
                first = turn * FACTS_AT_ONCE
                facts = [_fact(m) for m in range(first, first + min(FACTS_AT_ONCE, self.facts - n * FACTS_AT_ONCE))]
                for _ in range(2 if n % SENT_TWICE == 0 else 1):
                    for topic, partition, position in reporter.report(tenant, facts):
                        self.ends[topic, partition] = max(position, self.ends.get((topic, partition), 0))
                self._note(tenant, facts)
                n += 1
            self.tries += reporter.tries

    def _note(self, tenant: TenantId, facts: Sequence[FactSubmission]) -> None:
        lines = sum(fact.fact is LOG for fact in facts)
        self.facts_sent += len(facts)
        self._devices |= {(tenant, fact.device_id) for fact in facts}
        self.rows["device_logs"] += lines
        for view in ("device_metrics", "metrics_5m"):
            self.rows[view] += len(facts) - lines


def _stories(tenants: Sequence[TenantId]) -> Iterator[Submission]:
    """Yield commands without end, of all tenants in turn, that are all accepted and each cause one event."""
    story = 0
    while True:
        id_ = str(story)
        invoice: Mapping[str, Any] = {"number": id_, "party": RECEIVE_INVOICE.party}
        steps: Sequence[Command] = (
            RegisterDevice(device_id=id_, hostname=f"web-{id_}"),
            TagDevice(device_id=id_, key="site", value=id_),
            ChangeDeviceStatus(device_id=id_, status=DeviceStatus.ONLINE),
            RaiseAlert(alert_id=id_, severity="warning", rule="cpu high", device_id=id_),
            AcknowledgeAlert(alert_id=id_),
            # without a due date: a process would record its timer
            replace(RECEIVE_INVOICE, number=id_, due_date=None),
            CategoriseInvoice(**invoice, category="sales", by="rule 7"),
            ApproveInvoice(**invoice),
        )
        for n, step in enumerate(steps):
            for tenant in tenants:
                yield submission(step, tenant=tenant, id_=f"{story}-{n}")
        story += 1


def _fact(n: int) -> FactSubmission:
    fact: Fact = LOG if n % FACTS_OF_A_LOG_LINE == 0 else DeviceMetricsReported(metrics={"cpu": n / 7}, unit="%")
    return FactSubmission(str(n % _DEVICES_REPORTING), HAPPENED_AT + timedelta(seconds=10 * n), fact)
