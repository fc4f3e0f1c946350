"""Which lines do the bank's statements have, which invoice does each pay, and which ones need a person?"""

from typing import Any, assert_never

from domain.finance.transaction import (
    TRANSACTION,
    TransactionAmountFlagged,
    TransactionAssigned,
    TransactionEvent,
    TransactionFlagged,
    TransactionIgnored,
    TransactionReconciled,
    TransactionRecorded,
    TransactionReopened,
    TransactionStatus,
)
from domain.finance.usual_amounts import AmountFlag
from domain.finance.values import amount_text
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: TransactionEvent) -> tuple[Patch]:
    return decided(envelope, {**_fields(event), "changed_at": instant_text(envelope.happened_at)})


def _fields(event: TransactionEvent) -> dict[str, Any]:
    match event:
        case TransactionRecorded():
            return {
                "status": TransactionStatus.OPEN.value,
                "account": event.account,
                "booked_at": instant_text(event.booked_at),
                "amount": amount_text(event.amount),
                "currency": event.currency,
                "party": event.party,
                "number": event.number or "",
                "reference": event.reference,
            }
        case TransactionAssigned():
            return {"status": TransactionStatus.OPEN.value, "invoice": event.invoice}
        case TransactionReconciled():
            return {
                "status": TransactionStatus.RECONCILED.value,
                "invoice": event.invoice,
                "payment_id": event.payment_id,
                "status_reason": "",
                "score": 0,
            }
        case TransactionFlagged():
            return {
                "status": TransactionStatus.FLAGGED.value,
                "status_reason": event.reason,
                "score": event.score,
                "invoice": "",
            }
        case TransactionReopened():
            return {
                "status": TransactionStatus.FLAGGED.value,
                "status_reason": event.reason,
                "score": event.score,
                "invoice": "",
                "payment_id": "",
            }
        case TransactionAmountFlagged():
            return {"amount_flag": event.flag, "amount_flag_reason": event.reason}
        case TransactionIgnored():
            return {"status": TransactionStatus.IGNORED.value, "status_reason": event.reason, "score": 0}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="transactions",
    layout=Documents(
        filters=("status", "account", "party", "currency", "invoice", "amount_flag"),
        values={"status": TransactionStatus, "amount_flag": AmountFlag},
        sorts=("booked_at", "amount", "score", "changed_at"),
        numbers=("amount", "score"),
        instants=("booked_at", "changed_at"),
        default_sort="-booked_at",
        search=("party", "reference", "status_reason"),
        scope="invoices",
        example={
            "id": "2026-01-31-7",
            "version": 2,
            "status": "FLAGGED",
            "account": "DE02 1203 0000 0000 2020 51",
            "booked_at": "2026-01-31T00:00:00.000000Z",
            "amount": "139.1200",
            "currency": "GBP",
            "party": "17850",
            "reference": "invoice 536365",
            "score": 50,
            "status_reason": "none of these invoices is known: 17850:536365",
        },
    ),
    topics=(Topic.EVENTS,),
    events=TRANSACTION.events,
    project=project,
)
