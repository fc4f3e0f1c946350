"""All messages share these types for their values: instants, amounts and names."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

_ISO_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}")

MONEY_SCALE = 4


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

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""One line of text for people to read."""

Text = Annotated[str, StringConstraints(max_length=65_536)]
"""Free text of up to 64 Ki characters."""

Id = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@~-]*$")]
"""An identifier chosen by a caller; safe in a stream name, a URL and a message key."""

TenantName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
"""A tenant's identifier: lower case, at most 63 characters."""

Day = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
"""A day of the calendar, as in `2026-01-31`."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""A currency code. Source: ISO 4217."""
