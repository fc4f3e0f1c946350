from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.intake.files.logs.forms import FORMS, read_line
from streams.intake.files.logs.instants import Instants
from streams.intake.files.logs.line import BadLine, Line, Stamp
from streams.intake.files.logs.stamps import MONTHS

AT = datetime(2026, 3, 4, 17, 20, 30, tzinfo=UTC)
US = timedelta(microseconds=1)


def line(text: str, form: str = "") -> Line:
    found = read_line(text, form)
    assert found is not None, text
    return found


def utc(found: Line) -> datetime | None:
    """Return the instant of a line in a file of UTC and 2026."""
    return Instants(UTC, lambda _stamp: 2026).of(found.when, found.stamp) if found.when else None


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("Mar  4 17:20:30 h p: m", AT),
        ("Mar 04 17:20:30.655028 h p: m", AT + 655_028 * US),
        ("Mar 4 17:20:30 h p: m", AT),
        ("<13>Mar  4 17:20:30 h p: m", AT),
        ("MAR  4 17:20:30 h p: m", AT),
        ("mar 04 17:20:30 h p: m", AT),
        ("<189>29: *mar  4 2026 17:20:30.655 UTC: %SYS-5-CONFIG_I: m", AT + 655_000 * US),
        ('192.0.2.1 - - [04/MAR/2026:18:20:30 +0100] "GET / HTTP/1.1" 200 5', AT),
        ("Mar 04 2026 17:20:30 h p: m", AT),
        ("2026 Mar  4 17:20:30 h p: m", AT),
        ("*Mar  4 17:20:30.655: %SYS-5-CONFIG_I: m", AT + 655_000 * US),
        (".Mar  4 17:20:30: %SYS-5-CONFIG_I: m", AT),
        ("<189>29: *Mar  4 2026 17:20:30.655 UTC: %SYS-5-CONFIG_I: m", AT + 655_000 * US),
        ("000123: Mar  4 18:20:30 CET: %SYS-5-CONFIG_I: m", AT),
        ("<189>29: sw-1: *Mar  4 17:20:30: %SYS-5-CONFIG_I: m", AT),
        ("<189>9: switch01: 7: *Mar  4 17:20:30 UTC: %SYS-5-CONFIG_I: m", AT),
        ("Mar  4 19:20:30 +0200 h p: m", AT),
        ("Mar  4 17:20:30.655028+0000 h p: m", AT + 655_028 * US),
        ("2026-03-04 17:20:30.655 +0000 UTC h p: m", AT + 655_000 * US),
        ("2026-03-04T17:20:30Z h p: m", AT),
        ("2026-03-04T17:20Z h p: m", AT - timedelta(seconds=30)),
        ("2026-03-04 17:20:30 h p: m", AT),
        ("2026-03-04T19:20:30+0200 h p: m", AT),
        ("2026-03-04T19:20:30+02 h p: m", AT),
        ("2026-03-04 19:20:30 +02:00 h p: m", AT),
        ("2026-03-04 17:20:30 UTC h p: m", AT),
        ("2026-03-04T12:50:30.123456789-0430 h p: m", AT + 123_456 * US),
        ("2026-03-04 17:20:30,655 h p: m", AT + 655_000 * US),
        ("2026/03/04 17:20:30 h p: m", AT),
        ("<13>2026-03-04T17:20:30.5Z h p: m", AT + 500_000 * US),
        ("20260304T172030Z h p: m", AT),
        ("20260304T192030.5+0200 h p: m", AT + 500_000 * US),
        ("1772644830.655028 h p: m", AT + 655_028 * US),
        ("Wed 2026-03-04 17:20:30 UTC h p: m", AT),
        ("Wed 2026-03-04 18:20:30 CET h p: m", AT),
        ("Wed 2026-03-04 19:20:30.655028 +02 h p: m", AT + 655_028 * US),
        ("Wed Mar  4 17:20:30 2026 h p: m", AT),
        ("Wed Mar  4 17:20:30 UTC 2026 h p: m", AT),
        ("2016-12-31T23:59:60Z h p: m", datetime(2017, 1, 1, tzinfo=UTC)),
        ("[Wed Mar 04 17:20:30.655028 2026] [core:error] [pid 1] m", AT + 655_028 * US),
        ('192.0.2.1 - - [04/Mar/2026:18:20:30 +0100] "GET / HTTP/1.1" 200 5', AT),
        ("2026-03-04 17:20:30, Info                  CBS    m", AT),
        ("2026-03-04T17:20:30.655028Z 0 [Note] [MY-010116] [Server] m", AT + 655_028 * US),
        ("2026-03-04T18:20:30.655028123+01:00 stdout F m", AT + 655_028 * US),
        ("I0304 17:20:30.655028    4711 server.go:12] m", AT + 655_028 * US),
        ("[2026-03-04T19:20:30+02:00] m", AT),
        ("2026/03/04 17:20:30 [error] 1#2: m", AT),
    ],
)
def test_a_stamp_is_read_in_each_form(text: str, at: datetime) -> None:
    assert utc(line(text)) == at


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Mar  4 17:20:30 h sshd[7]: m", ("h", "sshd", "7", None, "m")),
        ("Mar  4 17:20:30 sshd[7]: m", ("", "sshd", "7", None, "m")),
        ("Mar  4 17:20:30 CRON: m", ("", "CRON", "", None, "m")),
        ("Mar  4 17:20:30 h last message repeated 2 times", ("h", "", "", None, "last message repeated 2 times")),
        ("<11>Mar  4 17:20:30 h p: m", ("h", "p", "", "error", "m")),
        ("Mar 04 2026 17:20:30 asa-1 : %ASA-6-302013: Built", ("asa-1", "ASA", "", "info", "%ASA-6-302013: Built")),
        ("Mar  4 17:20:30.1: %LINK-3-UPDOWN: m", ("", "LINK", "", "error", "%LINK-3-UPDOWN: m")),
        ("2026 Mar  4 17:20:30 n-9 %ETHPORT-5-IF_UP: m", ("n-9", "ETHPORT", "", "notice", "%ETHPORT-5-IF_UP: m")),
        ("<189>9: sw-1: 7: *Mar  4 17:20:30 UTC: %SYS-5-X: m", ("sw-1", "SYS", "", "notice", "%SYS-5-X: m")),
        ("Mar  4 17:20:30 sw-1 7: *Mar  4 17:20:30.1: %SYS-5-X: m", ("sw-1", "SYS", "", "notice", "%SYS-5-X: m")),
        ("Wed Mar  4 17:20:30 2026 daemon.err dnsmasq[7]: m", ("", "dnsmasq", "7", "error", "m")),
        ("2026-03-04 17:20:30.655  INFO 7 --- [main] a.B : m", ("", "", "", "info", "7 --- [main] a.B : m")),
        ("2026-03-04 17:20:30.655 [INFO ] m", ("", "", "", "info", "m")),
        ("*Mar  4 17:20:30 sw-9 link: down", ("sw-9", "link", "", None, "down")),
        ("<34>1 2026-03-04T17:20:30Z h su - ID47 - \ufeffm", ("h", "su", "", "critical", "m")),
        ("<34>1 2026-03-04T17:20:30Z - - 9 - -", ("", "", "9", "critical", "")),
        ('<14>1 2026-03-04T17:20:30Z h p 9 - [a@1 b="c]\\"d"][e@1] m n', ("h", "p", "9", "info", "m n")),
        ("[Wed Mar 04 17:20:30 2026] [error] [client 192.0.2.1] m", ("", "apache", "", "error", "m")),
        ("[Wed Mar 04 17:20:30 2026] [mpm:notice] [pid 8:tid 9] AH1: m", ("", "apache", "8", "notice", "AH1: m")),
        ("2026/03/04 17:20:30 [crit] 8#9: *1 m, client: 192.0.2.1, x",
         ("", "nginx", "8", "critical", "*1 m, client: 192.0.2.1, x")),
        ("2026-03-04 17:20:30, Warning      CSI    m", ("", "CSI", "", "warning", "m")),
        ("2026-03-04 17:20:30,655 ERROR m", ("", "", "", "error", "m")),
        ("2026-03-04 17:20:30,655 - shop.orders - WARNING - m", ("", "shop.orders", "", "warning", "m")),
        ("2026-03-04 17:20:30.655 [main] INFO m", ("", "", "", "info", "m")),
        ("[2026-03-04 17:20:30] [ERROR] m", ("", "", "", "error", "m")),
        ("[2026-03-04 17:20:30] production.ERROR: m", ("", "production", "", "error", "m")),
        ("[2026-03-04T17:20:30.6+0000] {task.py:9} INFO - m", ("", "task.py", "", "info", "m")),
        ("[2026-03-04 17:20:30] m: n", ("", "", "", None, "m: n")),
        ("2026-03-04T17:20:30.655Z 8 [Warning] [MY-1] [Server] m", ("", "mysqld", "", "warning", "[MY-1] [Server] m")),
        ("2026-03-04 17:20:30 8 [Note] m", ("", "", "", "info", "m")),
        ("2026-03-04T17:20:30.6Z stderr F m: n", ("", "", "", None, "m: n")),
        ("W0304 17:20:30.655028       1 a/b_c.go:120] m", ("", "a/b_c.go", "", "warning", "m")),
    ],
)  # fmt: skip
def test_a_line_is_read_in_its_parts(text: str, parts: tuple[str | None, ...]) -> None:
    found = line(text)
    assert (found.host, found.program, found.pid, found.severity, found.message) == parts


def test_structured_data_and_the_message_id_are_kept() -> None:
    found = line('<165>1 2026-03-04T17:20:30Z h p 812 ID48 [x@1 iut="3"] m')
    assert found.said == ("facility=local4", "msgid=ID48", '[x@1 iut="3"]')


def test_a_line_without_a_time_says_none() -> None:
    assert line("<13>1 - h boot - - - clock not set yet").when is None


@pytest.mark.parametrize(
    ("status", "severity"), [("200", "info"), ("302", "info"), ("404", "warning"), ("502", "error"), ("-", "info")]
)
def test_an_access_log_says_who_asked_for_what(status: str, severity: str) -> None:
    found = line(
        f'example.com:80 2001:db8::1 - kim [04/Mar/2026:17:20:30 +0000] "GET /a\\"b HTTP/1.1" {status} 512 "-" "curl/8"'
    )
    assert (found.severity, found.user, found.ip, found.host) == (severity, "kim", "2001:db8::1", "example.com")
    assert found.message == f'GET /a\\"b HTTP/1.1 {status}'
    assert found.said == (f"status={status}", "bytes=512", 'agent="curl/8"')


@pytest.mark.parametrize(
    ("user", "shown"), [("-", ""), ('""', ""), ("kim", "kim"), ("kim doe", "kim doe"), ('"kim doe"', "kim doe")]
)
def test_an_access_log_may_have_a_user_of_several_words(user: str, shown: str) -> None:
    found = line(f'192.0.2.1 - {user} [04/Mar/2026:17:20:30 +0000] "GET / HTTP/1.1" 200 512')
    assert (found.ip, found.host, found.user) == ("192.0.2.1", "", shown)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2025-02-29T10:00:00Z h p: a", "the day or time does not exist: 2025-02-29T10:00:00Z"),
        ("0001-01-01T00:00:00+23:00 h p: b", "the day or time does not exist: 0001-01-01T00:00:00+23:00"),
        ("<999>Mar  4 17:20:30 h p: m", "the priority does not exist: <999>; it is at most 191"),
    ],
)
def test_what_has_a_form_and_cannot_be_is_refused(text: str, reason: str) -> None:
    with pytest.raises(BadLine, match=reason.replace("+", r"\+")):
        read_line(text)


@pytest.mark.parametrize(
    "text",
    ["no log line", "1700000000 h p: a", "Foo  9 06:06:20 h p: a", "Jun  9 06:06:20", "2026-03-04T17:20:3 h p: m", ""],
)
def test_what_has_no_form_is_none(text: str) -> None:
    assert read_line(text) is None


def test_a_form_that_is_named_takes_no_other() -> None:
    assert read_line("2026-03-04T17:20:30Z h p: m", "rfc3164") is None
    assert line("*Mar  4 17:20:30 h p: m", "cisco").host == "h"
    assert read_line("Mar  4 17:20:30 h p: m", "cisco") is None


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_the_example_of_each_form_is_of_its_form(form: object) -> None:
    assert read_line(form.example, form.name) is not None  # type: ignore[attr-defined]
    assert form.example[0] in (form.begins or form.example)  # type: ignore[attr-defined]


# what each form can say of an instant: its text, and the finest that it says
WRITTEN: dict[str, Callable[[datetime], tuple[str, int]]] = {
    "iso": lambda at: (at.isoformat(), 1),
    "iso, no colon": lambda at: (f"{at:%Y-%m-%dT%H:%M:%S.%f%z}", 1),
    "iso, comma": lambda at: (f"{at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03}{at:%z}", 1_000),
    "nanoseconds": lambda at: (f"{at:%Y-%m-%dT%H:%M:%S.%f}999{at:%z}", 1),
    "basic": lambda at: (f"{at:%Y%m%dT%H%M%S%z}", 1_000_000),
    "short-unix": lambda at: (f"{(at - datetime(1970, 1, 1, tzinfo=UTC)) // US / 10**6:.6f}", 1),
    "short-full": lambda at: (f"Wed {at:%Y-%m-%d %H:%M:%S %z}", 1_000_000),
    "ctime": lambda at: (f"Wed {MONTHS[at.month - 1]} {at.day:2} {at:%H:%M:%S.%f %z %Y}", 1),
}
FIRST, LAST = datetime(2001, 9, 10), datetime(2100, 1, 1)  # noqa: DTZ001
INSTANTS = st.datetimes(FIRST, LAST, timezones=st.integers(-840, 840).map(lambda m: timezone(m * timedelta(minutes=1))))


@given(at=INSTANTS, name=st.sampled_from(sorted(WRITTEN)))
def test_an_instant_that_was_written_in_a_form_is_read_back(at: datetime, name: str) -> None:
    text, finest = WRITTEN[name](at)
    found = line(f"{text} h p[1]: m")
    assert isinstance(found.when, datetime)
    assert abs(at - found.when) < finest * US
    assert (found.host, found.program, found.pid, found.message) == ("h", "p", "1", "m")


@given(at=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)))  # noqa: DTZ001
def test_a_time_without_a_year_is_read_back(at: datetime) -> None:
    when = line(f"{MONTHS[at.month - 1]} {at.day:2} {at:%H:%M:%S.%f} h p: m").when
    assert isinstance(when, Stamp)
    assert when.year is None
    assert datetime(2026, *when[1:7]) == at  # noqa: DTZ001


@given(text=st.text(max_size=60))
def test_any_text_is_read_or_refused_without_a_fault(text: str) -> None:
    with suppress(BadLine):
        read_line(text)
