"""What does each invoice come to, what is paid of it, and how did it stand at any moment?"""

from datetime import datetime
from typing import NamedTuple

from domain.finance.decide_invoice import INVOICE
from domain.finance.invoice import (
    InvoiceCorrected,
    InvoiceEvent,
    InvoiceReceived,
    PaymentRecorded,
    PaymentRefunded,
)
from domain.finance.values import amount_text
from projections.finance.invoices import status_after
from projections.layout import Facts
from projections.projection import Projection
from projections.question import Choice, Party, Question
from schemas.envelope import Envelope, StreamId, TenantId, Topic
from schemas.values import Instant, Money


class BalanceRow(NamedTuple):
    """What one event says of an invoice.

    Shape: `says` is "content", "payment" or "status". The columns from `number` to `total` have a value in a content
    only, `paid_total` in a payment only; the exact amounts are texts. `due_at` is the issue date where no due date is
    known.
    """

    tenant_id: TenantId
    stream: StreamId
    version: int
    at: datetime
    says: str
    status: str
    number: str
    kind: str
    direction: str
    party: str
    currency: str
    issued_at: datetime
    due_at: datetime
    total: str
    paid_total: str
    position: int


def project(envelope: Envelope, event: InvoiceEvent) -> tuple[BalanceRow]:
    row = BalanceRow(
        tenant_id=envelope.tenant_id,
        stream=envelope.stream,
        version=envelope.version,
        at=envelope.happened_at,
        says="status",
        status=status_after(event),
        number="",
        kind="",
        direction="",
        party="",
        currency="",
        issued_at=envelope.happened_at,
        due_at=envelope.happened_at,
        total="",
        paid_total="",
        position=envelope.position,
    )
    if isinstance(event, InvoiceReceived | InvoiceCorrected):
        row = row._replace(
            says="content",
            number=event.number,
            kind=event.kind,
            direction=event.direction,
            party=event.party,
            currency=event.currency,
            issued_at=event.issue_date,
            due_at=event.due_date or event.issue_date,
            total=amount_text(event.exact_total or event.total),
        )
    elif isinstance(event, PaymentRecorded | PaymentRefunded):
        row = row._replace(says="payment", paid_total=amount_text(event.exact_paid_total or event.paid_total))
    return (row,)


class ReceivableRow(NamedTuple):
    group: str
    currency: str
    documents: int
    total: Money
    paid: Money
    open: Money
    due: Money
    overdue: Money
    days_0_30: Money
    days_31_60: Money
    days_61_90: Money
    days_over_90: Money


RECEIVABLES = Question(
    name="receivables",
    summary="What is paid, open, due and overdue of invoices less credit notes, as of an instant",
    view="invoice_balances",
    sql="""
        SELECT
            {by} AS label,
            currency,
            count(),
            sum(amount),
            sum(paid),
            sum(rest) AS left_open,
            sumIf(rest, days >= 0),
            sumIf(rest, days > 0),
            sumIf(rest, days BETWEEN 0 AND 30),
            sumIf(rest, days BETWEEN 31 AND 60),
            sumIf(rest, days BETWEEN 61 AND 90),
            sumIf(rest, days > 90)
        FROM (
            SELECT
                substring(stream, 9) AS invoice,
                party,
                currency,
                if(kind = 'credit_note', -abs(toDecimal256(whole, 16)), toDecimal256(whole, 16)) AS amount,
                toDecimal256OrZero(given, 16) AS paid,
                amount - paid AS rest,
                dateDiff('day', due, fromUnixTimestamp64Micro({as_of:Int64}, 'UTC'), {timezone:String}) AS days
            FROM (
                SELECT
                    stream,
                    argMaxIf(invoice_balances.party, version, says = 'content') AS party,
                    argMaxIf(invoice_balances.currency, version, says = 'content') AS currency,
                    argMaxIf(invoice_balances.kind, version, says = 'content') AS kind,
                    argMaxIf(invoice_balances.direction, version, says = 'content') AS direction,
                    argMaxIf(issued_at, version, says = 'content') AS issued,
                    argMaxIf(due_at, version, says = 'content') AS due,
                    argMaxIf(total, version, says = 'content') AS whole,
                    argMaxIf(paid_total, version, says = 'payment' AND at <= now) AS given,
                    argMaxIf(invoice_balances.status, version, at <= now) AS status,
                    fromUnixTimestamp64Micro({as_of:Int64}, 'UTC') AS now
                FROM invoice_balances
                GROUP BY stream
            )
            WHERE issued <= fromUnixTimestamp64Micro({as_of:Int64}, 'UTC')
                AND status NOT IN ('REJECTED', 'CANCELLED')
                AND direction = {direction:String}
                AND ({currency:String} = '' OR currency = {currency:String})
                AND ({party:String} = '' OR party = {party:String})
        )
        WHERE {state}
        GROUP BY label, currency
        ORDER BY if({by:String} = 'age', min(days), 0), left_open DESC, label, currency
        LIMIT {limit:UInt32}
    """,
    parameters={
        "by": Choice(
            "customer",
            {
                "customer": "party",
                "age": (
                    "multiIf(days < 0, 'not due', days <= 30, '0-30', days <= 60, '31-60', days <= 90, '61-90',"
                    " 'over 90')"
                ),
                "invoice": "invoice",
            },
        ),
        "state": Choice(
            "all",
            {
                "all": "true",
                "open": "rest != 0",
                "due": "rest != 0 AND days >= 0",
                "overdue": "rest != 0 AND days > 0",
                "paid": "rest = 0",
            },
        ),
        "direction": str,
        "currency": str,
        "party": str,
        "timezone": str,
        "as_of": Instant,
        "limit": int,
    },
    row=ReceivableRow,
    example={
        "customer": "91006",
        "currency": "EUR",
        "documents": 2,
        "total": "150.0000",
        "paid": "50.0000",
        "open": "100.0000",
        "due": "100.0000",
        "overdue": "100.0000",
        "days_0_30": "0.0000",
        "days_31_60": "100.0000",
        "days_61_90": "0.0000",
        "days_over_90": "0.0000",
    },
)
"""One row for each group and currency.

Shape: `open` = `total` - `paid`; `due` is what of it has come to its due day, which is the sum of the four ages, and
`overdue` what is past that day. The age counts the days of `timezone` since the due date, or since the issue date where
an invoice has none. What is issued later than `as_of` is left out, as is what was rejected or cancelled by then, and
payments count from the moment they happened. A credit note is less, whatever its sign.
Units: exact decimals, never added over currencies.
"""


class StatementRow(NamedTuple):
    at: datetime
    what: str
    invoice: str
    number: str
    due_at: datetime
    currency: str
    amount: Money
    balance: Money


STATEMENT = Question(
    name="statement",
    summary="What a customer or supplier was invoiced and what was paid, one after the other, with the balance",
    view="invoice_balances",
    sql="""
        SELECT at, what, invoice, number, due, currency, amount, balance
        FROM (
            SELECT
                *,
                sum(amount) OVER (
                    PARTITION BY currency ORDER BY at, invoice, turn ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
                ) AS balance
            FROM (
                SELECT
                    substring(stream, 9) AS invoice,
                    number,
                    due,
                    currency,
                    arrayJoin(
                        arrayConcat(
                            [(toUInt32(0), issued, kind, if(kind = 'credit_note', -abs(whole), whole))],
                            arrayMap(
                                (one, sum, before, turn) -> (
                                    toUInt32(turn), one.2, if(sum < before, 'refund', 'payment'), before - sum
                                ),
                                paid,
                                sums,
                                arrayPopBack(arrayPushFront(sums, toDecimal256(0, 16))),
                                arrayEnumerate(paid)
                            )
                        )
                    ) AS entry,
                    entry.1 AS turn,
                    entry.2 AS at,
                    entry.3 AS what,
                    entry.4 AS amount
                FROM (
                    SELECT
                        stream,
                        argMaxIf(invoice_balances.number, version, says = 'content') AS number,
                        argMaxIf(invoice_balances.party, version, says = 'content') AS party,
                        argMaxIf(invoice_balances.currency, version, says = 'content') AS currency,
                        argMaxIf(invoice_balances.kind, version, says = 'content') AS kind,
                        argMaxIf(invoice_balances.direction, version, says = 'content') AS direction,
                        argMaxIf(issued_at, version, says = 'content') AS issued,
                        argMaxIf(due_at, version, says = 'content') AS due,
                        toDecimal256(argMaxIf(total, version, says = 'content'), 16) AS whole,
                        argMax(invoice_balances.status, version) AS status,
                        arraySort(groupArrayIf((version, invoice_balances.at, paid_total), says = 'payment')) AS paid,
                        arrayMap(one -> toDecimal256OrZero(one.3, 16), paid) AS sums
                    FROM invoice_balances
                    GROUP BY stream
                )
                WHERE status NOT IN ('REJECTED', 'CANCELLED')
                    AND direction = {direction:String}
                    AND party = {party:String}
                    AND ({currency:String} = '' OR currency = {currency:String})
            )
        )
        WHERE at >= fromUnixTimestamp64Micro({start:Int64}, 'UTC') AND at < fromUnixTimestamp64Micro({end:Int64}, 'UTC')
        ORDER BY currency, at, invoice, turn
        LIMIT {limit:UInt32}
    """,
    parameters={
        "party": Party,
        "direction": str,
        "currency": str,
        "start": Instant,
        "end": Instant,
        "limit": int,
    },
    row=StatementRow,
    example={
        "at": "2026-01-31T00:00:00Z",
        "what": "invoice",
        "invoice": "91006:R-1",
        "number": "R-1",
        "due_at": "2026-02-14T00:00:00Z",
        "currency": "EUR",
        "amount": "150.0000",
        "balance": "150.0000",
    },
)
"""Invoices, credit notes, payments and refunds of one party, each currency by itself and in order of time.

Shape: `amount` is what it adds to the balance: a credit note and a payment are less than nothing. `balance` counts from
the beginning, also where `start` leaves out the first. What was rejected or cancelled is left out, with its payments.
Units: exact decimals. `start` ≤ at < `end`.
"""

PROJECTION = Projection(
    name="invoice_balances",
    layout=Facts(
        row=BalanceRow,
        key=("tenant_id", "stream", "version"),
        day="at",
        scope="analytics",
        questions=(RECEIVABLES, STATEMENT),
    ),
    topics=(Topic.EVENTS,),
    events=INVOICE.events,
    project=project,
)
