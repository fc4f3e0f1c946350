"""This view answers which quotes there are, for whom, over how much, and how each stands."""

from typing import Any, assert_never

from domain.finance.values import amount_text
from domain.sales.quote import (
    QUOTE,
    QuoteAccepted,
    QuoteDrafted,
    QuoteEvent,
    QuoteExpired,
    QuoteIssued,
    QuoteLine,
    QuoteStatus,
    QuoteVoided,
    invoice_number,
)
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic, id_of


def project(envelope: Envelope, event: QuoteEvent) -> tuple[Patch]:
    return decided(envelope, _fields(envelope, event))


def _fields(envelope: Envelope, event: QuoteEvent) -> dict[str, Any]:
    at = instant_text(envelope.happened_at)
    match event:
        case QuoteDrafted():
            return {**_content(event), "status": QuoteStatus.DRAFT.value, "drafted_at": at}
        case QuoteIssued():
            return {"status": QuoteStatus.ISSUED.value, "issued_at": at}
        case QuoteAccepted():
            number = invoice_number(id_of(envelope.stream))
            return {"status": QuoteStatus.ACCEPTED.value, "accepted_at": at, "invoice_number": number}
        case QuoteVoided():
            return {"status": QuoteStatus.VOIDED.value, "status_reason": event.reason}
        case QuoteExpired():
            return {"status": QuoteStatus.EXPIRED.value}
        case _:
            assert_never(event)


def _content(event: QuoteDrafted) -> dict[str, Any]:
    return {
        "lead_id": event.lead_id,
        "customer_id": event.customer_id,
        "lines": [_line(line) for line in event.lines],
        "net": amount_text(event.net),
        "tax": amount_text(event.tax),
        "total": amount_text(event.total),
        "currency": event.currency,
        "country": event.country,
        "valid_until": instant_text(event.valid_until),
        "payment_days": event.payment_days,
    }


def _line(line: QuoteLine) -> dict[str, str]:
    return {
        "product": line.product,
        "description": line.description,
        "quantity": amount_text(line.quantity),
        "unit_price": amount_text(line.unit_price),
    }


PROJECTION = Projection(
    name="quotes",
    layout=Documents(
        filters=("status", "lead_id", "customer_id", "currency"),
        values={"status": QuoteStatus},
        sorts=("drafted_at", "valid_until"),
        default_sort="-drafted_at",
        scope="quotes",
        example={
            "id": "q-7",
            "version": 2,
            "lead_id": "acme-1",
            "status": "ISSUED",
            "total": "1183.8100",
            "currency": "EUR",
            "valid_until": "2026-03-01T00:00:00.000000Z",
        },
    ),
    topics=(Topic.EVENTS,),
    events=QUOTE.events,
    project=project,
)
