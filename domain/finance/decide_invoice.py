"""These are the rules for invoices and their payments: which commands are accepted, and what follows."""

from dataclasses import replace
from typing import Any, assert_never

from domain.finance.approval_limits import APPROVAL_LIMITS_STREAM, ApprovalLimits
from domain.finance.content import digest_of
from domain.finance.decide_payment import in_two, name_of, pay, refuse_closed
from domain.finance.invoice import (
    ApprovalAwaited,
    ApproveInvoice,
    CancelInvoice,
    CategoriseInvoice,
    CommandOfKnown,
    CorrectedLine,
    CorrectInvoice,
    DisputeInvoice,
    InvoiceAmountFlagged,
    InvoiceApproved,
    InvoiceCancelled,
    InvoiceCategorised,
    InvoiceCommand,
    InvoiceCorrected,
    InvoiceDisputed,
    InvoiceEvent,
    InvoiceLine,
    InvoiceReceived,
    InvoiceRejected,
    MarkOverdue,
    ReceiveInvoice,
    ReconcilePayment,
    RecordPayment,
    RefundPayment,
    RejectInvoice,
    ReviewInvoice,
)
from domain.finance.invoice_state import (
    Invoice,
    InvoiceStatus,
    approved,
    categorised,
    corrected,
    evolve_invoice,
)
from domain.finance.usual_amounts import unusual, usual_amounts_stream
from domain.finance.values import amount_text, beyond, cut, is_too_large, plus, times, total
from domain.given import Given
from domain.message import Decider, classes_of, filled
from domain.rejection import conflict, invalid, not_allowed, not_found
from schemas.envelope import Actor, StreamId


def invoice_reads(command: InvoiceCommand, _actor: Actor) -> tuple[StreamId, ...]:
    """Name the stream of the tenant's limits, or of what a party usually bills, where an invoice is held against it."""
    if isinstance(command, ReceiveInvoice | CorrectInvoice) and command.direction == "in":
        return (usual_amounts_stream("bill", command.party, command.currency),)
    return (APPROVAL_LIMITS_STREAM,) if isinstance(command, ReviewInvoice) else ()


def decide_invoice(command: InvoiceCommand, state: Invoice | None, given: Given) -> tuple[InvoiceEvent, ...]:
    if isinstance(command, ReceiveInvoice):
        return _receive(command, state, given)
    if state is None:
        raise not_found(f"{name_of(command)} is not known")
    if command.direction not in {None, state.direction}:
        # recorded before direction was part of the name
        raise not_found(f"{name_of(command)} is not known; the one of that name is incoming: leave out its direction")
    return _go_on(command, state, given)


def _go_on(command: CommandOfKnown, state: Invoice, given: Given) -> tuple[InvoiceEvent, ...]:
    match command:
        case CorrectInvoice():
            return _correct(command, state, given)
        case CategoriseInvoice():
            return _categorise(command, state)
        case ApproveInvoice():
            return _approve(command, state)
        case RejectInvoice():
            return _reject(command, state)
        case CancelInvoice():
            return _cancel(command, state)
        case DisputeInvoice():
            refuse_closed(command, state)
            return () if state.disputed else (InvoiceDisputed(reason=command.reason),)
        case ReviewInvoice():
            return _review(command, state, given)
        case RecordPayment() | RefundPayment() | ReconcilePayment() | MarkOverdue():
            return pay(command, state, given)
        case _:
            assert_never(command)


def _receive(command: ReceiveInvoice, state: Invoice | None, given: Given) -> tuple[InvoiceEvent, ...]:
    event = filled(InvoiceReceived, command, **_content(command, InvoiceLine))
    if state is None:
        return (event, *_flagged(command, event, given, InvoiceStatus.RECEIVED))
    if state.direction == command.direction and state.content == digest_of(event):
        return ()
    raise conflict(f"{name_of(command)} was received already, with other content: {_difference(state, event)}")


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


def _correct(command: CorrectInvoice, state: Invoice, given: Given) -> tuple[InvoiceEvent, ...]:
    refuse_closed(command, state)
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
        paid = f"{name_of(command)} has payments of {amount_text(state.paid_total)} {state.currency}"
        if after.currency != state.currency:
            raise conflict(f"{paid}; refund them before its currency becomes {after.currency}")
        if after.kind == "credit_note":
            raise conflict(f"{paid}; refund them before it becomes a credit note")
        if state.paid_total > after.total:
            raise conflict(f"{paid}, more than its right total of {amount_text(after.total)}; refund them first")
    return (replace(event, status=after.status.value), *_flagged(command, event, given, after.status))


def _flagged(
    command: ReceiveInvoice | CorrectInvoice,
    event: InvoiceReceived | InvoiceCorrected,
    given: Given,
    status: InvoiceStatus,
) -> tuple[InvoiceEvent, ...]:
    """Hold what comes in against what this party usually bills."""
    if (command.direction, event.kind) != ("in", "invoice"):
        return ()
    usual = given.streams.get(usual_amounts_stream("bill", event.party, event.currency))
    found = unusual(usual, command.stream, event.exact_total or event.total)
    return () if found is None else (filled(InvoiceAmountFlagged, found, status=status.value),)


def _content(command: ReceiveInvoice | CorrectInvoice, line: type[InvoiceLine]) -> dict[str, Any]:
    net = total(times(item.quantity, item.unit_price) for item in command.lines)
    gross = plus(net, command.tax)
    if is_too_large(net) or is_too_large(gross):
        raise invalid(
            f"{name_of(command)} comes to {gross:f}; a total has at most 30 digits before the decimal point,"
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
    return {"lines": lines, **in_two("net", net), **in_two("total", gross)}


def _categorise(command: CategoriseInvoice, state: Invoice) -> tuple[InvoiceEvent, ...]:
    refuse_closed(command, state)
    after = categorised(state, command.category, command.by)
    if after == state:
        return ()
    return (filled(InvoiceCategorised, command, status=after.status.value),)


def _approve(command: ApproveInvoice, state: Invoice) -> tuple[InvoiceEvent, ...]:
    refuse_closed(command, state)
    after = approved(state)
    return () if after == state else (InvoiceApproved(note=command.note, status=after.status.value),)


def _reject(command: RejectInvoice, state: Invoice) -> tuple[InvoiceEvent, ...]:
    if state.closed is InvoiceStatus.REJECTED:
        return ()
    refuse_closed(command, state)
    _refuse_paid(command, state)
    if state.review is InvoiceStatus.APPROVED:
        raise not_allowed(f"{name_of(command)} was approved; cancel it instead")
    return (InvoiceRejected(reason=command.reason),)


def _cancel(command: CancelInvoice, state: Invoice) -> tuple[InvoiceEvent, ...]:
    if state.closed is InvoiceStatus.CANCELLED:
        return ()
    refuse_closed(command, state)
    _refuse_paid(command, state)
    return (InvoiceCancelled(reason=command.reason),)


def _review(command: ReviewInvoice, state: Invoice, given: Given) -> tuple[InvoiceEvent, ...]:
    refuse_closed(command, state)
    limits: ApprovalLimits | None = given.streams.get(APPROVAL_LIMITS_STREAM)
    limit = None if limits is None else limits.by_currency.get(state.currency)
    is_new = state.review not in (InvoiceStatus.APPROVED, InvoiceStatus.PENDING) and not state.disputed
    if limit is None or not is_new or (state.direction, state.kind) != ("in", "invoice"):
        return ()
    if 0 <= state.total <= limit:
        note = f"within the limit of {amount_text(limit)} {state.currency}"
        return (InvoiceApproved(note=note, status=approved(state).status.value),)
    return (ApprovalAwaited(limit=limit, status=replace(state, review=InvoiceStatus.PENDING).status.value),)


def _refuse_paid(command: InvoiceCommand, state: Invoice) -> None:
    if state.paid_total:
        raise not_allowed(f"{name_of(command)} has payments; refund them first")


INVOICE = Decider(
    category="invoice",
    commands=classes_of(InvoiceCommand),
    events=classes_of(InvoiceEvent),
    decide=decide_invoice,
    evolve=evolve_invoice,
    reads=invoice_reads,
)
