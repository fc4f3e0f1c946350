"""What an instant, an amount and a name may look like."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from schemas.values import Currency, Id, Instant, Money, Name, TenantName, Zone


def read(type_: Any, value: object) -> Any:
    return TypeAdapter(type_).validate_python(value)


def test_instant_is_held_in_utc() -> None:
    assert read(Instant, "2026-01-31T09:30:00+01:00") == datetime(2026, 1, 31, 8, 30, tzinfo=UTC)
    assert read(Instant, "2026-01-31T09:30:00+01:00").tzinfo is UTC


@pytest.mark.parametrize("text", ["2026-01-31T09:30:00", "2026-01-31", "1769848200", 1769848200, "noon", None])
def test_what_is_no_instant_with_an_offset_is_invalid(text: object) -> None:
    with pytest.raises(ValidationError):
        read(Instant, text)


@pytest.mark.parametrize("amount", ["0", "-0.0001", "99999999999999.9999", "1E+3"])
def test_money_is_exact(amount: str) -> None:
    assert read(Money, amount) == Decimal(amount)


@pytest.mark.parametrize("amount", ["0.00001", "100000000000000", "NaN", "Infinity", "1,5", ""])
def test_amount_that_is_no_money_is_invalid(amount: str) -> None:
    with pytest.raises(ValidationError):
        read(Money, amount)


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (Name, ""),
        (Name, "two\nlines"),
        (Id, "-dash-first"),
        (Id, "with space"),
        (Id, "a/b"),
        (Id, "x" * 129),
        (TenantName, "Acme"),
        (TenantName, "a|b"),
        (TenantName, "a" * 64),
        (Currency, "EURO"),
    ],
)
def test_name_that_is_unsafe_where_it_is_used_is_invalid(type_: Any, text: str) -> None:
    with pytest.raises(ValidationError):
        read(type_, text)


@pytest.mark.parametrize(
    ("type_", "text"), [(Name, "Müller & Söhne"), (Id, "web-1.example:8080"), (TenantName, "acme_2"), (Currency, "GBP")]
)
def test_name_that_is_safe_is_kept_as_it_is(type_: Any, text: str) -> None:
    assert read(type_, text) == text


@pytest.mark.parametrize("name", ["localtime", "Factory", "Mars/Olympus", ""])
def test_time_zone_that_is_not_the_same_on_every_machine_is_invalid(name: str) -> None:
    with pytest.raises(ValidationError, match="IANA name"):
        read(Zone, name)
    assert read(Zone, "Europe/Berlin") == "Europe/Berlin"
