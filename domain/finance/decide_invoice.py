"""These are the rules for invoices and their payments: which commands are accepted, and what follows."""

from dataclasses import replace
from decimal import Decimal
from typing import Any, assert_never

from domain.finance.approval_limits import APPROVAL_LIMITS_STREAM, ApprovalLimits
from domain.finance.content import digest_of
from domain.finance.invoice import (
    ApprovalAwaited,
    ApproveInvoice,
    CancelInvoice,
    CategoriseInvoice,
    CommandOfKnown,
    CorrectedLine,
    CorrectInvoice,
    DisputeInvoice,
    InvoiceApproved,
    InvoiceCancelled,
    InvoiceCategorised,
    InvoiceCommand,
    InvoiceCorrected,
    InvoiceDisputed,
    InvoiceEvent,
    InvoiceLine,
    InvoiceOverdue,
    InvoiceReceived,
    InvoiceRejected,
    MarkOverdue,
    PaymentRecorded,
    PaymentRefunded,
    ReceiveInvoice,
    RecordPayment,
    RefundPayment,
    RejectInvoice,
    ReviewInvoice,
)
from domain.finance.invoice_state import (
    OVERDUE_AFTER,
    Invoice,
    InvoiceStatus,
    Payment,
    approved,
    categorised,
    corrected,
    evolve_invoice,
    is_owed,
    left_of,
    with_payment,
    with_refund,
)
from domain.finance.values import amount_text, beyond, cut, is_too_large, minus, plus, times, total
from domain.given import Given
from domain.message import Decider, classes_of, filled
from domain.rejection import conflict, invalid, not_allowed, not_found
from schemas.envelope import Actor, StreamId


def invoice_reads(command: InvoiceCommand, _actor: Actor) -> tuple[StreamId, ...]:
    """Name the stream of the tenant's limits, where an invoice is held against them."""
    return (APPROVAL_LIMITS_STREAM,) if isinstance(command, ReviewInvoice) else ()


def decide_invoice(command: InvoiceCommand, state: Invoice | None, given: Given) -> tuple[InvoiceEvent, ...]:
    if isinstance(command, ReceiveInvoice):
        return _receive(command, state)
    if state is None:
        raise not_found(f"{_name(command)} is not known")
    if command.direction not in {None, state.direction}:
        # recorded before direction was part of the name
        raise not_found(f"{_name(command)} is not known; the one of that name is incoming: leave out its direction")
    return _go_on(command, state, given)


def _go_on(command: CommandOfKnown, state: Invoice, given: Given) -> tuple[InvoiceEvent, ...]:
    match command:
        case CorrectInvoice():
            return _correct(command, state)
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
        case ReviewInvoice():
            return _review(command, state, given)
        case RecordPayment() | RefundPayment() | MarkOverdue():
            return _pay(command, state, given)
        case _:
            assert_never(command)


def _pay(
    command: RecordPayment | RefundPayment | MarkOverdue, state: Invoice, given: Given
) -> tuple[InvoiceEvent, ...]:
    match command:
        case RecordPayment():
            return _record_payment(command, state)
        case RefundPayment():
            return _refund_payment(command, state)
        case MarkOverdue():
            return _mark_overdue(command, state, given)
        case _:
            assert_never(command)


def _receive(command: ReceiveInvoice, state: Invoice | None) -> tuple[InvoiceEvent, ...]:
    event = filled(InvoiceReceived, command, **_content(command, InvoiceLine))
    if state is None:
        return (event,)
    if state.direction == command.direction and state.content == digest_of(event):
        return ()
    raise conflict(f"{_name(command)} was received already, with other content: {_difference(state, event)}")


def _difference(state: Invoice, event: InvoiceReceived) -> str:
    """Say what is recorded where a document of the same name says something else."""
    for what, recorded, said in (
        ("direction", state.direction, event.direction),
        ("kind", state.kind, event.kind),
        ("currency", state.currency, event.currency),
        ("total", amount_text(state.total), amount_text(event.exact_total or event.total)),
        ("number of lines", str(state.line_count), str(len(event.lines))),
    ):
        if recorded != said:
            return f"its {what} is {recorded}, not {said}"
    return "its total is the same, but not what its lines, dates or country say"


def _correct(command: CorrectInvoice, state: Invoice) -> tuple[InvoiceEvent, ...]:
    _refuse_closed(command, state)
    event = filled(
        InvoiceCorrected,
        command,
        **_content(command, CorrectedLine),
        direction=state.direction,
        replaced_lines=state.line_count,
        status=state.status.value,
    )
    after = corrected(state, event)
    if after.content == state.content:
        return ()
    if state.paid_total:
        paid = f"{_name(command)} has payments of {amount_text(state.paid_total)} {state.currency}"
        if after.currency != state.currency:
            raise conflict(f"{paid}; refund them before its currency becomes {after.currency}")
        if after.kind == "credit_note":
            raise conflict(f"{paid}; refund them before it becomes a credit note")
        if state.paid_total > after.total:
            raise conflict(f"{paid}, more than its right total of {amount_text(after.total)}; refund them first")
    return (replace(event, status=after.status.value),)


def _content(command: ReceiveInvoice | CorrectInvoice, line: type[InvoiceLine]) -> dict[str, Any]:
    net = total(times(item.quantity, item.unit_price) for item in command.lines)
    gross = plus(net, command.tax)
    if is_too_large(net) or is_too_large(gross):
        raise invalid(
            f"{_name(command)} comes to {gross:f}; a total has at most 30 digits before the decimal point,"
            " or 22 if it has more than 8 after it"
        )
    # written out: an import of invoices spends its time here
    lines = tuple(
        line(
            product=item.product,
            description=item.description,
            quantity=item.quantity,
            unit_price=cut(item.unit_price, 4),
            dated_at=item.dated_at,
            exact_price=beyond(item.unit_price, 4),
        )
        for item in command.lines
    )
    return {"lines": lines, **_in_two("net", net), **_in_two("total", gross)}


def _in_two(name: str, amount: Decimal) -> dict[str, Decimal | None]:
    """Return an amount of a released event, which ends at eight decimals, and beside it the whole of one with more."""
    return {name: cut(amount, 8), f"exact_{name}": beyond(amount, 8)}


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
    if command.currency not in {None, state.currency}:
        raise conflict(
            f"payment {command.payment_id} is in {command.currency}, but {_name(command)} is in {state.currency}"
        )
    if (payment := state.payments.get(command.payment_id)) is not None:
        return _repeat(command, payment)
    _refuse_unpayable(command, state)
    if command.amount > state.open_amount:
        raise conflict(
            f"payment {command.payment_id} of {amount_text(command.amount)} is more than the "
            f"{amount_text(state.open_amount)} {state.currency} still open on {_name(command)}"
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
            **_in_two("amount", command.amount),
            **_in_two("paid_total", paid_total),
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
    left = left_of(payment)
    amount = left if command.amount is None else command.amount
    if amount > left:
        raise conflict(
            f"a refund of {amount_text(amount)} is more than the {amount_text(left)} {state.currency} that are left of"
            f" payment {command.payment_id}"
        )
    paid_total = minus(state.paid_total, amount)
    after = with_refund(state, command.payment_id, amount, paid_total)
    return (
        filled(
            PaymentRefunded,
            command,
            invoice=command.id,
            currency=state.currency,
            status=after.status.value,
            **_in_two("amount", amount),
            **_in_two("paid_total", paid_total),
        ),
    )


def _mark_overdue(command: MarkOverdue, state: Invoice, given: Given) -> tuple[InvoiceEvent, ...]:
    if state.overdue or not is_owed(state):
        return ()
    if state.due_date is None:
        raise not_allowed(f"{_name(command)} has no due date")
    if given.now < (until := state.due_date + OVERDUE_AFTER):
        raise not_allowed(f"{_name(command)} may be paid until {until.isoformat()}")
    return (InvoiceOverdue(due_date=state.due_date, status=replace(state, overdue=True).status.value),)


def _review(command: ReviewInvoice, state: Invoice, given: Given) -> tuple[InvoiceEvent, ...]:
    _refuse_closed(command, state)
    limits: ApprovalLimits | None = given.streams.get(APPROVAL_LIMITS_STREAM)
    limit = None if limits is None else limits.by_currency.get(state.currency)
    is_new = state.review not in (InvoiceStatus.APPROVED, InvoiceStatus.PENDING) and not state.disputed
    if limit is None or not is_new or (state.direction, state.kind) != ("in", "invoice"):
        return ()
    if 0 <= state.total <= limit:
        note = f"within the limit of {amount_text(limit)} {state.currency}"
        return (InvoiceApproved(note=note, status=approved(state).status.value),)
    return (ApprovalAwaited(limit=limit, status=replace(state, review=InvoiceStatus.PENDING).status.value),)


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
    kind = "incoming invoice" if command.direction == "in" else "invoice"
    return f"{kind} {command.number} of party {command.party or 'unknown'}"


INVOICE = Decider(
    category="invoice",
    commands=classes_of(InvoiceCommand),
    events=classes_of(InvoiceEvent),
    decide=decide_invoice,
    evolve=evolve_invoice,
    reads=invoice_reads,
)
