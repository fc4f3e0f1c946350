"""Dates as a file writes them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from streams.intake.files.cells import BadCell
from streams.intake.files.dates import Dates, date

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "dates", "read"),
    [
        ("2026-03-04 10:00:00", Dates(), datetime(2026, 3, 4, 10, tzinfo=UTC)),
        ("2026-03-04T10:00+01:00", Dates(zone=BERLIN), datetime(2026, 3, 4, 9, tzinfo=UTC)),
        ("2026-03-04", Dates(), datetime(2026, 3, 4, tzinfo=UTC)),
        ("2026-08-01 00:30", Dates(zone=BERLIN), datetime(2026, 7, 31, 22, 30, tzinfo=UTC)),
        ("2026-03-04", Dates(zone=BERLIN), datetime(2026, 3, 3, 23, tzinfo=UTC)),
        ("04.03.2026", Dates("%d.%m.%Y", BERLIN), datetime(2026, 3, 3, 23, tzinfo=UTC)),
        ("12/1/2010 8:26", Dates("%m/%d/%Y %H:%M"), datetime(2010, 12, 1, 8, 26, tzinfo=UTC)),
        # the first of both passes
        ("2026-10-25 02:30", Dates(zone=BERLIN), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        # a day that begins at one o'clock
        ("2018-11-04", Dates(zone=ZoneInfo("America/Sao_Paulo")), datetime(2018, 11, 4, 3, tzinfo=UTC)),
    ],
)
def test_date_is_brought_to_utc(text: str, dates: Dates, read: datetime) -> None:
    assert date("InvoiceDate", f" {text} ", dates) == read


@pytest.mark.parametrize(
    ("text", "dates", "reason"),
    [
        ("04.03.2026", Dates(), "write it like 2026-01-31 08:30:00, or name the --date-format"),
        ("2026-03-04", Dates("%d.%m.%Y"), "--date-format says like 31.01.2026"),
        ("31.02.2026", Dates("%d.%m.%Y"), "--date-format says like 31.01.2026"),
        ("2026-03-29 02:30", Dates(zone=BERLIN), "the clocks of Europe/Berlin jumped over it"),
        ("0001-01-01 00:00:00+14:00", Dates(), "of the years 1 to 9999"),
    ],
)
def test_date_that_cannot_be_read_says_why(text: str, dates: Dates, reason: str) -> None:
    with pytest.raises(BadCell) as error:
        date("InvoiceDate", text, dates)
    assert reason in str(error.value)
    assert repr(text) in str(error.value)
