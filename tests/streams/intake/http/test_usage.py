"""What a process counted of its requests is recorded once a minute, and once."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from domain.operations.served import ApiRequestServed
from read_api.edge.auth import Caller
from read_api.edge.usage import UsageMeter
from schemas.envelope import Actor, TenantId
from streams.intake.http import usage
from streams.intake.http.usage import UsageRecorder, recording
from streams.ports import FactSubmission, LogUnavailable, TelemetryReply

ACME, BOLT = Caller(TenantId("acme"), "a", ("*",)), Caller(TenantId("bolt"), "b", ("*",))
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


class Log:
    """What was appended, after some that failed."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.took = asyncio.Event()
        self.asked: list[tuple[TenantId, Sequence[FactSubmission]]] = []
        self.taken: list[tuple[TenantId, Sequence[FactSubmission]]] = []

    async def append(self, tenant_id: TenantId, facts: Sequence[FactSubmission], actor: Actor) -> TelemetryReply:
        self.asked.append((tenant_id, facts))
        if self.failures:
            self.failures -= 1
            raise LogUnavailable("away")
        self.taken.append((tenant_id, facts))
        self.took.set()
        return TelemetryReply(len(facts), 0)


def counted(log: Log) -> dict[TenantId, int]:
    return {tenant_id: sum(fact.fact.requests for fact in facts) for tenant_id, facts in log.taken}  # type: ignore[attr-defined]


def test_requests_are_one_fact_for_each_key_route_and_status() -> None:
    meter, log = UsageMeter(Clock()), Log()
    for status in (200, 200, 429):
        meter.count(ACME, "GET /v1/devices", status, 0.0104)
    meter.count(BOLT, "GET /v1/devices", 200, 0.5)
    asyncio.run(UsageRecorder(meter, log.append).record())
    facts = {tenant_id: [fact.fact for fact in facts] for tenant_id, facts in log.taken}
    assert facts == {
        "acme": [
            ApiRequestServed(key_id="a", route="GET /v1/devices", status=200, requests=2, ms=21),
            ApiRequestServed(key_id="a", route="GET /v1/devices", status=429, requests=1, ms=10),
        ],
        "bolt": [ApiRequestServed(key_id="b", route="GET /v1/devices", status=200, requests=1, ms=500)],
    }
    assert {fact.happened_at for _, facts in log.taken for fact in facts} == {NOON}


def test_minute_with_no_request_records_nothing() -> None:
    log = Log()
    asyncio.run(UsageRecorder(UsageMeter(), log.append).record())
    assert log.asked == []


def test_requests_before_and_after_midnight_are_of_their_days() -> None:
    clock, log = Clock(), Log()
    clock.now = datetime(2026, 1, 31, 23, 59, 30, tzinfo=UTC)
    meter = UsageMeter(clock)
    meter.count(ACME, "GET /v1/devices", 200, 0)
    clock.now += timedelta(minutes=1)
    meter.count(ACME, "GET /v1/devices", 200, 0)
    asyncio.run(UsageRecorder(meter, log.append).record())
    [(_, facts)] = log.taken
    assert [fact.happened_at for fact in facts] == [
        datetime(2026, 1, 31, 23, 59, 30, tzinfo=UTC),
        datetime(2026, 2, 1, tzinfo=UTC),
    ]


def test_what_the_log_did_not_take_is_sent_again_as_it_was_and_what_came_since_behind_it() -> None:
    meter, log = UsageMeter(Clock()), Log(failures=2)
    recorder = UsageRecorder(meter, log.append)

    async def minutes() -> None:
        for _ in range(3):
            meter.count(ACME, "GET /v1/devices", 200, 0)
            await recorder.record()

    asyncio.run(minutes())
    first = log.asked[0]
    assert log.asked[:3] == [first] * 3
    assert len(log.taken) == 3
    # all are of this process: the same facts would have the same id
    assert len({fact.device_id for _, facts in log.taken for fact in facts}) == 1


def test_it_is_recorded_while_the_server_runs_and_the_rest_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "EVERY_S", 0.02)
    meter, log = UsageMeter(), Log()

    async def run() -> None:
        async with recording(meter, log.append):
            meter.count(ACME, "GET /v1/devices", 200, 0)
            await asyncio.wait_for(log.took.wait(), 5)
            meter.count(BOLT, "GET /v1/devices", 200, 0)

    asyncio.run(run())
    assert counted(log) == {"acme": 1, "bolt": 1}
