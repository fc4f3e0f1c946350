"""What was sold, to whom, where and for how much, line by line?"""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from domain.finance.invoice import InvoiceCorrected, InvoiceLine, InvoiceReceived
from projections.layout import Facts
from projections.projection import Projection
from projections.question import Choice, Question
from schemas.envelope import Envelope, StreamId, TenantId, Topic
from schemas.values import Instant, Money

REMOVED = "removed"
"""The kind of a line that a correction took away; it belongs to neither direction, so no question counts it."""


class InvoiceLineRow(NamedTuple):
    """One line of an invoice or credit note.

    Shape: `unit_price` ends at four decimals; where the price has more, the whole of it is `exact_price`, else "".
    Source: invoice.received, invoice.corrected.
    """

    tenant_id: TenantId
    stream: StreamId
    line: int
    invoiced_at: datetime
    number: str
    kind: str
    direction: str
    party: str
    country: str
    product: str
    description: str
    quantity: Decimal
    unit_price: Decimal
    currency: str
    position: int
    exact_price: str = ""


def project(envelope: Envelope, event: InvoiceReceived | InvoiceCorrected) -> list[InvoiceLineRow]:
    rows = [_row(envelope, event, number, line) for number, line in enumerate(event.lines, 1)]
    if isinstance(event, InvoiceCorrected):
        gone = range(len(event.lines) + 1, event.replaced_lines + 1)
        rows += [_row(envelope, event, number, NO_LINE)._replace(kind=REMOVED, direction="") for number in gone]
    return rows


NO_LINE = InvoiceLine(product="", description="", quantity=Decimal(0), unit_price=Decimal(0), dated_at=None)


def _row(
    envelope: Envelope, event: InvoiceReceived | InvoiceCorrected, number: int, line: InvoiceLine
) -> InvoiceLineRow:
    return InvoiceLineRow(
        tenant_id=envelope.tenant_id,
        stream=envelope.stream,
        line=number,
        invoiced_at=line.dated_at or event.issue_date,
        number=event.number,
        kind=event.kind,
        direction=event.direction,
        party=event.party,
        country=event.country,
        product=line.product,
        description=line.description,
        quantity=line.quantity,
        unit_price=line.unit_price,
        currency=event.currency,
        position=envelope.position,
        exact_price="" if line.exact_price is None else f"{line.exact_price:f}",
    )


class RevenueRow(NamedTuple):
    group: str
    currency: str
    revenue: Money
    quantity: Decimal
    lines: int
    invoices: int


REVENUE = Question(
    name="revenue",
    summary="Revenue of invoices less credit notes, each currency by itself",
    view="invoice_facts",
    beside=("invoice_balances",),
    # 256 bits: the product of a quantity and a price has 44 digits, and a sum of many must not wrap; OrZero is for the
    # rows that have no text there, because the engine may look at both branches
    sql="""
        SELECT
            {by} AS label,
            currency,
            sum(
                sign * toDecimal256(quantity, 4)
                * if(exact_price = '', toDecimal256(unit_price, 12), toDecimal256OrZero(exact_price, 12))
            ) AS revenue,
            sum(sign * quantity),
            count(),
            uniqExact(stream)
        FROM (
            SELECT
                *,
                toTimeZone(invoiced_at, {timezone:String}) AS local,
                if(
                    kind = 'credit_note' AND stream IN (
                        SELECT stream FROM invoice_balances WHERE says = 'content'
                        GROUP BY stream HAVING NOT startsWith(argMax(total, version), '-')
                    ), -1, 1
                ) AS sign
            FROM invoice_facts
            WHERE direction = {direction:String}
                AND ({currency:String} = '' OR currency = {currency:String})
                AND ({party:String} = '' OR party = {party:String})
                AND invoiced_at >= fromUnixTimestamp64Micro({start:Int64}, 'UTC')
                AND invoiced_at < fromUnixTimestamp64Micro({end:Int64}, 'UTC')
                AND stream NOT IN (SELECT stream FROM invoice_balances WHERE status IN ('REJECTED', 'CANCELLED'))
        )
        GROUP BY label, currency
        ORDER BY if({by:String} IN ('day', 'month'), 0, revenue) DESC, label, currency
        LIMIT {limit:UInt32}
    """,
    parameters={
        "by": Choice(
            "month",
            {
                "day": "formatDateTime(local, '%Y-%m-%d')",
                "month": "formatDateTime(local, '%Y-%m')",
                "country": "country",
                "product": "product",
                "customer": "party",
            },
        ),
        "direction": str,
        "currency": str,
        "party": str,
        "timezone": str,
        "start": Instant,
        "end": Instant,
        "limit": int,
    },
    row=RevenueRow,
    example={"month": "2010-12", "currency": "GBP", "revenue": "12.3400", "quantity": "5", "lines": 2, "invoices": 1},
)
"""Sum(quantity times unit price) of invoices less credit notes, one row for each group and currency.

Shape: day (`2010-12-01`) and month (`2010-12`) of `timezone`, in order; country, product and customer by revenue,
greatest first. What is rejected or cancelled does not count. A credit note is less, whatever its sign: where its total
is not below zero, its lines count with the other sign.
Units: exact decimals; `invoices` counts documents. `start` ≤ invoiced_at < `end`.
Source: invoice.received, invoice.corrected; the view invoice_balances.
"""

PROJECTION = Projection(
    name="invoice_facts",
    layout=Facts(
        row=InvoiceLineRow,
        key=("tenant_id", "stream", "line"),
        day="invoiced_at",
        scope="analytics",
        questions=(REVENUE,),
    ),
    topics=(Topic.EVENTS,),
    events=(InvoiceReceived, InvoiceCorrected),
    project=project,
)
