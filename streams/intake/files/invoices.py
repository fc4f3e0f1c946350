"""This reads invoices from CSV files, as the commands that they ask for."""

from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

from domain.finance.values import tidy
from streams.intake.files.cells import BadCell, shown
from streams.intake.files.csv_rows import CsvRows, Record
from streams.intake.files.dates import Dates, date
from streams.intake.files.invoice_header import COLUMNS, OPTIONAL, Header, header
from streams.intake.files.invoice_kind import kind_written
from streams.intake.files.invoice_rows import InvoiceRows, LineText, NumberRows, Terms, party_of
from streams.intake.files.last_places import LastPlaces, PlacesInMemory
from streams.intake.files.numbers import Evidence, Style, amount, currencies_of, style_told
from streams.intake.files.text import FileError, RefusedRow, TextFile

_LOOK_ROWS = 1_000
_QUANTITY, _PRICE = COLUMNS.index("Quantity"), COLUMNS.index("UnitPrice")


class Writing(NamedTuple):
    """How the caller says that the files are written; what is not said is found in each file.

    Shape: `columns` gives the column of a name, "" for one that is not there.
    """

    columns: Mapping[str, str] = {}
    delimiter: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    dates: Dates = Dates()


AS_FOUND = Writing()


class _Part:
    """One of the files.

    Shape: `cells` gives what a row says in the order of COLUMNS and OPTIONAL; `called` is what the file calls them.
    """

    def __init__(self, file: TextFile, number: int, writing: Writing) -> None:
        self.file = file
        self.header: Header = header(file, writing.columns, writing.delimiter)
        columns = self.header.columns
        self.called = {name: columns.get(name, name) for name in COLUMNS}
        self.rows = CsvRows(file, [*columns.values()], self.header.layout, file_number=number)
        self.number_place = self.rows.places[0]
        places = dict(zip(columns, self.rows.places, strict=True))
        # what a file has no column for is read from an empty cell after the last one
        nowhere = len(self.rows.header)
        self.cells = itemgetter(*(places.get(name, nowhere) for name in (*COLUMNS, *OPTIONAL)))
        self.evidence = Evidence(writing.thousands)
        self.style: Style | None = style_told(writing.decimal, writing.thousands)


class InvoicesFiles:
    """Invoices, a line of one in each row; the rows of an invoice need not stand together, nor in one file.

    Shape: the rows of a number and a customer are one invoice. Where one row is refused, all rows of its invoice are:
    what is recorded is a whole document. `most_waiting` bounds the rows that are held in memory because later rows may
    be of the same invoice.
    Raises: FileError, a column is missing.
    """

    def __init__(
        self,
        files: Sequence[TextFile],
        terms: Terms,
        writing: Writing = AS_FOUND,
        new_places: Callable[[], LastPlaces] = PlacesInMemory,
        most_waiting: int | None = None,
    ) -> None:
        self._most_waiting = most_waiting
        self._terms = terms
        self._new_places = new_places
        self._dates = writing.dates
        self._paths = [file.path for file in files]
        self._parts = [_Part(file, n, writing) for n, file in enumerate(files)]
        self.rows_read = 0
        self.credit_notes = 0
        self.taken_signs: dict[str, str] = {}

    @property
    def headers(self) -> Sequence[Sequence[str]]:
        """Return the names of the columns of each file."""
        return [part.rows.header for part in self._parts]

    def told(self) -> Iterator[str]:
        """Yield how each file is read; its amounts are known once `items` has begun."""
        for part in self._parts:
            style = part.style or Style()
            known = style.told or style.shows
            decimal = f"amounts with decimal {style.decimal}" if known else "amounts without decimals"
            yield f"{part.file.path}: {part.header.told()}; {decimal}"

    def without_end(self) -> Iterator[str]:
        """Yield the files that end without a line end."""
        return (str(part.file.path) for part in self._parts if not part.file.ends_with_line_end)

    def items(self) -> Generator[InvoiceRows | RefusedRow, None, None]:
        """Yield each invoice after the last row that may belong to it.

        Raises: FileError, a file was changed in the meantime.
        """
        ends = iter(self._survey())
        end = next(ends, None)
        open_: dict[str, NumberRows] = {}
        waiting: Counter[str] = Counter()
        for n, (part, record, number, touched) in enumerate(self._numbered()):
            self.rows_read += 1
            for each in touched:
                if each == number or record.problem:
                    open_.setdefault(each, NumberRows(each, self._terms, self._paths))
            yield from self._take(part, record, open_[number])
            waiting[number] += 1
            self._check_waiting(waiting.total() if n % _LOOK_ROWS == 0 else 0, record)
            for each in touched:
                if record.problem:
                    open_[each].spoil(record.row)
            while end is not None and end[0] <= n:
                if end[1] in open_:
                    yield from self._close(open_.pop(end[1]))
                    del waiting[end[1]]
                end = next(ends, None)
        # where a file was changed between the two readings, some are left
        for rows in open_.values():
            yield from self._close(rows)

    def _close(self, rows: NumberRows) -> Iterator[InvoiceRows | RefusedRow]:
        for item in rows.close():
            self.credit_notes += isinstance(item, InvoiceRows) and item.kind_by_number
            yield item

    def _survey(self) -> LastPlaces:
        """Read the files once to learn where each number occurs last, and how each file writes its amounts.

        Only open invoices are then held in memory.
        """
        last = self._new_places()
        for n, (part, record, _, touched) in enumerate(self._numbered()):
            for each in touched:
                last.say(each, n)
            if part.style is None and record.problem is None:
                cells = part.cells((*record.row.cells, ""))
                part.evidence.see(cells[_QUANTITY], record.row.line)
                part.evidence.see(cells[_PRICE], record.row.line)
        for part in self._parts:
            part.style = part.style or part.evidence.style()
        return last

    def _numbered(self) -> Iterator[tuple[_Part, Record, str, Collection[str]]]:
        """Yield each row with the number it belongs to, and all numbers that it may hold a part of."""
        for part in self._parts:
            place = part.number_place
            number, written, tidied = "", "", ""
            for record in part.rows.records():
                cells = record.row.cells
                found = number
                if place < len(cells):
                    # rows of a number mostly stand together
                    if cells[place] != written:
                        written, tidied = cells[place], tidy(cells[place])
                    found = tidied
                # a row that ends within its number most likely goes on with the invoice above it
                ends_in_number = record.problem is not None and len(cells) == place + 1
                number = number if ends_in_number and number.startswith(found) else found
                yield part, record, number, {number, *self._swallowed(part, record)} if record.more_lines else (number,)

    def _swallowed(self, part: _Part, record: Record) -> Iterator[str]:
        """Yield what may be numbers in the later lines of a row: an unpaired quote takes other rows into its own."""
        for line in record.more_lines:
            cells = line.rstrip("\r\n").split(part.header.layout.delimiter)
            if part.number_place < len(cells):
                yield tidy(cells[part.number_place])

    def _check_waiting(self, rows: int, record: Record) -> None:
        if self._most_waiting is not None and rows > self._most_waiting:
            raise FileError(
                f"line {record.row.line}: {rows} rows before it are of invoices that go on further down; put the rows"
                " of an invoice together, or use `factline import invoices`"
            )

    def _take(self, part: _Part, record: Record, rows: NumberRows) -> Iterator[RefusedRow]:
        row = record.row
        if record.problem:
            yield rows.refuse(row, record.problem, None)
            return
        cells = part.cells((*row.cells, ""))
        _, product, description, quantity, at, price, customer, country, kind, currency = cells
        party = party_of(customer)
        style, called = part.style or Style(), part.called
        try:
            if currencies_of(quantity):
                raise BadCell(f"{called['Quantity']} is no amount of money: {shown(quantity)}; write a number")  # noqa: TRY301
            line = LineText(
                party=party,
                country=country,
                at=date(called["InvoiceDate"], at, self._dates),
                product=product.strip(),
                description=description,
                quantity=amount(called["Quantity"], quantity, style),
                unit_price=amount(called["UnitPrice"], price, style),
                kind=kind_written(kind) if kind else "",
                currency=self._currency(currency.strip().upper(), price),
            )
        except BadCell as error:
            yield rows.refuse(row, str(error), party)
        else:
            yield from rows.add(row, line)

    def _currency(self, written: str, price: str) -> str:
        """Return what the row says, or "". Raises: BadCell, the sign beside its price says another one."""
        signs = currencies_of(price)
        known = written or self._terms.currency
        if not signs or known in signs:
            return written
        if known:
            raise BadCell(
                f"UnitPrice is in another currency: {shown(price)} where {known} is said; say the right one with"
                " --currency or a column Currency"
            )
        if len(signs) > 1:
            self.taken_signs.setdefault(signs[0], price.strip())
        return signs[0]
