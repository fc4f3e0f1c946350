"""Which invoices are there, and what is paid of each?"""

from decimal import Decimal
from typing import Any, assert_never

from domain.finance.decide_invoice import INVOICE
from domain.finance.invoice import (
    ApprovalAwaited,
    Direction,
    DocumentKind,
    InvoiceAmountFlagged,
    InvoiceApproved,
    InvoiceCancelled,
    InvoiceCategorised,
    InvoiceCorrected,
    InvoiceDisputed,
    InvoiceEvent,
    InvoiceOverdue,
    InvoiceReceived,
    InvoiceRejected,
    PaymentReconciled,
    PaymentRecorded,
    PaymentRefunded,
    PaymentUnreconciled,
)
from domain.finance.invoice_state import InvoiceStatus
from domain.finance.usual_amounts import AmountFlag
from domain.finance.values import amount_text
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: InvoiceEvent) -> tuple[Patch]:
    return decided(envelope, _fields(event))


def _fields(event: InvoiceEvent) -> dict[str, Any]:
    match event:
        case InvoiceReceived():
            return {
                **_content(event),
                "status": status_after(event),
                "due_date": instant_text(event.due_date) if event.due_date else None,
                "paid_total": amount_text(Decimal(0)),
            }
        case InvoiceCorrected():
            # a field without a value would stay as it was
            due_date = instant_text(event.due_date) if event.due_date else ""
            return {
                **_content(event),
                "status": event.status,
                "status_reason": event.reason,
                "due_date": due_date,
                "amount_flag": "",
                "amount_flag_reason": "",
            }
        case InvoiceCategorised():
            return {"category": event.category, "categorised_by": event.by or "", "status": event.status}
        case InvoiceApproved():
            return {"status": event.status, "status_reason": event.note}
        case InvoiceRejected() | InvoiceCancelled() | InvoiceDisputed():
            return {"status": status_after(event), "status_reason": event.reason}
        case PaymentRecorded() | PaymentRefunded():
            return {"paid_total": amount_text(event.exact_paid_total or event.paid_total), "status": event.status}
        case InvoiceOverdue() | PaymentReconciled() | PaymentUnreconciled():
            return {"status": event.status}
        case InvoiceAmountFlagged():
            return {"status": event.status, "amount_flag": event.flag, "amount_flag_reason": event.reason}
        case ApprovalAwaited():
            return {"status": event.status, "status_reason": f"more than the limit of {amount_text(event.limit)}"}
        case _:
            assert_never(event)


def status_after(event: InvoiceEvent) -> str:
    """Return the status that an event leaves its invoice in."""
    match event:
        case InvoiceReceived():
            return InvoiceStatus.RECEIVED.value
        case InvoiceRejected():
            return InvoiceStatus.REJECTED.value
        case InvoiceCancelled():
            return InvoiceStatus.CANCELLED.value
        case InvoiceDisputed():
            return InvoiceStatus.DISPUTED.value
        case (
            InvoiceCorrected()
            | InvoiceCategorised()
            | InvoiceApproved()
            | PaymentRecorded()
            | PaymentRefunded()
            | PaymentReconciled()
            | PaymentUnreconciled()
            | InvoiceOverdue()
            | ApprovalAwaited()
            | InvoiceAmountFlagged()
        ):
            return event.status
        case _:
            assert_never(event)


def _content(event: InvoiceReceived | InvoiceCorrected) -> dict[str, Any]:
    return {
        "number": event.number,
        "party": event.party,
        "kind": event.kind,
        "direction": event.direction,
        "country": event.country,
        "currency": event.currency,
        "issue_date": instant_text(event.issue_date),
        "net": amount_text(event.exact_net or event.net),
        "tax": amount_text(event.tax),
        "total": amount_text(event.exact_total or event.total),
        "line_count": len(event.lines),
    }


PROJECTION = Projection(
    name="invoices",
    layout=Documents(
        filters=("status", "party", "kind", "country", "direction", "currency", "category", "amount_flag"),
        values={"status": InvoiceStatus, "kind": DocumentKind, "direction": Direction, "amount_flag": AmountFlag},
        sorts=(
            "issue_date",
            "number",
            "party",
            "due_date",
            "status",
            "direction",
            "currency",
            "net",
            "total",
            "paid_total",
        ),
        numbers=("net", "total", "paid_total"),
        instants=("issue_date", "due_date"),
        default_sort="-issue_date",
        search=("number", "party", "category", "status_reason"),
        scope="invoices",
        example={
            "id": "536365",
            "version": 1,
            "number": "536365",
            "direction": "out",
            "net": "139.1200",
            "currency": "GBP",
        },
    ),
    topics=(Topic.EVENTS,),
    events=INVOICE.events,
    project=project,
)
