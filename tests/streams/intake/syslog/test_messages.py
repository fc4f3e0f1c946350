from datetime import UTC, datetime

import pytest

from domain.fleet.facts import LogRecorded
from streams.intake.files.zones import zone_of
from streams.intake.syslog.messages import Received, heard

NOW = datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("message", "device", "at", "severity", "program", "text"),
    [
        (b"<34>Jan  1 00:00:20 gw_1 su: m", "gw_1", "2026-01-01T00:00:20", "critical", "su", "m"),
        (b"<34>Dec 31 23:59:59 gw su[7]: m", "gw", "2025-12-31T23:59:59", "critical", "su", "m"),
        (b"<13>1 2026-01-01T01:00:20+01 a.b p - - - \xef\xbb\xbfm", "a.b", "2026-01-01T00:00:20", "notice", "p", "m"),
        (b"<13>1 - gw boot - - - m", "gw", "2026-01-01T00:00:30", "notice", "boot", "m"),
        (b"<13>Jan  1 00:00:20 p[7]: m", "192.0.2.9", "2026-01-01T00:00:20", "notice", "p", "m"),
        (b"no form of syslog", "192.0.2.9", "2026-01-01T00:00:30", "info", None, "no form of syslog"),
        (b"<13>Feb 30 00:00:20 gw p: m", "192.0.2.9", "2026-01-01T00:00:30", "notice", None, "Feb 30 00:00:20 gw p: m"),
        (b"<11>Jan  1 00:00:20 gw p: \xffm", "gw", "2026-01-01T00:00:20", "error", "p", "\ufffdm"),
    ],
)  # fmt: skip
def test_a_message_is_a_line_of_its_host(  # noqa: PLR0917 - a row of the table
    message: bytes, device: str, at: str, severity: str, program: str | None, text: str
) -> None:
    fact = heard(Received(message, "192.0.2.9", NOW), UTC).fact
    assert isinstance(fact.fact, LogRecorded)
    assert (fact.device_id, fact.happened_at.isoformat()) == (device, f"{at}+00:00")
    assert (fact.fact.severity, fact.fact.event_type, fact.fact.summary) == (severity, program, text)


def test_of_an_hour_that_comes_twice_it_is_the_one_that_is_now() -> None:
    for hour in (0, 1):
        now = datetime(2026, 10, 25, hour, 30, 1, tzinfo=UTC)
        fact = heard(Received(b"<13>Oct 25 02:30:00 gw p: m", "x", now), zone_of("Europe/Berlin")).fact
        assert fact.happened_at == now.replace(second=0)
