"""All messages share these types for their values: instants, amounts and names."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

_ISO_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}")

MONEY_SCALE = 4

_ONE_LINE = r"^[^\x00-\x1f\x7f]+$"
_ID = r"^[A-Za-z0-9][A-Za-z0-9._:@~-]*$"
_TENANT = r"^[a-z0-9][a-z0-9_-]{0,62}$"
_CURRENCY = r"^[A-Z]{3}$"
_IN_WORDS = {
    f"String should match pattern '{pattern}'": words
    for pattern, words in {
        _ONE_LINE: "must be one line of text without control characters",
        r"^[^\x00-\x1f\x7f]*$": "must be one line of text without control characters",
        _ID: "must be an id: letters a to z, digits and . _ : @ ~ - without blanks, beginning with a letter or a digit;"
        " what people call it belongs into a name, like hostname",
        _TENANT: "must be a tenant's name: at most 63 small letters a to z, digits, _ and -, beginning with a letter or"
        " a digit",
        _CURRENCY: "must be a currency code of three capital letters, like EUR",
    }.items()
}


def in_words(message: str) -> str:
    """Return what a value must be in words, where a message of the validator shows nothing but a pattern."""
    return _IN_WORDS.get(message, message)


def _not_a_number(value: Any) -> Any:
    # pydantic reads 1700000000 and "1700000000" as Unix times: a number where a date belongs must be refused
    if isinstance(value, datetime) or (isinstance(value, str) and _ISO_INSTANT.match(value)):
        return value
    raise ValueError("must be an RFC 3339 instant like 2026-01-31T08:30:00Z")


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("must say its offset from UTC, like 2026-01-31T08:30:00Z")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be an instant of the years 1 to 9999 in UTC") from None


Instant = Annotated[datetime, BeforeValidator(_not_a_number), AfterValidator(_utc)]
"""An instant with an offset, held in UTC. Source: RFC 3339."""

Money = Annotated[Decimal, Field(max_digits=18, decimal_places=MONEY_SCALE, allow_inf_nan=False)]
"""An exact amount with at most four decimals; never a float."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_ONE_LINE)]
"""One line of text for people to read."""

Text = Annotated[str, StringConstraints(max_length=65_536)]
"""Free text of up to 64 Ki characters."""

Body = Annotated[str, StringConstraints(min_length=1, max_length=65_536)]
"""A text that must say something, of up to 64 Ki characters."""

Id = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=_ID)]
"""An identifier chosen by a caller; safe in a stream name, a URL and a message key."""

TenantName = Annotated[str, StringConstraints(pattern=_TENANT)]
"""A tenant's identifier: lower case, at most 63 characters."""

Day = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
"""A day of the calendar, as in `2026-01-31`."""

Currency = Annotated[str, StringConstraints(pattern=_CURRENCY)]
"""A currency code. Source: ISO 4217."""


@cache
def time_zones() -> frozenset[str]:
    """Return the IANA names of all time zones. Looking for them takes some 50 ms, once."""
    # these two mean the machine's own zone, or none
    return frozenset(available_timezones() - {"localtime", "Factory"})


def _known_zone(name: str) -> str:
    if name not in time_zones():
        raise ValueError("must be a time zone's IANA name, like Europe/Berlin")
    return name


Zone = Annotated[str, AfterValidator(_known_zone)]
"""A time zone by its IANA name, as in `Europe/Berlin`."""
