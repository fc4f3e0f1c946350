"""These are the rules for the payments of an invoice: what is paid, given back, found in a statement, or late."""

from dataclasses import replace
from decimal import Decimal
from typing import assert_never

from domain.finance.invoice import (
    InvoiceCommand,
    InvoiceEvent,
    InvoiceOverdue,
    MarkOverdue,
    PaymentReconciled,
    PaymentRecorded,
    PaymentRefunded,
    PaymentUnreconciled,
    ReconcilePayment,
    RecordPayment,
    RefundPayment,
)
from domain.finance.invoice_state import (
    OVERDUE_AFTER,
    Invoice,
    InvoiceStatus,
    Payment,
    is_owed,
    left_of,
    with_payment,
    with_refund,
)
from domain.finance.values import amount_text, beyond, cut, is_too_large, minus, plus
from domain.given import Given
from domain.message import filled
from domain.rejection import conflict, invalid, not_allowed, not_found

BANK = "bank transfer"
"""The method of a payment that is recorded because the bank has it."""


def pay(
    command: RecordPayment | RefundPayment | ReconcilePayment | MarkOverdue, state: Invoice, given: Given
) -> tuple[InvoiceEvent, ...]:
    match command:
        case RecordPayment():
            return _record_payment(command, state)
        case RefundPayment():
            return _refund_payment(command, state)
        case ReconcilePayment():
            return _reconcile_payment(command, state)
        case MarkOverdue():
            return _mark_overdue(command, state, given)
        case _:
            assert_never(command)


def _record_payment(command: RecordPayment, state: Invoice) -> tuple[PaymentRecorded, ...]:
    if command.currency not in {None, state.currency}:
        raise conflict(
            f"payment {command.payment_id} is in {command.currency}, but {name_of(command)} is in {state.currency}"
        )
    if (payment := state.payments.get(command.payment_id)) is not None:
        return _repeat(command, payment)
    _refuse_unpayable(command, state)
    if command.amount > state.open_amount:
        raise conflict(
            f"payment {command.payment_id} of {amount_text(command.amount)} is more than the "
            f"{amount_text(state.open_amount)} {state.currency} still open on {name_of(command)}"
        )
    paid_total = plus(state.paid_total, command.amount)
    if is_too_large(command.amount) or is_too_large(paid_total):
        raise invalid(f"payment {command.payment_id} has too many digits to be kept exactly")
    after = with_payment(state, command.payment_id, command.amount, paid_total)
    return (
        filled(
            PaymentRecorded,
            command,
            invoice=command.id,
            currency=state.currency,
            status=after.status.value,
            **in_two("amount", command.amount),
            **in_two("paid_total", paid_total),
        ),
    )


def _repeat(command: RecordPayment, payment: Payment) -> tuple[()]:
    if payment.refunded or payment.amount != command.amount:
        refunded = ", and refunded" if payment.refunded else ""
        known = f"payment {command.payment_id} was recorded already, with {amount_text(payment.amount)}"
        raise conflict(known + refunded)
    return ()


def _refund_payment(command: RefundPayment, state: Invoice) -> tuple[InvoiceEvent, ...]:
    payment = state.payments.get(command.payment_id)
    if payment is None:
        raise not_found(f"payment {command.payment_id} is not known on {name_of(command)}")
    if payment.refunded:
        return ()
    left = left_of(payment)
    amount = left if command.amount is None else command.amount
    if amount > left:
        raise conflict(
            f"a refund of {amount_text(amount)} is more than the {amount_text(left)} {state.currency} that are left of"
            f" payment {command.payment_id}"
        )
    paid_total = minus(state.paid_total, amount)
    after = with_refund(state, command.payment_id, amount, paid_total)
    refunded = filled(
        PaymentRefunded,
        command,
        invoice=command.id,
        currency=state.currency,
        status=after.status.value,
        **in_two("amount", amount),
        **in_two("paid_total", paid_total),
    )
    transaction_id = state.reconciled.get(command.payment_id)
    if transaction_id is None or amount < left:
        return (refunded,)
    unreconciled = filled(PaymentUnreconciled, refunded, transaction_id=transaction_id, status=state.status.value)
    return (unreconciled, refunded)


def _reconcile_payment(command: ReconcilePayment, state: Invoice) -> tuple[PaymentRecorded | PaymentReconciled, ...]:
    if command.transaction_id in state.reconciled.values():
        return ()
    if command.currency != state.currency:
        raise conflict(
            f"transaction {command.transaction_id} is in {command.currency}, but {name_of(command)} in {state.currency}"
        )
    if command.came_in != (state.direction == "out"):
        went = "came in" if command.came_in else "went out"
        raise conflict(f"transaction {command.transaction_id} {went}, which does not pay {name_of(command)}")
    same = (
        id_
        for id_, payment in state.payments.items()
        if id_ not in state.reconciled and left_of(payment) == command.amount
    )
    payment_id, recorded = next(same, None), tuple[PaymentRecorded, ...]()
    if payment_id is None:
        if command.exact and command.amount != state.open_amount:
            raise conflict(
                f"{name_of(command)} has {amount_text(state.open_amount)} {state.currency} open, and no payment of"
                f" {amount_text(command.amount)} that the bank does not have yet"
            )
        payment_id = command.transaction_id
        payment = filled(RecordPayment, command, payment_id=payment_id, method=BANK)
        recorded = _record_payment(payment, state)
    reconciled = filled(
        PaymentReconciled,
        command,
        payment_id=payment_id,
        invoice=command.id,
        status=recorded[-1].status if recorded else state.status.value,
    )
    return (*recorded, reconciled)


def _mark_overdue(command: MarkOverdue, state: Invoice, given: Given) -> tuple[InvoiceEvent, ...]:
    if state.overdue or not is_owed(state):
        return ()
    if state.due_date is None:
        raise not_allowed(f"{name_of(command)} has no due date")
    if given.now < (until := state.due_date + OVERDUE_AFTER):
        raise not_allowed(f"{name_of(command)} may be paid until {until.isoformat()}")
    return (InvoiceOverdue(due_date=state.due_date, status=replace(state, overdue=True).status.value),)


def _refuse_unpayable(command: RecordPayment, state: Invoice) -> None:
    refuse_closed(command, state)
    if state.kind == "credit_note":
        raise not_allowed(f"{name_of(command)} is a credit note and cannot be paid")
    if state.disputed:
        raise not_allowed(f"{name_of(command)} is DISPUTED; approve it to end the dispute")
    if state.direction == "in" and state.review is not InvoiceStatus.APPROVED:
        raise not_allowed(f"{name_of(command)} is {state.status}; approve it first")


def refuse_closed(command: InvoiceCommand, state: Invoice) -> None:
    if state.closed is not None:
        raise not_allowed(f"{name_of(command)} is {state.closed}")


def name_of(command: InvoiceCommand) -> str:
    kind = "incoming invoice" if command.direction == "in" else "invoice"
    return f"{kind} {command.number} of party {command.party or 'unknown'}"


def in_two(name: str, amount: Decimal) -> dict[str, Decimal | None]:
    """Return an amount of a released event, which ends at eight decimals, and beside it the whole of one with more."""
    return {name: cut(amount, 8), f"exact_{name}": beyond(amount, 8)}
