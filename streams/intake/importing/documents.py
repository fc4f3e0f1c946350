"""Invoices are sent as commands from here, and what became of each document is counted."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from threading import Lock

from domain.finance.invoice import CorrectInvoice, ReceiveInvoice
from domain.finance.values import amount_text, plus, times, total
from domain.rejection import Kind
from schemas.envelope import TenantId
from streams.identifiers import new_id
from streams.intake.files.invoice_rows import InvoiceRows
from streams.intake.files.invoices import InvoicesFiles
from streams.intake.files.text import RefusedRow
from streams.intake.importing.run import Outcome, later
from streams.intake.importing.sink import IMPORTER, CommandTaken, Sink
from streams.ports import Submission

_KINDS = {"invoice": "invoice", "credit_note": "credit note"}
_OTHER_CONTENT = "recorded already, with other content"


class Documents:
    """Sends invoices, and corrects those that are recorded with other content where it is told to.

    Shape: counts documents by what became of them and their kind, and the sums of those that are new or corrected.
    Safe for threads.
    """

    def __init__(self, tenant_id: TenantId, files: Sequence[Path], *, correct: bool) -> None:
        self._tenant_id = tenant_id
        self._files = files
        self._correct = correct
        self._lock = Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._sums: dict[str, Decimal] = {}

    def send(self, sink: Sink, batch: Sequence[InvoiceRows]) -> Outcome:
        """Return what became of the rows. Raises: ImportFailed."""
        answers = self._corrected(sink, batch) if self._correct else {}
        missing = [n for n in range(len(batch)) if n not in answers]
        received = self._received(sink, [batch[n] for n in missing])
        done = answers | dict(zip(missing, received, strict=True))
        return self._outcome(batch, done, corrected=answers.keys())

    def _corrected(self, sink: Sink, batch: Sequence[InvoiceRows]) -> dict[int, CommandTaken]:
        """Correct the invoices that are recorded, and return what became of them by their place in the batch."""
        answers = sink.commands(
            [
                # an id of its own for each time: what is corrected back and forth is corrected every time
                Submission(new_id(), self._tenant_id, "finance.CorrectInvoice", self._correction(invoice), IMPORTER)
                for invoice in batch
            ]
        )
        return {n: taken for n, taken in enumerate(answers) if taken.kind != Kind.NOT_FOUND}

    def _correction(self, invoice: InvoiceRows) -> CorrectInvoice:
        said = {one.name: getattr(invoice.command, one.name) for one in fields(CorrectInvoice) if one.name != "reason"}
        name = self._files[invoice.rows[0].file].name
        return CorrectInvoice(**said, reason="".join(c for c in f"import of {name}" if c.isprintable())[:200])

    def _received(self, sink: Sink, batch: Sequence[InvoiceRows]) -> Sequence[CommandTaken]:
        answers = (
            list(sink.commands([self._receipt(invoice, invoice.command_id) for invoice in batch])) if batch else []
        )
        # a refusal that is remembered says what was true then
        again = [n for n, taken in enumerate(answers) if taken.kind == Kind.CONFLICT and taken.repeated]
        if again:
            anew = sink.commands([self._receipt(batch[n], new_id()) for n in again])
            for n, taken in zip(again, anew, strict=True):
                answers[n] = taken
        return answers

    def _receipt(self, invoice: InvoiceRows, command_id: str) -> Submission:
        return Submission(
            command_id=command_id,
            tenant_id=self._tenant_id,
            name="finance.ReceiveInvoice",
            command=invoice.command,
            actor=IMPORTER,
            happened_at=invoice.command.issue_date,
        )

    def _outcome(
        self, batch: Sequence[InvoiceRows], answers: Mapping[int, CommandTaken], corrected: Collection[int]
    ) -> Outcome:
        accepted, repeated = 0, 0
        refused: list[RefusedRow] = []
        latest = None
        for n, invoice in enumerate(batch):
            taken = answers[n]
            if taken.kind is not None:
                self._count("refused", invoice)
                reason = _why(taken)
                refused += (RefusedRow(row, reason) for row in (*invoice.rows, *invoice.copies))
                continue
            repeated += len(invoice.copies)
            latest = later(latest, invoice.command.issue_date)
            if taken.repeated or not taken.changed:
                self._count("repeated", invoice)
                repeated += len(invoice.rows)
            else:
                self._count("corrected" if n in corrected else "new", invoice)
                accepted += len(invoice.rows)
        return Outcome(accepted, repeated, refused, latest)

    def _count(self, what: str, invoice: InvoiceRows) -> None:
        command = invoice.command
        with self._lock:
            self._counts[what, command.kind] += 1
            if what in {"new", "corrected"}:
                net = _net(command)
                self._sums[command.currency] = plus(self._sums.get(command.currency, Decimal(0)), net)

    def told(self) -> Iterator[str]:
        """Yield what became of the documents."""
        for what in ("new", "corrected", "repeated", "refused"):
            kinds = ((self._counts[what, kind], name) for kind, name in _KINDS.items())
            if found := [_many(number, name) for number, name in kinds if number]:
                yield f"documents {what}: {' and '.join(found)}"
        if self._sums:
            sums = ", ".join(f"{amount_text(amount)} {currency}" for currency, amount in sorted(self._sums.items()))
            yield f"sum of those new or corrected, as their lines say: {sums}"


def _why(taken: CommandTaken) -> str:
    if taken.kind == Kind.CONFLICT and "was received already" in taken.reason:
        return f"{_OTHER_CONTENT}: {taken.reason}; if this file is right, add --correct"
    return f"refused as {taken.kind}: {taken.reason}"


def _net(command: ReceiveInvoice) -> Decimal:
    return total(times(line.quantity, line.unit_price) for line in command.lines)


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def told_of(source: InvoicesFiles, *, all_: bool) -> Iterator[str]:
    """Yield what was found in the files and not told by the caller."""
    if all_:
        yield from source.told()
    for path in source.without_end():
        yield f"{path} does not end with a line end: its last row is taken as it is; see that the file is whole"
    for currency, text in source.taken_signs.items():
        yield f"amounts like {text} are taken as {currency}; --currency says otherwise"
    if source.credit_notes:
        yield f"credit notes, by their numbers of C and digits: {source.credit_notes}; --kind says otherwise"
