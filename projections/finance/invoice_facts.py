"""What was sold, to whom, where and for how much, line by line?"""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from domain.finance.events import InvoiceReceived
from projections.layout import Facts
from projections.projection import Projection
from schemas.envelope import Envelope, StreamId, TenantId, Topic


class InvoiceLineRow(NamedTuple):
    """One line of an invoice or credit note. Source: invoice.received."""

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


def project(envelope: Envelope, event: InvoiceReceived) -> list[InvoiceLineRow]:
    return [
        InvoiceLineRow(
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
        )
        for number, line in enumerate(event.lines, 1)
    ]


PROJECTION = Projection(
    name="invoice_facts",
    layout=Facts(row=InvoiceLineRow, key=("tenant_id", "stream", "line"), day="invoiced_at"),
    topics=(Topic.EVENTS,),
    events=(InvoiceReceived,),
    project=project,
)
