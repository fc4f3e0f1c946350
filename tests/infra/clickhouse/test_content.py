"""The question about content over what is recorded of its publications, answered by the engine."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.content.distribution import DistributionEvent
from infra.clickhouse.analytics import ClickHouseAnalytics
from projections.content.content_facts import CONTENT, PROJECTION, ContentRow
from projections.rows import View
from schemas.envelope import StreamId
from tests.examples import ACME, Place, envelope_of
from tests.examples.content import PERFORMANCE, PUBLISH_FAILED, PUBLISHED, STARTED
from tests.examples.moments import HAPPENED_AT

VIEW = View("content_facts", 1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseAnalytics]:
    folder: Path = tmp_path_factory.mktemp("content")
    opened = ClickHouseAnalytics(f"chdb://{folder}", (PROJECTION,))
    opened.create(VIEW)
    opened.switch(VIEW)
    later = HAPPENED_AT + timedelta(days=31)
    read_again = replace(PERFORMANCE, views=200, engagement=9)
    tell(opened, "a", "blog", STARTED, PUBLISHED, PERFORMANCE, read_again)
    tell(opened, "a", "linkedin", STARTED, PUBLISH_FAILED, replace(STARTED, attempt=2), PUBLISH_FAILED)
    tell(opened, "b", "blog", STARTED, PUBLISH_FAILED, replace(STARTED, attempt=2), PUBLISHED, at=later)
    yield opened
    opened.close()


def tell(
    store: ClickHouseAnalytics, content_id: str, platform: str, *events: DistributionEvent, at: Any = HAPPENED_AT
) -> None:
    for version, event in enumerate(events, 1):
        of = replace(event, content_id=content_id, platform=platform)
        envelope = envelope_of(of, Place(version=version, happened_at=at))
        envelope = envelope._replace(stream=StreamId(f"distribution-{content_id}~{platform}"))
        rows = list(PROJECTION.project(envelope, of))
        # what comes again counts once
        store.apply(VIEW, rows)
        store.apply(VIEW, rows)


def ask(store: ClickHouseAnalytics, **asked: Any) -> list[ContentRow]:
    usual = {"by": "platform", "timezone": "UTC", "start": None, "end": None, "limit": 100}
    return list(store.ask(CONTENT, ACME, **(usual | asked)))


def test_last_report_of_each_publication_counts_and_failures_are_counted(store: ClickHouseAnalytics) -> None:
    assert ask(store) == [
        ContentRow("blog", items=2, published=2, failed_attempts=1, views=200, engagement=9),
        ContentRow("linkedin", items=1, published=0, failed_attempts=2, views=0, engagement=0),
    ]
    assert [(row.group, row.published) for row in ask(store, by="content")] == [("a", 1), ("b", 1)]


def test_months_are_those_of_the_time_zone_and_in_order(store: ClickHouseAnalytics) -> None:
    assert [(row.group, row.items) for row in ask(store, by="month")] == [("2010-12", 1), ("2011-01", 1)]
    assert [row.group for row in ask(store, by="month", end=HAPPENED_AT + timedelta(days=1))] == ["2010-12"]
