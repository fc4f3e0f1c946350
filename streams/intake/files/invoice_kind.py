"""Whether a document is an invoice or a credit note is said by its row or its caller, and hardly ever by its number."""

import re
from collections.abc import Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Literal, Protocol

from domain.finance.invoice import DocumentKind
from streams.intake.files.cells import BadCell, shown

ONLINE_RETAIL = "online-retail"
BY_PATTERN = "credit_note="

Written = DocumentKind | Literal[""]
"""What a row says of the kind; "" where it says nothing."""

_WRITTEN: dict[str, DocumentKind] = {
    "invoice": "invoice",
    "creditnote": "credit_note",
    "creditmemo": "credit_note",
    # the codes of UN/EDIFACT 1001, which electronic invoices have
    "380": "invoice",
    "381": "credit_note",
}
_CANCELLATION = re.compile(r"[Cc][0-9]+", re.ASCII)
_LIKE_A_CREDIT_NOTE = re.compile(r"(?:cn|crn|cr|gs|nc|credit|gutschrift)(?![^\W\d_]).*", re.IGNORECASE | re.DOTALL)


class _Line(Protocol):
    @property
    def quantity(self) -> str: ...
    @property
    def unit_price(self) -> str: ...


def is_rule(text: str) -> bool:
    """Return whether a text is a rule: a kind, ONLINE_RETAIL, or `credit_note=` with a pattern of numbers."""
    return text in {"invoice", "credit_note", ONLINE_RETAIL} or (text.startswith(BY_PATTERN) and text != BY_PATTERN)


def kind_written(text: str) -> Written:
    """Read the cell of a column Kind; "" where it is empty. Raises: BadCell."""
    written = re.sub(r"[\s_-]", "", text).casefold()
    if written and written not in _WRITTEN:
        raise BadCell(
            f"Kind is not one of a document: {shown(text)}; write invoice or credit_note, or add --columns Kind= if the"
            " column says something else"
        )
    return _WRITTEN.get(written, "")


def kind_of(number: str, said: Written, rule: str | None, lines: Sequence[_Line]) -> DocumentKind:
    """Return what a document is: what is said in its rows, else what the caller's rule says, else an invoice.

    Shape: without a word from either, a number of the letter C and digits alone with a negative sum is a credit note.
    Raises: BadCell, its number looks like that of a credit note, and nobody says what it is.
    Source: Online Retail, UCI Machine Learning Repository: "if this code starts with letter 'c', it indicates a
    cancellation".
    """
    if said:
        return said
    if rule is None:
        if _LIKE_A_CREDIT_NOTE.fullmatch(number):
            raise BadCell(
                f"the number looks like that of a credit note: {shown(number)}; say what it is with a column Kind, or"
                " with --kind: invoice, credit_note, or 'credit_note=CN-*' for numbers of that form"
            )
        return "credit_note" if _CANCELLATION.fullmatch(number) and _sum(lines) < 0 else "invoice"
    if rule == ONLINE_RETAIL:
        return "credit_note" if _CANCELLATION.fullmatch(number) else "invoice"
    if rule.startswith(BY_PATTERN):
        return "credit_note" if fnmatchcase(number, rule.removeprefix(BY_PATTERN)) else "invoice"
    return "credit_note" if rule == "credit_note" else "invoice"


def _sum(lines: Sequence[_Line]) -> Decimal:
    return sum((Decimal(line.quantity) * Decimal(line.unit_price) for line in lines), Decimal(0))
