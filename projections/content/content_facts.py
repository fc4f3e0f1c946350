"""How much is published where, how often does it fail, and how much is it read?"""

from datetime import datetime
from typing import NamedTuple, assert_never

from domain.content.distribution import (
    DISTRIBUTION,
    ContentPublished,
    DistributionEvent,
    PerformanceReported,
    PublicationStarted,
    PublishFailed,
)
from projections.layout import Facts
from projections.projection import Projection
from projections.question import Choice, Question
from schemas.envelope import Envelope, StreamId, TenantId, Topic
from schemas.values import Instant


class DistributionRow(NamedTuple):
    """What one event says of a piece of content on one platform.

    Shape: `says` is "started", "published", "failed" or "performance"; `views` and `engagement` are 0 but in the last.
    """

    tenant_id: TenantId
    stream: StreamId
    version: int
    at: datetime
    says: str
    content_id: str
    platform: str
    views: int
    engagement: int
    position: int


def project(envelope: Envelope, event: DistributionEvent) -> tuple[DistributionRow]:
    row = DistributionRow(
        tenant_id=envelope.tenant_id,
        stream=envelope.stream,
        version=envelope.version,
        at=envelope.happened_at,
        says="",
        content_id=event.content_id,
        platform=event.platform,
        views=0,
        engagement=0,
        position=envelope.position,
    )
    match event:
        case PublicationStarted():
            return (row._replace(says="started"),)
        case ContentPublished():
            return (row._replace(says="published"),)
        case PublishFailed():
            return (row._replace(says="failed"),)
        case PerformanceReported():
            return (row._replace(says="performance", views=event.views, engagement=event.engagement),)
        case _:
            assert_never(event)


class ContentRow(NamedTuple):
    group: str
    items: int
    published: int
    failed_attempts: int
    views: int
    engagement: int


CONTENT = Question(
    name="content",
    summary="What was published, how often an attempt failed, and how much it was read",
    view="content_facts",
    sql="""
        SELECT
            {by} AS label,
            uniqExact(content_id),
            countIf(published_at != toDateTime64(0, 6, 'UTC')) AS out,
            sum(failed),
            sum(read_views),
            sum(read_engagement)
        FROM (
            SELECT
                stream,
                any(content_facts.content_id) AS content_id,
                any(content_facts.platform) AS platform,
                minIf(at, says = 'published') AS published_at,
                min(at) AS begun_at,
                toTimeZone(begun_at, {timezone:String}) AS local,
                countIf(says = 'failed') AS failed,
                argMaxIf(views, version, says = 'performance') AS read_views,
                argMaxIf(engagement, version, says = 'performance') AS read_engagement
            FROM content_facts
            GROUP BY stream
        )
        WHERE begun_at >= fromUnixTimestamp64Micro({start:Int64}, 'UTC')
            AND begun_at < fromUnixTimestamp64Micro({end:Int64}, 'UTC')
        GROUP BY label
        ORDER BY if({by:String} = 'month', 0, out) DESC, label
        LIMIT {limit:UInt32}
    """,
    parameters={
        "by": Choice(
            "platform",
            {
                "platform": "platform",
                "content": "content_id",
                "month": "formatDateTime(local, '%Y-%m')",
            },
        ),
        "timezone": str,
        "start": Instant,
        "end": Instant,
        "limit": int,
    },
    row=ContentRow,
    example={
        "platform": "blog",
        "items": 3,
        "published": 2,
        "failed_attempts": 1,
        "views": 120,
        "engagement": 7,
    },
)
"""One row for each platform, piece of content, or month of `timezone`.

Shape: `items` counts pieces of content and `published` the platforms that each came out on. `views` and `engagement`
are the last that were reported of each, added. Asked for by when a publication was first tried: `start` ≤ then < `end`.
"""

PROJECTION = Projection(
    name="content_facts",
    layout=Facts(
        row=DistributionRow,
        key=("tenant_id", "stream", "version"),
        day="at",
        scope="analytics",
        questions=(CONTENT,),
    ),
    topics=(Topic.EVENTS,),
    events=DISTRIBUTION.events,
    project=project,
)
