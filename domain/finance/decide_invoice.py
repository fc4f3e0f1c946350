"""These are the rules for invoices and their payments: which commands are accepted, and what follows."""

from typing import assert_never

from domain.finance.invoice import (
    ApproveInvoice,
    CancelInvoice,
    CategoriseInvoice,
    DisputeInvoice,
    Invoice,
    InvoiceApproved,
    InvoiceCancelled,
    InvoiceCategorised,
    InvoiceCommand,
    InvoiceDisputed,
    InvoiceEvent,
    InvoiceLine,
    InvoiceReceived,
    InvoiceRejected,
    InvoiceStatus,
    LineItem,
    Payment,
    PaymentRecorded,
    PaymentRefunded,
    ReceiveInvoice,
    RecordPayment,
    RefundPayment,
    RejectInvoice,
    approved,
    categorised,
    evolve_invoice,
    with_payment,
)
from domain.finance.values import TOTAL_LIMIT, amount_text, minus, plus, times, total
from domain.given import Given
from domain.message import Decider, classes_of, filled
from domain.rejection import conflict, invalid, not_allowed, not_found

CREDIT_NOTE_PREFIX = "C"


def decide_invoice(command: InvoiceCommand, state: Invoice | None, _given: Given) -> tuple[InvoiceEvent, ...]:
    if isinstance(command, ReceiveInvoice):
        return _receive(command, state)
    if state is None:
        raise not_found(f"{_name(command)} is not known")
    match command:
        case CategoriseInvoice():
            return _categorise(command, state)
        case ApproveInvoice():
            return _approve(command, state)
        case RejectInvoice():
            return _reject(command, state)
        case CancelInvoice():
            return _cancel(command, state)
        case DisputeInvoice():
            _refuse_closed(command, state)
            return () if state.disputed else (InvoiceDisputed(reason=command.reason),)
        case RecordPayment():
            return _record_payment(command, state)
        case RefundPayment():
            return _refund_payment(command, state)
        case _:
            assert_never(command)


def _receive(command: ReceiveInvoice, state: Invoice | None) -> tuple[InvoiceEvent, ...]:
    if state is not None:
        raise conflict(f"{_name(command)} was received already")
    net = total(times(line.quantity, line.unit_price) for line in command.lines)
    gross = plus(net, command.tax)
    if max(abs(net), abs(gross)) >= TOTAL_LIMIT:
        raise invalid(f"{_name(command)} comes to {gross:f}; a total has at most 30 digits before the decimal point")
    return (
        filled(
            InvoiceReceived,
            command,
            kind="credit_note" if command.number.startswith(CREDIT_NOTE_PREFIX) else "invoice",
            lines=tuple(_line(item) for item in command.lines),
            net=net,
            total=gross,
        ),
    )


def _line(item: LineItem) -> InvoiceLine:
    # written out: an import of invoices spends its time here
    return InvoiceLine(
        product=item.product,
        description=item.description,
        quantity=item.quantity,
        unit_price=item.unit_price,
        dated_at=item.dated_at,
    )


def _categorise(command: CategoriseInvoice, state: Invoice) -> tuple[InvoiceEvent, ...]:
    _refuse_closed(command, state)
    after = categorised(state, command.category, command.by)
    if after == state:
        return ()
    return (filled(InvoiceCategorised, command, status=after.status.value),)


def _approve(command: ApproveInvoice, state: Invoice) -> tuple[InvoiceEvent, ...]:
    _refuse_closed(command, state)
    after = approved(state)
    return () if after == state else (InvoiceApproved(note=command.note, status=after.status.value),)


def _reject(command: RejectInvoice, state: Invoice) -> tuple[InvoiceEvent, ...]:
    if state.closed is InvoiceStatus.REJECTED:
        return ()
    _refuse_closed(command, state)
    _refuse_paid(command, state)
    if state.review is InvoiceStatus.APPROVED:
        raise not_allowed(f"{_name(command)} was approved; cancel it instead")
    return (InvoiceRejected(reason=command.reason),)


def _cancel(command: CancelInvoice, state: Invoice) -> tuple[InvoiceEvent, ...]:
    if state.closed is InvoiceStatus.CANCELLED:
        return ()
    _refuse_closed(command, state)
    _refuse_paid(command, state)
    return (InvoiceCancelled(reason=command.reason),)


def _record_payment(command: RecordPayment, state: Invoice) -> tuple[InvoiceEvent, ...]:
    if (payment := state.payments.get(command.payment_id)) is not None:
        return _repeat(command, payment)
    _refuse_unpayable(command, state)
    if command.amount > state.open_amount:
        raise conflict(
            f"payment {command.payment_id} of {amount_text(command.amount)} is more than the "
            f"{amount_text(state.open_amount)} {state.currency} still open on {_name(command)}"
        )
    paid_total = plus(state.paid_total, command.amount)
    after = with_payment(state, command.payment_id, command.amount, paid_total, refunded=False)
    return (
        filled(
            PaymentRecorded,
            command,
            invoice=command.id,
            currency=state.currency,
            paid_total=paid_total,
            status=after.status.value,
        ),
    )


def _repeat(command: RecordPayment, payment: Payment) -> tuple[InvoiceEvent, ...]:
    if payment.refunded or payment.amount != command.amount:
        refunded = ", and refunded" if payment.refunded else ""
        known = f"payment {command.payment_id} was recorded already, with {amount_text(payment.amount)}"
        raise conflict(known + refunded)
    return ()


def _refund_payment(command: RefundPayment, state: Invoice) -> tuple[InvoiceEvent, ...]:
    payment = state.payments.get(command.payment_id)
    if payment is None:
        raise not_found(f"payment {command.payment_id} is not known on {_name(command)}")
    if payment.refunded:
        return ()
    paid_total = minus(state.paid_total, payment.amount)
    after = with_payment(state, command.payment_id, payment.amount, paid_total, refunded=True)
    return (
        filled(
            PaymentRefunded,
            command,
            invoice=command.id,
            amount=payment.amount,
            currency=state.currency,
            paid_total=paid_total,
            status=after.status.value,
        ),
    )


def _refuse_unpayable(command: RecordPayment, state: Invoice) -> None:
    _refuse_closed(command, state)
    if state.kind == "credit_note":
        raise not_allowed(f"{_name(command)} is a credit note and cannot be paid")
    if state.disputed:
        raise not_allowed(f"{_name(command)} is DISPUTED; approve it to end the dispute")
    if state.direction == "in" and state.review is not InvoiceStatus.APPROVED:
        raise not_allowed(f"{_name(command)} is {state.status}; approve it first")


def _refuse_closed(command: InvoiceCommand, state: Invoice) -> None:
    if state.closed is not None:
        raise not_allowed(f"{_name(command)} is {state.closed}")


def _refuse_paid(command: InvoiceCommand, state: Invoice) -> None:
    if state.paid_total:
        raise not_allowed(f"{_name(command)} has payments; refund them first")


def _name(command: InvoiceCommand) -> str:
    return f"invoice {command.number} of party {command.party or 'unknown'}"


INVOICE = Decider(
    category="invoice",
    commands=classes_of(InvoiceCommand),
    events=classes_of(InvoiceEvent),
    decide=decide_invoice,
    evolve=evolve_invoice,
)
