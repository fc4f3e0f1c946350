"""The rows of log lines that are counted."""

from dataclasses import replace

from projections.fleet.log_counts import PROJECTION, LogCountRow
from projections.fleet.log_people import people_of
from tests.examples import ACME
from tests.examples.fleet import LOG_RECORD
from tests.examples.moments import HAPPENED_AT
from tests.given_when_then import Rows


def test_a_line_makes_a_row_with_the_user_and_the_address_that_it_says() -> None:
    line = replace(LOG_RECORD.lines[0], details='pid=7 user="Ann Lee" ip=192.0.2.9')
    [row] = Rows(PROJECTION).when(replace(LOG_RECORD, lines=(line,))).rows()
    assert isinstance(row, LogCountRow)
    assert (row.tenant_id, row.device_id, row.happened_at) == (ACME, "43", HAPPENED_AT)
    assert (row.program, row.user, row.ip, row.summary) == ("login.failed", "Ann Lee", "192.0.2.9", line.summary)


def test_what_a_line_does_not_say_is_empty() -> None:
    assert people_of("from 192.0.2.9 port 22") == ("", "")
    assert people_of("") == ("", "")
    assert people_of("pid=7 ip=192.0.2.9") == ("", "192.0.2.9")
