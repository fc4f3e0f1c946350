"""What does an invoice say, line by line, what was paid of it and when, and until when was it to be paid?"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from domain.catalog import event_from
from domain.finance.invoice import InvoiceCorrected, InvoiceLine, InvoiceReceived, PaymentRecorded, PaymentRefunded
from domain.finance.values import amount_text, minus, plus, times
from projections.fields import instant_text
from projections.finance.invoices import status_after
from schemas.envelope import Envelope


def document_of(events: Sequence[Envelope]) -> Mapping[str, Any]:
    """Return an invoice as a document, of all events of its stream in their order.

    Shape: the content is the last one that was said; `open` is what is left to pay. `refunded` is what was given back
    of a payment, in one or more parts, of which `refunded_at` is the last.
    Units: amounts are decimal texts in `currency`.
    Source: the events of an invoice.
    """
    document: dict[str, Any] = {}
    payments: dict[str, dict[str, Any]] = {}
    paid = Decimal(0)
    for envelope in events:
        event: Any = event_from(envelope)
        document["status"] = status_after(event)
        match event:
            case InvoiceReceived() | InvoiceCorrected():
                document |= _content(event)
            case PaymentRecorded():
                payments[event.payment_id] = _payment(event, instant_text(envelope.happened_at))
                paid = event.exact_paid_total or event.paid_total
            case PaymentRefunded():
                payment = payments[event.payment_id]
                back = plus(Decimal(payment["refunded"]), event.exact_amount or event.amount)
                payment |= {"refunded": amount_text(back), "refunded_at": instant_text(envelope.happened_at)}
                paid = event.exact_paid_total or event.paid_total
            case _:
                pass
    left = minus(Decimal(document["total"]), paid)
    return {
        **document,
        "paid_total": amount_text(paid),
        "open": amount_text(left),
        "payments": list(payments.values()),
    }


def _content(event: InvoiceReceived | InvoiceCorrected) -> Mapping[str, Any]:
    return {
        "number": event.number,
        "kind": event.kind,
        "direction": event.direction,
        "party": event.party,
        "country": event.country,
        "issue_date": instant_text(event.issue_date),
        "due_date": instant_text(event.due_date) if event.due_date else None,
        "currency": event.currency,
        "net": amount_text(event.exact_net or event.net),
        "tax": amount_text(event.tax),
        "total": amount_text(event.exact_total or event.total),
        "lines": [_line(number, line) for number, line in enumerate(event.lines, 1)],
    }


def _line(number: int, line: InvoiceLine) -> Mapping[str, Any]:
    price = line.unit_price if line.exact_price is None else line.exact_price
    return {
        "line": number,
        "product": line.product,
        "description": line.description,
        "quantity": f"{line.quantity.normalize():f}",
        "unit_price": amount_text(price),
        "amount": amount_text(times(line.quantity, price)),
        "dated_at": instant_text(line.dated_at) if line.dated_at else None,
    }


def _payment(event: PaymentRecorded, at: str) -> dict[str, Any]:
    return {
        "payment_id": event.payment_id,
        "paid_at": at,
        "amount": amount_text(event.exact_amount or event.amount),
        "method": event.method,
        "reference": event.reference,
        "refunded": amount_text(Decimal(0)),
        "refunded_at": None,
    }
