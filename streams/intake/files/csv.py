"""This reads invoices from CSV files, as the commands that they ask for."""

from collections.abc import Generator, Iterator, Mapping
from operator import itemgetter

from domain.finance.values import tidy
from streams.intake.files.cells import BadCell, decimal, instant
from streams.intake.files.csv_rows import CsvRows, Record
from streams.intake.files.invoice_rows import InvoiceRows, LineText, NumberRows, Terms, party_of
from streams.intake.files.text import RefusedRow, TextFile

INVOICE_COLUMNS = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)


class InvoicesFile:
    """Invoices, a line of one in each row; the rows of an invoice need not stand together.

    Shape: the rows of a number and a customer are one invoice. Where one row is refused, all rows of its invoice are:
    what is recorded is never changed, so it must be complete.
    Raises: FileError, a column is missing.
    """

    def __init__(self, file: TextFile, terms: Terms) -> None:
        self._rows = CsvRows(file, INVOICE_COLUMNS)
        self._terms = terms
        self.header = self._rows.header
        self.rows_read = 0
        self.credit_notes = 0

    def items(self) -> Generator[InvoiceRows | RefusedRow, None, None]:
        """Yield each invoice after the last row that may belong to it.

        Raises: FileError, the file was changed in the meantime.
        """
        last = self._last_of_numbers()
        open_: dict[str, NumberRows] = {}
        for n, (record, number, touched) in enumerate(self._numbered()):
            self.rows_read += 1
            for each in touched:
                if each == number or record.problem:
                    open_.setdefault(each, NumberRows(each, self._terms))
            yield from self._take(record, open_[number])
            for each in touched:
                if record.problem:
                    open_[each].spoil(record.row.line)
                if last.get(each) == n and each in open_:
                    yield from self._close(open_.pop(each))
        # where the file was changed between the two readings, some are left
        for rows in open_.values():
            yield from self._close(rows)

    def _close(self, rows: NumberRows) -> Iterator[InvoiceRows | RefusedRow]:
        for item in rows.close():
            self.credit_notes += isinstance(item, InvoiceRows) and item.command.kind == "credit_note"
            yield item

    def _last_of_numbers(self) -> Mapping[str, int]:
        """Read the file once to learn where each number occurs last: only open invoices are then held in memory."""
        last: dict[str, int] = {}
        for n, (_, _, touched) in enumerate(self._numbered()):
            for each in touched:
                last[each] = n
        return last

    def _numbered(self) -> Iterator[tuple[Record, str, set[str]]]:
        """Yield each row with the number it belongs to, and all numbers that it may hold a part of."""
        place = self._rows.places[0]
        number = ""
        for record in self._rows.records():
            cells = record.row.cells
            found = tidy(cells[place]) if place < len(cells) else number
            # a row that ends within its number most likely goes on with the invoice above it
            ends_in_number = record.problem is not None and len(cells) == place + 1
            number = number if ends_in_number and number.startswith(found) else found
            yield record, number, {number, *self._swallowed(record, place)}

    def _swallowed(self, record: Record, place: int) -> Iterator[str]:
        """Yield what may be numbers in the later lines of a row: an unpaired quote takes other rows into its own."""
        for line in record.more_lines:
            cells = line.rstrip("\r\n").split(",")
            if place < len(cells):
                yield tidy(cells[place])

    def _take(self, record: Record, rows: NumberRows) -> Iterator[RefusedRow]:
        row = record.row
        if record.problem:
            yield rows.refuse(row, record.problem, None)
            return
        _, product, description, quantity, at, price, customer, country = itemgetter(*self._rows.places)(row.cells)
        party = party_of(customer)
        try:
            line = LineText(
                party=party,
                country=country,
                at=instant("InvoiceDate", at),
                product=product,
                description=description,
                quantity=decimal("Quantity", quantity),
                unit_price=decimal("UnitPrice", price),
            )
        except BadCell as error:
            yield rows.refuse(row, str(error), party)
        else:
            yield from rows.add(row, line)
