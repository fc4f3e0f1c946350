"""Questions about leads and their quotes: each given its events, answered by the engine."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from domain.message import Event
from infra.clickhouse.analytics import ClickHouseAnalytics
from projections.rows import View
from projections.sales.lead_funnel import FUNNEL, PROJECTION, QUOTED
from projections.sales.lead_funnel import QuotedRow as Quotes
from schemas.envelope import StreamId, TenantId
from tests.examples import Place, envelope_of
from tests.examples.sales import (
    CAPTURED,
    CONTACTED,
    CONVERTED,
    LOST,
    QUALIFIED,
    QUOTE_ACCEPTED,
    QUOTE_ISSUED,
)
from tests.examples.sales import QUOTED as LEAD_QUOTED

FUNNEL_VIEW = View("lead_funnel", 1)
JUNE = datetime(2026, 6, 10, tzinfo=UTC)
MIDNIGHT = datetime(2026, 6, 30, 23, tzinfo=UTC)
"""In Berlin it is July already."""


class Desk:
    """The leads and quotes of one tenant."""

    def __init__(self, store: ClickHouseAnalytics, tenant: str) -> None:
        self._store = store
        self._tenant = TenantId(tenant)
        self._positions = count(1)

    def lead(self, lead: str, source: str, *steps: Event, at: datetime = JUNE) -> None:
        for version, event in enumerate((replace(CAPTURED, source=source), *steps), 1):
            self._tell(f"lead-{lead}", version, event, at)

    def quote(
        self, lead: str | None, currency: str, total: str, *, accepted: bool = False, at: datetime = JUNE
    ) -> None:
        stream = f"quote-{next(self._positions)}"
        of: dict[str, Any] = {"lead_id": lead, "currency": currency, "total": Decimal(total)}
        self._tell(stream, 2, replace(QUOTE_ISSUED, **of), at)
        if accepted:
            self._tell(stream, 3, replace(QUOTE_ACCEPTED, **of), at)

    def _tell(self, stream: str, version: int, event: Event, at: datetime) -> None:
        place = Place(version=version, position=next(self._positions), happened_at=at)
        envelope = envelope_of(event, place)._replace(tenant_id=self._tenant, stream=StreamId(stream))
        for _ in range(2):
            self._store.apply(FUNNEL_VIEW, list(PROJECTION.project(envelope, event)))

    def funnel(self, **asked: Any) -> Mapping[str, tuple[Any, ...]]:
        usual = {"by": "source", "timezone": "UTC", "start": None, "end": None, "limit": 100}
        return {row[0]: row[1:] for row in self._store.ask(FUNNEL, self._tenant, **(usual | asked))}

    def quoted(self, **asked: Any) -> list[Quotes]:
        usual = {"by": "source", "currency": None, "timezone": "UTC", "start": None, "end": None, "limit": 100}
        return list(self._store.ask(QUOTED, self._tenant, **(usual | asked)))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseAnalytics]:
    folder: Path = tmp_path_factory.mktemp("sales")
    opened = ClickHouseAnalytics(f"chdb://{folder}", (PROJECTION,))
    opened.create(FUNNEL_VIEW)
    opened.switch(FUNNEL_VIEW)
    yield opened
    opened.close()


@pytest.fixture
def desk(store: ClickHouseAnalytics, request: pytest.FixtureRequest) -> Desk:
    return Desk(store, f"t{abs(hash(request.node.name))}")


def test_lead_counts_up_to_the_step_that_it_came_to(desk: Desk) -> None:
    desk.lead("a", "referral")
    desk.lead("b", "referral", CONTACTED)
    desk.lead("c", "referral", QUALIFIED)
    desk.lead("d", "referral", CONTACTED, QUALIFIED, LEAD_QUOTED, replace(LEAD_QUOTED, quote_id="q2"), CONVERTED)
    desk.lead("e", "paid", QUALIFIED, LEAD_QUOTED, LOST)
    assert desk.funnel() == {"referral": (4, 3, 2, 1, 1, 0, 0.25), "paid": (1, 1, 1, 1, 0, 1, 0.0)}


def test_month_is_the_one_of_the_time_zone_in_which_the_lead_was_captured(desk: Desk) -> None:
    desk.lead("a", "paid", CONTACTED, at=MIDNIGHT)
    assert list(desk.funnel(by="month")) == ["2026-06"]
    assert list(desk.funnel(by="month", timezone="Europe/Berlin")) == ["2026-07"]
    assert desk.funnel(start=MIDNIGHT)
    assert desk.funnel(end=MIDNIGHT) == {}


def test_quotes_are_added_by_currency_and_know_the_source_of_their_lead(desk: Desk) -> None:
    desk.lead("a", "referral", QUALIFIED)
    desk.lead("b", "paid", QUALIFIED)
    desk.quote("a", "EUR", "100.5", accepted=True)
    desk.quote("a", "EUR", "0.00000001")
    desk.quote("a", "USD", "7")
    desk.quote("b", "EUR", "20", at=MIDNIGHT)
    desk.quote(None, "EUR", "3")
    assert desk.quoted(currency="EUR") == [
        Quotes("referral", "EUR", 2, 1, Decimal("100.50000001"), Decimal("100.5")),
        Quotes("paid", "EUR", 1, 0, Decimal(20), Decimal(0)),
        Quotes("", "EUR", 1, 0, Decimal(3), Decimal(0)),
    ]
    assert [row[:2] for row in desk.quoted(by="month", timezone="Europe/Berlin")] == [
        ("2026-06", "EUR"),
        ("2026-06", "USD"),
        ("2026-07", "EUR"),
    ]
