"""How far do leads come, from which source and in which month, and what are the quotes worth that they get?"""

from datetime import datetime
from typing import Any, NamedTuple

from domain.finance.values import amount_text
from domain.sales.lead import LeadCaptured, LeadContacted, LeadConverted, LeadLost, LeadQualified, LeadQuoted
from domain.sales.quote import QuoteAccepted, QuoteIssued
from projections.layout import Facts
from projections.projection import Projection
from projections.question import Choice, Question
from projections.rows import Row
from schemas.envelope import Envelope, StreamId, TenantId, Topic, id_of
from schemas.values import Instant, Money


class StepRow(NamedTuple):
    """A step of a lead, or of a quote that it got.

    Shape: `source` has a value where the lead was captured, `currency` and the text `value` where a quote was issued or
    accepted. `lead` is "" for a quote that a customer got without having been a lead.
    """

    tenant_id: TenantId
    stream: StreamId
    version: int
    lead: str
    step: str
    at: datetime
    source: str
    currency: str
    value: str
    position: int


_STEPS: dict[type[Any], str] = {
    LeadCaptured: "captured",
    LeadContacted: "contacted",
    LeadQualified: "qualified",
    LeadQuoted: "quoted",
    LeadConverted: "converted",
    LeadLost: "lost",
    QuoteIssued: "issued",
    QuoteAccepted: "accepted",
}


def project(envelope: Envelope, event: Any) -> tuple[Row]:
    is_quote = isinstance(event, QuoteIssued | QuoteAccepted)
    row = StepRow(
        tenant_id=envelope.tenant_id,
        stream=envelope.stream,
        version=envelope.version,
        lead=(event.lead_id or "") if is_quote else id_of(envelope.stream),
        step=_STEPS[type(event)],
        at=envelope.happened_at,
        source=event.source if isinstance(event, LeadCaptured) else "",
        currency=event.currency if is_quote else "",
        value=amount_text(event.total) if is_quote else "",
        position=envelope.position,
    )
    return (row,)


class FunnelRow(NamedTuple):
    group: str
    captured: int
    contacted: int
    qualified: int
    quoted: int
    converted: int
    lost: int
    conversion_rate: float


FUNNEL = Question(
    name="funnel",
    summary="How many leads came how far, by source or by the month in which they were captured",
    view="lead_funnel",
    sql="""
        SELECT
            {by} AS label,
            count() AS leads,
            countIf(furthest >= 2),
            countIf(furthest >= 3),
            countIf(furthest >= 4),
            countIf(furthest >= 5),
            countIf(is_lost),
            round(countIf(furthest >= 5) / count(), 4)
        FROM (
            SELECT
                lead,
                max(lead_funnel.source) AS origin,
                toTimeZone(minIf(lead_funnel.at, step = 'captured'), {timezone:String}) AS captured_at,
                max(indexOf(['captured', 'contacted', 'qualified', 'quoted', 'converted'], step)) AS furthest,
                countIf(step = 'lost') > 0 AS is_lost
            FROM lead_funnel
            WHERE step NOT IN ('issued', 'accepted')
            GROUP BY lead
            HAVING captured_at >= fromUnixTimestamp64Micro({start:Int64}, 'UTC')
                AND captured_at < fromUnixTimestamp64Micro({end:Int64}, 'UTC')
        )
        GROUP BY label
        ORDER BY if({by:String} = 'month', 0, leads) DESC, label
        LIMIT {limit:UInt32}
    """,
    parameters={
        "by": Choice("source", {"source": "origin", "month": "formatDateTime(captured_at, '%Y-%m')"}),
        "timezone": str,
        "start": Instant,
        "end": Instant,
        "limit": int,
    },
    row=FunnelRow,
    example={
        "source": "referral",
        "captured": 40,
        "contacted": 31,
        "qualified": 20,
        "quoted": 12,
        "converted": 8,
        "lost": 9,
        "conversion_rate": 0.2,
    },
)
"""One row for each source, or for each month of `timezone` in which leads were captured.

Shape: who came to a step came past those before it, also where no event says so: a lead that is qualified at once
counts as contacted. A lost lead counts where it came to, and as lost. `conversion_rate` is converted / captured, to
four decimals. `start` ≤ captured < `end`.
"""


class QuotedRow(NamedTuple):
    group: str
    currency: str
    issued: int
    accepted: int
    issued_value: Money
    accepted_value: Money


QUOTED = Question(
    name="quoted",
    summary="What the quotes come to that were issued and accepted, each currency by itself",
    view="lead_funnel",
    sql="""
        SELECT
            {by} AS label,
            quoted_in,
            countIf(what = 'issued'),
            countIf(what = 'accepted'),
            sumIf(amount, what = 'issued') AS issued_value,
            sumIf(amount, what = 'accepted')
        FROM (
            SELECT
                lead AS who,
                step AS what,
                currency AS quoted_in,
                toDecimal256OrZero(value, 8) AS amount,
                toTimeZone(at, {timezone:String}) AS local
            FROM lead_funnel
            WHERE step IN ('issued', 'accepted')
                AND at >= fromUnixTimestamp64Micro({start:Int64}, 'UTC')
                AND at < fromUnixTimestamp64Micro({end:Int64}, 'UTC')
                AND ({currency:String} = '' OR currency = {currency:String})
        ) AS quotes
        LEFT JOIN (
            SELECT lead AS who, max(source) AS origin FROM lead_funnel WHERE step = 'captured' GROUP BY lead
        ) AS leads USING who
        GROUP BY label, quoted_in
        ORDER BY if({by:String} = 'month', 0, issued_value) DESC, label, quoted_in
        LIMIT {limit:UInt32}
    """,
    parameters={
        "by": Choice("source", {"source": "origin", "month": "formatDateTime(local, '%Y-%m')"}),
        "currency": str,
        "timezone": str,
        "start": Instant,
        "end": Instant,
        "limit": int,
    },
    row=QuotedRow,
    example={
        "source": "referral",
        "currency": "EUR",
        "issued": 12,
        "accepted": 8,
        "issued_value": "14205.7200",
        "accepted_value": "9470.4800",
    },
)
"""One row for each source or month, and currency.

Shape: the source is that of the lead, "" where there was none; the month is that of `timezone` in which a quote was
issued or accepted. `start` ≤ issued or accepted < `end`.
Units: exact decimals, never added over currencies.
"""

PROJECTION = Projection(
    name="lead_funnel",
    layout=Facts(
        row=StepRow,
        key=("tenant_id", "stream", "version"),
        day="at",
        scope="analytics",
        questions=(FUNNEL, QUOTED),
    ),
    topics=(Topic.EVENTS,),
    events=tuple(_STEPS),
    project=project,
)
