"""Amounts and instants as text."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.rows import Checkpoint
from read_api.edge.responses import AsOf, amount, money, to_json
from schemas.envelope import Topic


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("12.34", "12.3400"),
        ("0", "0.0000"),
        ("-0.00", "0.0000"),
        ("1E+3", "1000.0000"),
        ("0.123456", "0.123456"),
        ("12.34000000", "12.3400"),
        ("-5.5", "-5.5000"),
        ("123456789012345678901234567890.12345", "123456789012345678901234567890.12345"),
    ],
)
def test_money_has_four_decimals_and_more_only_where_needed(value: str, text: str) -> None:
    assert money(Decimal(value)) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12))
def test_money_is_exact(value: Decimal) -> None:
    assert Decimal(money(value)) == value


def test_a_quantity_has_no_needless_decimals() -> None:
    assert amount(Decimal("3.0000")) == "3"


def test_an_instant_ends_in_z() -> None:
    assert to_json({"at": datetime(2026, 1, 31, 8, 30, tzinfo=UTC)}) == b'{"at":"2026-01-31T08:30:00Z"}'


def test_positions_are_listed_in_numeric_order() -> None:
    now = datetime(2026, 1, 31, tzinfo=UTC)
    reached = [Checkpoint(Topic.EVENTS, partition, 5, now) for partition in (10, 2)]
    assert AsOf.of(now, reached).positions == ["events/2/5", "events/10/5"]
